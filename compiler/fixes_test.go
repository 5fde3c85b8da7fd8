package compiler_test

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/load"
)

// fixable are the codes of which some fixture has a fix; choices are those
// whose fixes the user has to ask for.
var (
	fixable = []diag.Code{
		diag.UnknownField, diag.WrongValue, diag.UnknownTopLevel, diag.UnknownUse, diag.WrongPackage, diag.SelfUse, diag.SuppressionUnused,
		diag.ListedTwice, diag.UnknownVersion, diag.BadWeight, diag.UnknownFaultRoute, diag.UnknownPort, diag.UnknownOrderRoute,
		diag.UnknownBackend, diag.BadPath, diag.UnknownListener, diag.BadHeader, diag.BadMethod, diag.DuplicateCondition, diag.UnknownCaller,
		diag.BadDuration, diag.FaultExpired, diag.BadPercent, diag.UnknownRetryOn, diag.RetriesUnused, diag.HeaderChangeVain,
	}
	choices = []diag.Code{diag.WeightSum, diag.ShadowedRoute, diag.UsedNotAllowed, diag.AllowedNotUsed, diag.BadTime, diag.FaultDoesNothing, diag.UnusualMethod}
)

// TestFixesMendAndBreakNothing makes every fix of every fixture, alone, and
// wants the diagnostic gone, no other one come, and every comment kept.
func TestFixesMendAndBreakNothing(t *testing.T) {
	fixed := map[diag.Code]bool{}
	eachFixture(t, func(t *testing.T, files map[string]string) {
		commented := map[string]string{}
		for name, data := range files {
			commented[name] = withComments(name, data)
		}
		before := compile(t, commented).Diags
		for i, d := range before {
			if d.Fix == nil {
				continue
			}
			fixed[d.Code] = true
			if d.Fix.Choice != slices.Contains(choices, d.Code) {
				t.Errorf("%s: a choice is %v", d.Code, d.Fix.Choice)
			}
			after := applyFix(t, commented, d.Fix)
			left := compile(t, after).Diags
			want := counts(slices.Delete(slices.Clone(before), i, i+1))
			if diff := cmp.Diff(want, counts(left)); diff != "" {
				t.Errorf("%s at %s: %s: left (-want +got):\n%s", d.Code, d.Range, d.Fix.Title, diff)
			}
			for name, data := range after {
				was, is := comments(commented[name]), comments(data)
				if d.Code == diag.ShadowedRoute { // a move takes them along
					slices.Sort(was)
					slices.Sort(is)
				}
				if diff := cmp.Diff(was, is); diff != "" {
					t.Errorf("%s: comments of %s:\n%s", d.Code, name, diff)
				}
			}
		}
	})
	for _, code := range slices.Concat(fixable, choices) {
		if !fixed[code] {
			t.Errorf("%s: no fixture has a fix", code)
		}
	}
}

// TestFixesTogetherReachAnEnd makes all fixes again and again until there is
// none, as vet --fix does.
func TestFixesTogetherReachAnEnd(t *testing.T) {
	eachFixture(t, func(t *testing.T, files map[string]string) {
		for round := 0; ; round++ {
			if round == 5 {
				t.Fatal("fixes make work for fixes")
			}
			fixes := compile(t, files).Diags.Fixes(nil)
			if len(fixes) == 0 {
				return
			}
			files = applyFix(t, files, fixes...)
		}
	})
}

// eachFixture goes over the meshes that a compile judges alone.
func eachFixture(t *testing.T, do func(*testing.T, map[string]string)) {
	for _, f := range fixtures(t) {
		if f.plain() {
			t.Run(string(f.code)+".txtar/"+f.dir, func(t *testing.T) { do(t, f.files) })
		}
	}
}

// withComments puts a comment behind every line of a file of CUE.
func withComments(name, data string) string {
	if filepath.Ext(name) != ".cue" || strings.HasPrefix(name, "cue.mod/") || strings.Contains(data, `"""`) {
		return data
	}
	var b strings.Builder
	for i, line := range strings.SplitAfter(data, "\n") {
		if text, ok := strings.CutSuffix(line, "\n"); ok {
			fmt.Fprintf(&b, "%s // comment %d\n", text, i)
		} else {
			b.WriteString(line)
		}
	}
	return b.String()
}

func comments(data string) (out []string) {
	for _, line := range strings.Split(data, "\n") {
		if _, comment, ok := strings.Cut(line, "// "); ok {
			out = append(out, comment)
		}
	}
	return out
}

// applyFix gives the files with the fixes made; each must still parse.
func applyFix(t *testing.T, files map[string]string, fixes ...*diag.Fix) map[string]string {
	t.Helper()
	edits := map[string][]diag.Edit{}
	for _, f := range fixes {
		for _, e := range f.Edits {
			edits[e.Range.File] = append(edits[e.Range.File], e)
		}
	}
	out := maps.Clone(files)
	for name, es := range edits {
		data, err := diag.Apply([]byte(files[name]), es)
		if err != nil {
			t.Fatal(err)
		}
		if err := load.Parses(name, data); err != nil {
			t.Fatalf("%v in\n%s", err, data)
		}
		if string(data) == files[name] {
			t.Fatalf("a fix changes nothing of %s: %+v", name, es)
		}
		out[name] = string(data)
	}
	return out
}

// counts gives how often each code is reported.
func counts(l diag.List) map[diag.Code]int {
	out := map[diag.Code]int{}
	for _, d := range l {
		out[d.Code]++
	}
	return out
}
