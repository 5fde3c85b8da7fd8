package compiler_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/load"
)

// What lowering finds of a service that changed is said once, although two of its
// entries share the definition that is at fault.
func TestSessionSaysOnceWhatLoweringFinds(t *testing.T) {
	const text = `package mesh
import m "meshc.dev/mesh"
mesh: m.#Config
service: m.#Services
#Kinds: [{path: prefix: "/a"}, {path: prefix: "/a/b"}]
mesh: proxy: "envoy"
service: s: {
	ports: http: {number: 80, protocol: "http"}
	versions: v1: {}
	rateLimits: {
		x: {match: #Kinds, local: {requests: 10, per: "1s"}}
		y: {match: #Kinds, local: {requests: 20, per: "1s"}}
	}
}
`
	session := new(compiler.Session)
	for _, requests := range []string{"10", "11", "12"} {
		fsys := fstest.MapFS{
			"cue.mod/module.cue": {Data: []byte("module: \"mesh.example\"\nlanguage: version: \"v0.17.0\"\n")},
			"mesh.cue":           {Data: []byte(strings.Replace(text, "10", requests, 1))},
		}
		opts := compiler.Options{Now: now, Load: load.Options{InProcess: true}}
		cold, err := compiler.Compile(t.Context(), fsys, opts)
		if err != nil || cold.Model == nil || len(cold.Diags) == 0 || len(cold.Diags[0].Related) == 0 {
			t.Fatalf("%v, %+v", err, cold.Diags)
		}
		warm, err := session.Compile(t.Context(), fsys, opts)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(cold.Diags, warm.Diags); d != "" {
			t.Errorf("requests %s (- cold, + session):\n%s", requests, d)
		}
	}
}
