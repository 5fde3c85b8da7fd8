package effective

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/compiler/model"
)

func TestMain(m *testing.M) {
	load.MaybeRunChild()
	os.Exit(m.Run())
}

// base is a mesh in JSON that leaves out whatever has a default.
const base = `{
  "mesh": {"proxy": "envoy"},
  "gateway": {"edge": {"listeners": {"web": {"port": 8080, "protocol": "http"}}, "routes": {"all": {"to": "a"}}}},
  "external": {"pay": {"host": "pay.example", "ports": {"http": {"number": 80, "protocol": "http"}}}},
  "service": {
    "a": {
      "ports": {"http": {"number": 80, "protocol": "http"}},
      "versions": {"v1": {}},
      "uses": {"pay": {}},
      "security": {},
      "routes": {"r": {"to": {"v1": 100}, "match": [{"path": {"prefix": "/a"}, "headers": {"x": {"exact": "y"}}}]},
                 "s": {"to": {"v1": 100}, "retries": {"attempts": 1, "on": ["reset"]}, "match": [{"path": {"prefix": "/b"}}]}}
    },
    "b": {"ports": {"http": {"number": 80, "protocol": "http"}}, "versions": {"v1": {}}, "uses": {"a": {}}}
  }
}`

func compile(t *testing.T, intent any) *model.Mesh {
	t.Helper()
	data, err := json.Marshal(intent)
	if err != nil {
		t.Fatal(err)
	}
	res, err := compiler.Compile(t.Context(), tree(data), compiler.Options{
		Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Load: load.Options{InProcess: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	if res.Model == nil {
		t.Fatalf("%s\n%+v", data, res.Diags)
	}
	return res.Model
}

func tree(data []byte) fstest.MapFS {
	return fstest.MapFS{
		"cue.mod/module.cue": {Data: []byte("module: \"mesh.example\"\nlanguage: version: \"v0.17.0\"\n")},
		"mesh.json":          {Data: data},
	}
}

func baseIntent(t *testing.T) map[string]any {
	var v map[string]any
	if err := json.Unmarshal([]byte(base), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// defaults gives every field of the base that is left out and has a default.
func defaults(t *testing.T, m *model.Mesh) []Value {
	t.Helper()
	var out []Value
	for _, field := range []string{"mesh", "gateway.edge", "external.pay", "service.a", "service.b"} {
		x, diags, err := load.Explain(t.Context(), tree([]byte(base)), load.Options{InProcess: true}, field)
		if err != nil || diags.HasErrors() {
			t.Fatal(err, diags)
		}
		for _, e := range x.Entries {
			for _, v := range Entry(e, m) {
				if v.BuiltIn {
					out = append(out, v)
				}
			}
		}
	}
	return out
}

// TestSayingADefaultChangesNothing is the proof that what explain calls the
// default is what lower does: a mesh that writes it out gives the same model.
func TestSayingADefaultChangesNothing(t *testing.T) {
	bare := compile(t, baseIntent(t))
	tested := 0
	for _, v := range defaults(t, bare) {
		if v.Effective == "" || derived[v.Schema] {
			continue
		}
		t.Run(v.Path, func(t *testing.T) {
			said := baseIntent(t)
			set(t, said, v.Path, v.Effective)
			got := compile(t, said)
			places := cmpopts.IgnoreTypes(diag.Range{})
			if d := cmp.Diff(bare, got, places, cmpopts.EquateEmpty()); d != "" {
				t.Errorf("writing %s: %s\n%s", v.Path, v.Effective, d)
			}
		})
		tested++
	}
	if tested < 12 {
		t.Errorf("only %d defaults were written out", tested)
	}
}

// derived are defaults whose value is shown in another form than users write
// it: numbers of ports for a name, identities for names, retries of any method.
var derived = map[string]bool{
	"service.*.routes.*.retries": true,
	"service.*.routes.*.port":    true, "service.*.security": true, "service.*.security.allow": true,
}

// set writes a JSON value at a path; what lies above exists in the base.
func set(t *testing.T, at map[string]any, path, value string) {
	t.Helper()
	p, err := load.ParsePath(path)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal([]byte(value), &v); err != nil {
		t.Fatal(err)
	}
	var node any = at
	for _, label := range p[:len(p)-1] {
		switch n := node.(type) {
		case map[string]any:
			node = n[label]
		case []any:
			var i int
			if _, err := fmt.Sscan(label, &i); err != nil {
				t.Fatal(err)
			}
			node = n[i]
		}
	}
	node.(map[string]any)[p[len(p)-1]] = v
}

// TestComputedDefaultsAreFieldsOfTheLanguage finds entries of the table that
// the schema has lost.
func TestComputedDefaultsAreFieldsOfTheLanguage(t *testing.T) {
	for _, path := range slices.Sorted(maps.Keys(computed)) {
		f, err := load.Describe(path)
		if err != nil {
			t.Error(err)
			continue
		}
		last := path[strings.LastIndexByte(path, '.')+1:]
		if f.Path != path || f.Default == "" && last != load.Wildcard && last != "security" {
			t.Errorf("%s: the schema documents no default", path)
		}
	}
}

func TestWhatIsShown(t *testing.T) {
	got := map[string]string{}
	for _, v := range defaults(t, compile(t, baseIntent(t))) {
		got[v.Path] = v.Effective
	}
	for path, want := range map[string]string{
		"mesh.trustDomain":                  `"cluster.local"`,
		"service.a.host":                    `"a.default.svc.cluster.local"`,
		"service.a.security.mtls":           `"strict"`,
		"service.a.security.allow":          `[{"from":["spiffe://cluster.local/ns/default/sa/b","spiffe://cluster.local/ns/default/sa/edge"]}]`,
		"service.a.versions.v1.labels":      `{"version":"v1"}`,
		"service.a.routes.r.timeout":        `"15s"`,
		"service.a.routes.r.port":           `[80]`,
		"service.b.routes":                  `{"default":{"to":{"v1":100}}}`,
		"external.pay.timeout":              `"15s"`,
		"service.a.routes.s.retries.perTry": "",
	} {
		if got[path] != want {
			t.Errorf("%s is %s, want %s", path, got[path], want)
		}
	}
}

// TestWithoutAModel leaves what depends on the mesh to words.
func TestWithoutAModel(t *testing.T) {
	for _, v := range defaults(t, nil) {
		switch v.Schema {
		case "service.*.host":
			if v.Effective != "" {
				t.Errorf("%+v", v)
			}
		case "service.*.routes.*.timeout":
			if v.Effective != `"15s"` {
				t.Errorf("%+v", v)
			}
		}
	}
}

func TestDurations(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0s", time.Minute: "1m", time.Hour: "1h", 90 * time.Second: "1m30s", 250 * time.Millisecond: "250ms"} {
		if got := duration(d); got != want {
			t.Errorf("%v is %s, want %s", d, got, want)
		}
	}
}
