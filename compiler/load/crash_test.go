package load

import (
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/diag"
)

// TestPanicOfTheEvaluatorCostsOneDirectory takes the evaluation its tree away,
// so that judging a directory panics.
func TestPanicOfTheEvaluatorCostsOneDirectory(t *testing.T) {
	e := &evaluation{failed: map[string]bool{}}
	e.surviving(&dir{path: "shop"})
	if len(e.diags) != 1 || e.diags[0].Code != diag.EvaluationCrash || !strings.Contains(e.diags[0].Message, `"shop"`) {
		t.Fatalf("%+v", e.diags)
	}
	if !e.failed["shop"] {
		t.Error("directories below would be judged without it")
	}
}
