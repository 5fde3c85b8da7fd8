package reach

import (
	"errors"
	"strings"
	"testing"
)

// TestAllowance: when others have used it up, what is cheap is still decided, and
// what is not says that this is the cause.
func TestAllowance(t *testing.T) {
	a := &Allowance{steps: allowedSteps, merges: allowedMerges}
	path := Dim{Kind: Path}
	for range 2000 {
		if _, err := a.New(Is(path, BeginsWith("/a")), Is(path, Exactly("/b"))); err != nil {
			t.Fatal(err)
		}
	}
	hard := Matching("(a|b)*a(a|b){12}x(a|b)*b(a|b){12}")
	_, err := a.New(Is(path, hard))
	if !errors.Is(err, errAllowance) {
		t.Errorf("what is left is too little: %v", err)
	}
	if a.steps < allowedSteps || a.Spent() {
		t.Errorf("%d steps, spent %v", a.steps, a.Spent())
	}
	for range allowedUnknown {
		a.Undecided(err)
	}
	if _, err := a.New(Is(path, BeginsWith("/a"))); err == nil || !strings.Contains(err.Error(), "together") {
		t.Errorf("after %d that were too much: %v", allowedUnknown, err)
	}
}
