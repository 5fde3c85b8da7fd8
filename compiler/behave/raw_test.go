package behave_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/model"
)

func init() {
	considered[reflect.TypeFor[model.Raw]()] = "Name Kind Target Proxies Patch Hash Origin PatchOrigin HashOrigin"
	considered[reflect.TypeFor[model.Mesh]()] += " Raw"
}

// TestRawPatchesAreUnknown: a patch that comes, goes or changes leaves what it
// touches unknown, and so it does with another change; all else is compared.
func TestRawPatchesAreUnknown(t *testing.T) {
	service := func(name string) *model.Service {
		return &model.Service{Ref: model.Ref{Namespace: "default", Name: name}, Host: name + ".example", Ports: []model.Port{{Name: "http", Number: 80, Protocol: model.HTTP}}, MTLS: model.MTLSStrict}
	}
	mesh := func(raw ...model.Raw) *model.Mesh {
		return &model.Mesh{Services: []*model.Service{service("a"), service("b")}, Raw: raw}
	}
	patch := model.Raw{Name: "x", Kind: model.RawCluster, Target: "outbound|80|v1|a.example", Patch: "{}"}
	other, moved := patch, patch
	other.Patch = "{ }"
	moved.Origin.File = "elsewhere.cue"
	inbound := model.Raw{Name: "x", Kind: model.RawListener, Target: "inbound|80", Proxies: []model.Ref{{Namespace: "default", Name: "b"}}}
	for _, c := range []struct {
		name          string
		before, after *model.Mesh
		unknown       string
	}{
		{"nothing", mesh(), mesh(), ""},
		{"the same", mesh(patch), mesh(moved), ""},
		{"it comes", mesh(), mesh(patch), "a"},
		{"it goes", mesh(patch), mesh(), "a"},
		{"it changes", mesh(patch), mesh(other), "a"},
		{"of the server's own", mesh(), mesh(inbound), "b"},
	} {
		r := behave.Meshes(c.before, c.after)
		got := ""
		for _, o := range r.Objects {
			if len(o.Unknown) > 0 && strings.Contains(o.Unknown[0], `raw "x"`) {
				got += o.Ref.Name
			}
		}
		if got != c.unknown || r.Equal() != (c.unknown == "") {
			t.Errorf("%s: unknown %q, want %q", c.name, got, c.unknown)
		}
	}
	changed := mesh(patch)
	changed.Services[0].MTLS = model.MTLSPermissive
	if r := behave.Meshes(mesh(patch), changed); !r.Unknown() {
		t.Error("a change of what is patched is known")
	}
}
