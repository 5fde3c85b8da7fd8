package load

import (
	"slices"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/target"
)

// TestTableFitsTheSchema finds rows of the capability table for fields that the
// language does not have, and fields that only the row of a whole entry covers.
func TestTableFitsTheSchema(t *testing.T) {
	known := map[string]bool{"service.*": true, "gateway.*": true, "external.*": true}
	for _, f := range SchemaFields() {
		known[f.Field] = true
		if target.Find(f.Field) == nil {
			t.Errorf("compiler/target has no row for %s: say which proxies serve it", f.Field)
		}
	}
	for _, r := range target.Table {
		field, value, narrowed := strings.Cut(r.Field, "=")
		if !known[field] {
			t.Errorf("compiler/target: the schema has no field %s", field)
		} else if d, err := Describe(strings.NewReplacer(".*", "", ".[]", "").Replace(field)); narrowed && (err != nil || !strings.Contains(d.Want, value)) {
			t.Errorf("compiler/target: %s cannot be %q", field, value)
		}
	}
}

func TestFeaturesAreKept(t *testing.T) {
	m, diags := inProcess(t, meshFS("a.cue", `package mesh
service: a: {
	ports: web: {number: 80, protocol: "http"}
	versions: v1: {}
	routes: all: {to: v1: 100, requestHeaders: set: a: "1", timeout: "1s"}
}
`))
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	want := []intent.Feature{{Row: "service.*.routes.*.requestHeaders", At: diag.Range{File: "a.cue", Start: diag.Pos{Line: 5, Col: 29}, End: diag.Pos{Line: 5, Col: 43}}}}
	if got := m.Services[0].Features; !slices.Equal(got, want) {
		t.Errorf("features = %v, want %v", got, want)
	}
}
