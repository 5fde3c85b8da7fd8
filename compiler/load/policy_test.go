package load

import (
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/intent"
)

// TestReads says what of the view rules read: what they name, all of what goes
// where it cannot be followed, and no more.
func TestReads(t *testing.T) {
	for _, c := range []struct{ name, deny, want string }{
		{"a field", `[for ref, s in mesh.service if s.owner == "" {message: ref}]`, "{ mesh{ service{ []{ owner* } } } }"},
		{"whether there is an entry", `[if mesh.service["a/b"] != _|_ {message: "m"}]`, "{ mesh{ service{ []{ } } } }"},
		{"how many", `[if len(mesh.service) > 1 {message: "m"}]`, "{ mesh{ service{ } } }"},
		{"of elements of elements", `[for ref, s in mesh.service for r in s.routes for to in r.to if to.percent > 1 {message: "m"}]`, "{ mesh{ service{ []{ routes{ []{ to{ []{ percent* } } } } } } } }"},
		{"by a helper", `[for s in _all if s.host == "" {message: "m"}]`, "{ mesh{ service{ []{ host* } } } }"},
		{"by let", `[for ref, s in mesh.service let r = s.routes if len(r) > 1 {message: "m"}]`, "{ mesh{ service{ []{ routes{ } } } } }"},
		{"by an index", `[if mesh.service["a/b"].routes[0].name == "x" {message: "m"}]`, "{ mesh{ service{ []{ routes{ []{ name* } } } } } }"},
		{"all, by a function", `[for ref, s in mesh.service if (#f & {in: s}).out {message: "m"}]`, "{ mesh{ service{ []* } } }"},
		{"all, by another name of a field", `[for ref, s in mesh.service for k, v in s if k == "owner" {message: "m"}]`, "{ mesh{ service{ []* } } }"},
		{"all, as a value", `[if mesh.raw == ["x"] {message: "m"}]`, "{ mesh{ raw* } }"},
		{"of both meshes", `[for ref, s in base.service if mesh.service[ref] == _|_ {message: s.host}]`, "{ base{ service{ []{ host* } } } mesh{ service{ []{ } } } }"},
		{"all, by a field of several declarations", `[for ref, s in _two.service if s.host == "" {message: "m"}]`, "{ mesh* }"},
		{"of a name of its own", `[for mesh in change.entries {message: mesh.ref}]`, "{ change{ entries{ []{ ref* } } } }"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := "package policies\napiVersion: \"meshc.dev/policy/v1\"\n"
			if strings.Contains(c.deny, "_all") {
				text += "_all: [for ref, s in mesh.service {s}]\n"
			}
			if strings.Contains(c.deny, "_two") {
				text += "_two: mesh\n_two: service: [string]: {owner: *\"\" | string, ...}\n"
			}
			if strings.Contains(c.deny, "#f") {
				text += "#f: {in: _, out: in.owner == \"\"}\n"
			}
			text += "rule: r: {over: \"change\", deny: " + c.deny + "}\n"
			files := []intent.RuleFile{{Path: "policies/a.cue", Data: []byte(text)}}
			book, diags, err := RuleEvaluator{Options{InProcess: true}}.Read(t.Context(), files)
			if err != nil || len(diags) > 0 {
				t.Fatalf("%v %v", err, diags)
			}
			if got := strings.Join(strings.Fields(book.Reads.String()), " "); got != strings.Join(strings.Fields(c.want), " ") {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}
