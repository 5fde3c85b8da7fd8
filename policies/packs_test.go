package policies_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/policies"
)

const besidePacks = `
service: web: {owner: "team-web", ports: http: {number: 80, protocol: "http"}, versions: v1: {}, uses: api: {}}
service: api: {owner: "team-api", ports: http: {number: 80, protocol: "http"}, versions: v1: {}}
`

// TestPacks holds the examples of each pack to what the pack is for: its line,
// once switched on, passes what it says that passes, and finds the rest.
func TestPacks(t *testing.T) {
	at := time.Date(2030, 1, 4, 10, 0, 0, 0, time.UTC)
	made := func(t *testing.T, text string) *policies.Tree {
		t.Helper()
		tree, diags, err := compileText(t.Context(), besidePacks+text, at)
		if err != nil || tree.Model == nil {
			t.Fatalf("%v\n%s\n%s", err, lines(diags), text)
		}
		return tree
	}
	kinds := []string{}
	for _, p := range policies.Packs() {
		kinds = append(kinds, p.Kind)
		judge := func(t *testing.T, cue string) diag.List {
			after := made(t, p.Line+"\n"+cue)
			if p.JudgedBy == "vet" {
				got, err := policies.Mesh(after.Intent, after.Model, at)
				if err != nil {
					t.Fatal(err)
				}
				return got
			}
			before := made(t, p.Line+"\n"+p.Before)
			got, err := policies.Compare(before, after, behave.Meshes(before.Model, after.Model), at).Policies()
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		for _, e := range p.Passes {
			t.Run(p.Name+" passes "+e.What, func(t *testing.T) {
				if got := judge(t, e.CUE); len(got) > 0 {
					t.Errorf("%s", lines(got))
				}
			})
		}
		for _, e := range p.Violates {
			t.Run(p.Name+" forbids "+e.What, func(t *testing.T) {
				if got := judge(t, e.CUE); !got.HasErrors() || slices.ContainsFunc(got, func(d diag.Diagnostic) bool { return d.Code != p.Code }) {
					t.Errorf("want %s, got\n%s", p.Code, lines(got))
				}
			})
		}
		if !strings.Contains(p.Line, `"`+p.Name+`": `+p.Kind+":") || !strings.Contains(p.Text(), p.Line) || strings.Contains(p.Line, "\n") {
			t.Errorf("%s is not switched on by one line: %s", p.Name, p.Line)
		}
		if found, ok := policies.PackOf(p.Kind); !ok || found.Name != p.Name {
			t.Errorf("kind %s is of pack %q", p.Kind, found.Name)
		}
	}
	slices.Sort(kinds)
	if want := []string{"access", "canary", "egress", "faults", "freeze", "mtls", "owned", "retries"}; !slices.Equal(kinds, want) {
		t.Errorf("packs are of %v, and there are %v", kinds, want)
	}
}
