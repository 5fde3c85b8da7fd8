package e2e

import (
	"errors"
	"strings"
	"testing"
)

// What is run belongs to the commit that serves: an edit that is not committed
// does nothing, a change that a running mesh cannot make is refused with a line
// that says so, and what the mesh has and nothing runs is named.
func TestUpRunsWhatIsCommitted(t *testing.T) {
	m := started(t)
	users := m.traffic(2)
	says := func(parts ...string) {
		t.Helper()
		m.eventually("meshc up says "+strings.Join(parts, " … "), func() error {
			if !hasLine(m.out.String(), parts...) {
				return errors.New(m.out.String())
			}
			return nil
		})
	}
	var before map[string]int
	m.decode("processes.json", &before)

	m.edit("local.yaml", "    version: v1\n    command: [reviews]", "    version: v1\n    replicas: 2\n    command: [reviews]")
	files := reviews(4, "v1: 100")
	for name, content := range files {
		if err := m.Edit(name, func(string) string { return content }); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.Git("commit", "--quiet", "-m", "a version", "shop/reviews.cue"); err != nil {
		t.Fatal(err)
	}
	says("local.yaml", `nothing runs version "v4" of service "default/reviews"`)
	var now map[string]int
	m.decode("processes.json", &now)
	if len(now) != len(before) {
		t.Errorf("an edit that was not committed changed what runs: %v, before %v", now, before)
	}

	m.edit("local.yaml", "network: "+m.Network, "network: 127.3.0.0/16")
	commit := m.commit()
	says("local.yaml of commit "+commit[:12], "network is 127.3.0.0/16, and this mesh runs in "+m.Network, "what runs stays")
	users.more(50)

	m.edit("local.yaml", "network: 127.3.0.0/16", "network: "+m.Network)
	m.programmed(m.commit(), 8)
	m.workload("reviews-v1-1")
	users.more(50)
	users.end()
}
