package compiler_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/meshc/meshc/compiler/diag"
)

// shownElsewhere are the codes that no tree of files can produce, or none that
// an archive can hold, each with the test that shows it.
var shownElsewhere = map[diag.Code]struct{ file, test string }{
	diag.InputRefused:       {"load/collect_test.go", "TestSymbolicLinksAreRefused"}, // links, and files over the limits
	diag.EvaluationLimit:    {"load/bomb_test.go", "TestBombsEndInOneError"},
	diag.EvaluationCrash:    {"load/crash_test.go", "TestPanicOfTheEvaluatorCostsOneDirectory"},
	diag.Internal:           {"compile_test.go", "TestPanicBecomesADiagnostic"},
	diag.TrustDomainChanged: {"../reconciler/reconciler_test.go", "TestGuards"},
	diag.AliasUnvouched:     {"../reconciler/reconciler_test.go", "TestGuards"},
	// Their meshes hold a hash of what is emitted.
	diag.RawChanged: {"raw_test.go", "TestRawPatchesArePinned"},
	diag.BadRaw:     {"raw_test.go", "TestRawPatchesThatDoNotFit"},
	diag.RawNowhere: {"raw_test.go", "TestRawPatchesThatDoNotFit"},
	// Of two trees; vet sees one.
	diag.ChangeBlackhole: {"behave/mutation_test.go", "TestMutations"},
	diag.ChangeExpose:    {"behave/mutation_test.go", "TestMutations"},
	diag.ChangeWeaken:    {"behave/mutation_test.go", "TestMutations"},
	diag.ChangeFault:     {"behave/mutation_test.go", "TestMutations"},
	diag.ChangeNarrow:    {"behave/mutation_test.go", "TestMutations"},
	diag.ChangeReroute:   {"behave/mutation_test.go", "TestMutations"},
	diag.ChangeRestart:   {"behave/mutation_test.go", "TestMutations"},
	diag.ChangeShift:     {"behave/mutation_test.go", "TestMutations"},
	diag.ChangeHarden:    {"behave/mutation_test.go", "TestMutations"},
	diag.ChangeTune:      {"behave/mutation_test.go", "TestMutations"},
	// Of a run of `meshc test`.
	diag.ExpectationFails:   {"expect/expect_test.go", "TestVerdicts"},
	diag.ExpectationVacuous: {"expect/expect_test.go", "TestVerdicts"},
	diag.ExpectationUnknown: {"expect/expect_test.go", "TestVerdicts"},
	// Of the policies of a mesh, which are held against what was compiled.
	diag.PolicyOwned:    {"../policies/policies_test.go", "TestMeshes"},
	diag.PolicyEgress:   {"../policies/policies_test.go", "TestMeshes"},
	diag.PolicyRetries:  {"../policies/policies_test.go", "TestMeshes"},
	diag.PolicyFaults:   {"../policies/policies_test.go", "TestMeshes"},
	diag.PolicyCanary:   {"../policies/policies_test.go", "TestChanges"},
	diag.PolicyMTLS:     {"../policies/policies_test.go", "TestChanges"},
	diag.PolicyAccess:   {"../policies/policies_test.go", "TestChanges"},
	diag.PolicyFreeze:   {"../policies/policies_test.go", "TestChanges"},
	diag.PolicyUnknown:  {"../policies/policies_test.go", "TestWhatIsNotKnownIsAViolation"},
	diag.ExemptionEnded: {"../policies/policies_test.go", "TestExemptionsOfMeshes"},
	// Of rules, which are held against what was compiled.
	diag.RuleFinding:     {"../policies/rules_test.go", "TestRulesOverMeshes"},
	diag.BadRule:         {"../policies/rules_test.go", "TestRulesThatCannotBeRead"},
	diag.RuleFailed:      {"../policies/rules_test.go", "TestRulesThatCannotJudge"},
	diag.RuleUntested:    {"../policies/rules_test.go", "TestRulesOverMeshes"},
	diag.RuleTestFails:   {"expect/show/show_test.go", "TestTestsOfRules"},
	diag.RuleTestUnknown: {"expect/show/show_test.go", "TestTestsOfRules"},

	diag.ChangeUnknown: {"behave/compare_test.go", "TestARewrittenPathThatIsJudgedOtherwiseIsUnknown"},
}

// TestEveryCodeHasFixtures holds the registry and testdata/codes together: a
// code that somebody adds is shown to be reported, and not to be reported for a
// near miss.
func TestEveryCodeHasFixtures(t *testing.T) {
	for _, e := range diag.Registry() {
		if at, ok := shownElsewhere[e.Code]; ok {
			source, err := os.ReadFile(at.file)
			if err != nil || !regexp.MustCompile(`func `+at.test+`\(t `).Match(source) {
				t.Errorf("%s is to be shown by %s of %s, which is not there: name the test that shows it in shownElsewhere", e.Code, at.test, at.file)
			}
			continue
		}
		name := filepath.Join("testdata", "codes", string(e.Code)+".txtar")
		a, err := txtar.ParseFile(name)
		if err != nil {
			t.Errorf("%s (%s) has no fixtures: write compiler/%s with a mesh in bad/a.cue, its mistakes in marks «like this», and a near miss in good/a.cue; "+
				"or, if no files can produce it, add it to shownElsewhere in compiler/fixtures_test.go", e.Code, e.Title, name)
			continue
		}
		for _, kind := range []string{"bad", "good"} {
			found := false
			for _, f := range a.Files {
				found = found || strings.HasPrefix(f.Name, kind)
			}
			if !found {
				t.Errorf("compiler/%s has no directory %s*: every code has a mesh that produces it and a near miss that does not", name, kind)
			}
		}
	}
	archives, err := filepath.Glob("testdata/codes/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range archives {
		code := diag.Code(strings.TrimSuffix(filepath.Base(name), ".txtar"))
		if _, ok := diag.Lookup(code); !ok {
			t.Errorf("compiler/%s is about a code that the registry does not have: add its entry, or take the file away", name)
		}
	}
}
