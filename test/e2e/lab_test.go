package e2e

import (
	"bytes"
	"strings"
	"testing"

	"github.com/meshc/meshc/tools/demo/lab"
)

// The routing lab: every commit of it does to requests what it says, to within
// five standard deviations, and no request fails over all of them.
func TestRoutingLab(t *testing.T) {
	m := started(t)
	var table bytes.Buffer
	err := lab.Run(t.Context(), lab.Options{
		Workspace: m.Workspace, Up: m.up, Requests: long(10_000, 200), Table: &table, Progress: logged{t},
	})
	t.Log("\n" + table.String())
	if err != nil {
		t.Error(err)
	}
}

// logged writes to the test's log.
type logged struct{ t *testing.T }

func (l logged) Write(p []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}
