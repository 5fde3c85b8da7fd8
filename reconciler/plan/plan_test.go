package plan

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshc/meshc/compiler/model"
)

func service(name string, timeout time.Duration, line int) *model.Service {
	o := model.Origin{File: "a.cue"}
	o.Start.Line = int32(line)
	return &model.Service{Ref: model.Ref{Namespace: "shop", Name: name}, Origin: o,
		Routes: []*model.Route{{Name: "rest", Timeout: timeout, TimeoutOrigin: o, Origin: o}}}
}

func mesh(services ...*model.Service) *model.Mesh {
	return &model.Mesh{Name: "m", TrustDomain: "cluster.local", Services: services}
}

func changes(t *testing.T, desired, live *model.Mesh) []string {
	t.Helper()
	p, err := Compute(desired, live)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range p.Changes {
		got = append(got, string(c.Action)+" "+string(c.Kind)+" "+c.Name)
	}
	return got
}

func TestCompute(t *testing.T) {
	live := mesh(service("a", 1, 1), service("b", 1, 2), service("c", 1, 3))
	cases := map[string]struct {
		desired, live *model.Mesh
		want          []string
	}{
		"the same":              {live, live, nil},
		"only lines moved":      {mesh(service("a", 1, 10), service("b", 1, 20), service("c", 1, 30)), live, nil},
		"one changed":           {mesh(service("a", 1, 1), service("b", 2, 2), service("c", 1, 3)), live, []string{"changed service shop/b"}},
		"added and removed":     {mesh(service("b", 1, 2), service("c", 1, 3), service("d", 1, 4)), live, []string{"removed service shop/a", "added service shop/d"}},
		"nothing was live":      {mesh(service("a", 1, 1)), nil, []string{"added mesh m", "added service shop/a"}},
		"trust domain":          {&model.Mesh{Name: "m", TrustDomain: "other", Services: live.Services}, live, []string{"changed mesh m"}},
		"gateway with the name": {&model.Mesh{Name: "m", TrustDomain: "cluster.local", Services: live.Services, Gateways: []*model.Gateway{{Ref: live.Services[0].Ref}}}, live, []string{"added gateway shop/a"}},
	}
	for name, tc := range cases {
		if d := cmp.Diff(tc.want, changes(t, tc.desired, tc.live)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// TestEveryPlaceIsDropped holds Hash to the model: a field of type Origin that
// is named otherwise would make a moved line a change.
func TestEveryPlaceIsDropped(t *testing.T) {
	seen := map[reflect.Type]bool{}
	var walk func(reflect.Type, string)
	walk = func(typ reflect.Type, at string) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || seen[typ] || typ == reflect.TypeFor[model.Origin]() {
			return
		}
		seen[typ] = true
		for f := range typ.Fields() {
			isPlace, named := f.Type == reflect.TypeFor[model.Origin](), strings.HasSuffix(f.Name, "Origin")
			if isPlace != named {
				t.Errorf("%s.%s: is a place: %t, is dropped: %t", at, f.Name, isPlace, named)
			}
			walk(f.Type, at+"."+f.Name)
		}
	}
	walk(reflect.TypeFor[model.Mesh](), "Mesh")
}

func TestRender(t *testing.T) {
	p, err := Compute(mesh(service("b", 2, 1), service("c", 1, 1)), mesh(service("a", 1, 1), service("b", 1, 1)))
	if err != nil {
		t.Fatal(err)
	}
	var text, js bytes.Buffer
	if err := p.Text(&text); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(text.String()), "\n")
	if len(lines) != 4 || lines[0] != "- service shop/a" || !strings.HasPrefix(lines[1], "~ service shop/b ") || lines[3] != "1 added, 1 changed, 1 removed" {
		t.Errorf("text:\n%s", text.String())
	}
	if err := p.JSON(&js); err != nil || !strings.Contains(js.String(), `"apiVersion": "meshc.dev/v1alpha1"`) {
		t.Errorf("json: %v\n%s", err, js.String())
	}
}
