package ca

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"log/slog"
)

// told keeps what is logged.
type told struct {
	mu   sync.Mutex
	text strings.Builder
}

func (w *told) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(b)
}

func (w *told) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// name gives the name of the key of a kind that is in a state.
func name(t testing.TB, a *Authority, kind, state string) string {
	t.Helper()
	s, err := a.Status()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(s.Keys, func(k Key) bool { return k.Kind == kind && k.State == state })
	if i < 0 {
		t.Fatalf("no %s is %s: %+v", kind, state, s.Keys)
	}
	return s.Keys[i].Name
}

// A proxy that never confirms anything does not keep the others at trusting what is
// tainted: within a minute the root is gone, and the log names who was left behind. A
// rotation without a taint waits for it.
func TestATaintWaitsForNobodyBeyondItsDeadline(t *testing.T) {
	for _, taint := range []bool{true, false} {
		c, log := newClock(), &told{}
		a := open(t, Config{Now: c.now, Acknowledged: func(uint64) (int, int) { return 199, 200 }, Behind: func() []string { return []string{"sidecar~shop/stuck-0"} }})
		a.cfg.Log = slog.New(slog.NewTextHandler(log, nil))
		before := a.Bundle().Roots[0]
		var err error
		if taint {
			err = a.Taint(name(t, a, "root", "active"), "stolen")
		} else {
			err = a.Rotate("root")
		}
		if err != nil {
			t.Fatal(err)
		}
		for range 60 {
			c.add(time.Second)
			issue(t, a, cart, 0)
		}
		if trusted := slices.ContainsFunc(a.Bundle().Roots, before.Equal); trusted == taint {
			t.Errorf("tainted %v: the root before is trusted: %v", taint, trusted)
		}
		if said := strings.Contains(log.String(), "sidecar~shop/stuck-0"); said != taint {
			t.Errorf("tainted %v: who was left behind is told: %v", taint, said)
		}
		if s, err := a.Status(); err != nil || (s.Rotation == nil) != taint {
			t.Errorf("tainted %v: %+v, %v", taint, s.Rotation, err)
		}
	}
}

// A reason is written down, and nothing that is written down keeps the authority from
// starting again; nor does it reach a terminal raw.
func TestAReasonIsALineThatCanBeKept(t *testing.T) {
	a := open(t, Config{})
	key := name(t, a, "root", "active")
	for what, reason := range map[string]string{
		"none": "", "too long": strings.Repeat("x", MaxReason+1), "more than the file may have": strings.Repeat("x", 1<<20),
		"two lines": "a\nb", "of a terminal": "\x1b[2J", "a direction": "a\u202eb", "no UTF-8": "a\xff",
	} {
		if err := a.Taint(key, reason); !errors.Is(err, ErrReason) {
			t.Errorf("%s: %v", what, err)
		}
	}
	open(t, Config{Dir: a.cfg.Dir})
	reason := strings.Repeat("ä", MaxReason/2)
	if err := a.Taint(key, reason); err != nil {
		t.Fatal(err)
	}
	if err := a.Rotate("issuer"); !errors.Is(err, ErrRotating) {
		t.Error(err)
	}
	open(t, Config{Dir: a.cfg.Dir})
	data, err := os.ReadFile(filepath.Join(a.cfg.Dir, "audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(data)) {
		var r struct{ Kind, Key, Reason string }
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		got = append(got, r.Kind+" "+r.Key+" "+r.Reason)
	}
	if want := []string{"taint " + key + " " + reason, "rotate issuer "}; !slices.Equal(got, want) {
		t.Errorf("written down: %q", got)
	}
}
