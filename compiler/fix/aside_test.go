package fix_test

import (
	"slices"
	"testing"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/fix"
)

// TestUnknownFieldsHideNothingElse sets them aside, but for what may come of that.
func TestUnknownFieldsHideNothingElse(t *testing.T) {
	for _, c := range []struct {
		entry string
		codes []diag.Code // behind the unknown field
	}{
		{`canry: {step: 10}, routes: all: to: {v1: 90, v2: 15}`, []diag.Code{diag.WeightSum}},
		{`canry: {step: 10}, routes: {all: to: v1: 100, x: {match: [{path: exact: "/x"}], to: v1: 100}}`, []diag.Code{diag.ShadowedRoute}},
		{`routes: all: {to: v1: 90, too: v2: 10}`, nil},
		{`routes: {x: {match: [{pth2: {}}], to: v1: 100}, all: to: v1: 100}`, nil},
		{`routes: {x: {macht2: [{path: exact: "/x"}], to: v1: 100}, all: to: v1: 100}`, nil},
	} {
		fsys := mesh("a.cue", "package mesh\nservice: a: {ports: http: {number: 80, protocol: \"http\"}, versions: {v1: {}, v2: {}}, "+c.entry+"}\n")
		res, err := compiler.Compile(t.Context(), fsys, opts)
		if err != nil {
			t.Fatal(err)
		}
		hidden, err := fix.Beyond(t.Context(), fsys, opts, res)
		if err != nil {
			t.Fatal(err)
		}
		var got []diag.Code
		for _, d := range hidden {
			if d.Severity > diag.Info {
				got = append(got, d.Code)
			}
		}
		if !res.Diags.HasErrors() || !slices.Equal(got, c.codes) {
			t.Errorf("%s: %v behind %v, want %v", c.entry, got, res.Diags, c.codes)
		}
	}
}
