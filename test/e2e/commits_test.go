package e2e

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/reconciler/status"
)

// Commits come in faster than they can be pushed: each is programmed or
// replaced by a later one, the last one is on every proxy, no request fails.
func TestManyCommitsUnderLoad(t *testing.T) {
	m := started(t)
	users := m.traffic(4)
	rng := rand.New(rand.NewPCG(3, 4))
	count := long(500, 30)
	outcomes := map[status.Outcome]int{}
	var commits []string
	begin := time.Now()
	for i := range count {
		commits = append(commits, m.write(reviews(3, fmt.Sprintf("{v1: %d, v2: %d, v3: 10}", 1+i%89, 89-i%89))))
		time.Sleep(time.Duration(rng.IntN(200)) * time.Millisecond)
		if len(commits) == 30 || i == count-1 { // the history keeps 100
			m.settled(commits, outcomes)
			commits = nil
		}
	}
	var report strings.Builder
	fmt.Fprintf(&report, "%d commits in %v: %v\n", count, time.Since(begin).Round(time.Millisecond), outcomes)
	m.programmed(m.write(reviews(3, "v2: 100")), 7)
	fmt.Fprintf(&report, "requests: %d\n", users.end())
	after := m.traffic(2)
	after.more(100)
	if n := after.end(); after.Version("v2") != n {
		t.Errorf("%d of %d requests went to v2 after the last commit", after.Version("v2"), n)
	}
	t.Log("\n" + report.String())
}

// unseen is a commit that was replaced before the controller looked.
const unseen status.Outcome = "never seen"

// settled waits for every commit and counts what became of it.
func (m *mesh) settled(commits []string, outcomes map[status.Outcome]int) {
	m.t.Helper()
	m.programmed(commits[len(commits)-1], 7)
	history := map[string]status.Outcome{}
	for _, e := range m.status().History {
		history[e.Commit] = e.Outcome
	}
	for _, c := range commits {
		if out, code, err := m.Meshc("wait", c, "--timeout", "120s"); err != nil || code != 0 {
			m.t.Errorf("meshc wait %.8s: exit status %d, %v: %s", c, code, err, out)
		}
		outcome, ok := history[c]
		if !ok {
			outcome = unseen
		}
		outcomes[outcome]++
		if outcome != status.OnEveryNode && outcome != status.Superseded && outcome != unseen {
			m.t.Errorf("commit %.8s is %s", c, outcome)
		}
	}
}
