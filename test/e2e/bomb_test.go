package e2e

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/meshc/meshc/reconciler/status"
	"github.com/meshc/meshc/test/bombs"
	"github.com/meshc/meshc/test/soak"
)

// By how much a controller may be larger than after the first bomb, in bytes: after each,
// what the runtime of Go has not given back yet included, and at the end.
const (
	mostGrowth = 64 << 20
	mostKept   = 32 << 20
)

// What asks for more than a machine has, once in Git, is a rejected commit that names
// the file. The controller stays as small as it was, and traffic goes on.
func TestBombsInGitChangeNothing(t *testing.T) {
	m := started(t)
	good := m.status().Serving.Commit
	users := m.traffic(2)
	controller := m.pid("controller")
	names := []string{"doubling interpolation", "YAML aliases", "deep YAML"} // they end soon
	if soak.On() {
		names = slices.Sorted(maps.Keys(bombs.All))
	}
	var report strings.Builder
	var first, last int64
	for _, name := range names {
		at, ok := m.detonate(name)
		if !ok {
			fmt.Fprintf(&report, "%s: no working tree can hold it\n", name)
			continue
		}
		if s := m.status(); s.Serving.Commit != good || !s.Programmed.Complete() {
			t.Errorf("%s: %.8s serves on %d/%d", name, s.Serving.Commit, s.Programmed.Done, s.Programmed.Total)
		}
		size := m.resident(controller)
		if last = size; first == 0 {
			first = size
		}
		fmt.Fprintf(&report, "%s, at %s: controller %d MiB\n", name, at, size>>20)
		if grown := size - first; grown > mostGrowth {
			t.Errorf("%s: the controller has grown by %d MiB", name, grown>>20)
		}
		users.more(20)
	}
	if kept := last - first; kept > mostKept {
		t.Errorf("the controller has kept %d MiB", kept>>20)
	}
	if now := m.pid("controller"); now != controller {
		t.Errorf("the controller was restarted: %d, %d before", now, controller)
	}
	m.programmed(m.write(reviews(3, "v2: 100")), 7)
	fmt.Fprintf(&report, "requests: %d\n", users.end())
	t.Log("\n" + report.String())
}

// detonate commits a bomb, waits until it is rejected, and takes it out of the working
// tree again. It gives the file that is blamed; ok is false where the file system has no
// room for its paths.
func (m *mesh) detonate(name string) (at string, ok bool) {
	m.t.Helper()
	bomb := bombs.All[name]
	defer func() {
		for i := 0; i < len(bomb.Files); i += 2 {
			if err := os.RemoveAll(filepath.Join(m.Repo, bomb.Files[i])); err != nil && !errors.Is(err, syscall.ENAMETOOLONG) {
				m.t.Error(err)
			}
		}
	}()
	for i := 0; i < len(bomb.Files); i += 2 {
		path := filepath.Join(m.Repo, bomb.Files[i])
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err == nil {
			err = os.WriteFile(path, []byte(bomb.Files[i+1]), 0o644)
		}
		if errors.Is(err, syscall.ENAMETOOLONG) {
			return "", false
		}
		if err != nil {
			m.t.Fatal(err)
		}
	}
	commit := m.commit()
	out, code, err := m.Meshc("wait", commit, "--timeout", "120s")
	if err != nil || code != 1 {
		m.t.Errorf("%s: meshc wait: exit status %d, not 1; %v: %s", name, code, err, out)
	}
	s := m.status()
	last := s.History[len(s.History)-1]
	if last.Commit != commit || last.Outcome != status.Rejected {
		m.t.Errorf("%s: the history ends with %+v", name, last)
	}
	text, _, _ := m.Meshc("status")
	if strings.Contains(text, "limit passed: more than") { // before there is a tree to evaluate
		return "the tree", true
	}
	if !strings.Contains(text, bomb.At) {
		m.t.Errorf("%s: the status does not name %s:\n%s", name, bomb.At, text)
	}
	return bomb.At, true
}

// resident bytes of a process.
func (m *mesh) resident(pid int) int64 {
	m.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		m.t.Fatal(err)
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		m.t.Fatal(err)
	}
	return resident * int64(os.Getpagesize())
}
