package e2e

import (
	"strings"
	"syscall"
	"testing"
)

// A running mesh keeps its trust domain: the commit that changes it is refused
// with the line that says so, and so is a start with state of another one.
func TestTrustDomainIsKept(t *testing.T) {
	m := started(t)
	users := m.traffic(2)
	m.edit("mesh.cue", `"cluster.local"`, `"other.example"`)
	commit := m.commit()
	out, code, err := m.Meshc("wait", commit, "--timeout", "120s")
	if err != nil || code != 1 || !strings.Contains(out, "mesh.cue:14:15: MSH8001") {
		t.Errorf("meshc wait: exit status %d, %v: %s", code, err, out)
	}
	text, _, _ := m.Meshc("status")
	if !hasLine(text, "mesh.cue:14:15: error[MSH8001]", `trustDomain is "other.example"`) || !hasLine(text, "help: set trustDomain to \"cluster.local\"") {
		t.Errorf("meshc status:\n%s", text)
	}
	users.more(50)
	users.end()
	if err := m.up.Stop(syscall.SIGINT); err != nil {
		t.Error(err)
	}
	m.up = nil
	out, code, err = m.Meshc("up", m.Repo)
	if err != nil || code != 2 || !strings.Contains(out, "mesh.cue:14:15") || !strings.Contains(out, "MSH8001") || !strings.Contains(out, "move its state directory away") {
		t.Errorf("meshc up: exit status %d, %v: %s", code, err, out)
	}
	m.edit("mesh.cue", `"other.example"`, `"cluster.local"`)
	m.commit()
	m.start()
}
