package telemetry

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
)

// No count of a sink ever goes back, whatever a collector says.
func TestWhatASinkCounts(t *testing.T) {
	for _, x := range []struct {
		name          string
		err           error
		ok            bool
		sent, dropped int64
	}{
		{"taken", nil, true, 5, 0},
		{"failed", errors.New("away"), false, 0, 5},
		{"some rejected", fmt.Errorf("collector: %w", Rejection{Records: 2}), true, 3, 2},
		{"more rejected than sent", Rejection{Records: 1 << 40}, true, 0, 5},
	} {
		r := New(1)
		s := SinkStats{Sent: r.Counter("sent"), Dropped: r.Counter("dropped"), Failed: r.Counter("failed")}
		ok := s.Wrote(5, x.err)
		if ok != x.ok || s.Sent.Value() != x.sent || s.Dropped.Value() != x.dropped {
			t.Errorf("%s: %v, %d sent, %d dropped", x.name, ok, s.Sent.Value(), s.Dropped.Value())
		}
	}
}

// What comes after Close is dropped and counted.
func TestAClosedSink(t *testing.T) {
	r := New(1)
	s, err := OpenSink(filepath.Join(t.TempDir(), "log"), r)
	if err != nil {
		t.Fatal(err)
	}
	f, _ := CompileText("x\n")
	b := s.NewBatch()
	b.Add(f, sample())
	s.Close()
	b.Flush()
	s.Close()
	if n := s.stats.Dropped.Value(); n != 1 {
		t.Errorf("%d lines counted as dropped, want 1", n)
	}
}
