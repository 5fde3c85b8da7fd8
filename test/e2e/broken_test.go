package e2e

import (
	"strings"
	"testing"

	"github.com/meshc/meshc/reconciler/status"
)

// A commit that is wrong is named with file and line and changes nothing that
// serves; the fix is applied.
func TestBrokenCommits(t *testing.T) {
	m := started(t)
	good := m.status().Serving.Commit
	users := m.traffic(4)
	for _, c := range []struct {
		name, to, place, says string
	}{
		{"a syntax error", "{v1: 90, v2: ", "shop/reviews.cue:10:", "expected"},
		{"a version that is not there", "v9: 100", "shop/reviews.cue:8:", `"v9"`},
		{"weights of 105", "{v1: 90, v2: 15}", "shop/reviews.cue:8:", "105"},
	} {
		commit := m.write(reviews(3, c.to))
		out, code, err := m.Meshc("wait", commit, "--timeout", "120s")
		if err != nil || code != 1 {
			t.Errorf("%s: meshc wait: exit status %d, not 1; %v: %s", c.name, code, err, out)
		}
		text, code, err := m.Meshc("status")
		if err != nil || code != 1 {
			t.Errorf("%s: meshc status: exit status %d, not 1; %v", c.name, code, err)
		}
		if !hasLine(text, c.place, c.says) {
			t.Errorf("%s: no line of the status says both %q and %s:\n%s", c.name, c.place, c.says, text)
		}
		s := m.status()
		if s.Serving.Commit != good || !s.Programmed.Complete() {
			t.Errorf("%s: %.8s serves on %d/%d, not %.8s on all", c.name, s.Serving.Commit, s.Programmed.Done, s.Programmed.Total, good)
		}
		if last := s.History[len(s.History)-1]; last.Commit != commit || last.Outcome != status.Rejected {
			t.Errorf("%s: the history ends with %+v", c.name, last)
		}
		users.more(50)
	}
	if users.Version("v1") == 0 || users.Version("v2")+users.Version("v3") > 0 {
		t.Error("traffic noticed a broken commit")
	}
	m.programmed(m.write(reviews(3, "v2: 100")), 7)
	users.end()
	after := m.traffic(4)
	after.more(50)
	if n := after.end(); after.Version("v2") != n {
		t.Errorf("%d of %d requests went to v2 after the fix", after.Version("v2"), n)
	}
}

func hasLine(text string, parts ...string) bool {
	for _, line := range strings.Split(text, "\n") {
		all := true
		for _, p := range parts {
			all = all && strings.Contains(line, p)
		}
		if all {
			return true
		}
	}
	return false
}
