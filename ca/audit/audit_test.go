package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func open(t *testing.T, path string) *Log {
	t.Helper()
	l, err := Open(path, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func lines(t *testing.T, path string) map[string]int {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for line := range strings.Lines(string(data)) {
		var r Record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		out[r.Serial]++
	}
	return out
}

func TestCallsAtTheSameTimeAreAllWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l := open(t, path)
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			if err := l.Write(Record{Serial: fmt.Sprint(i)}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := lines(t, path); len(got) != 200 {
		t.Errorf("%d records", len(got))
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestALineThatWasCutOffIsTakenAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	if err := open(t, path).Write(Record{Serial: "1"}); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range whole {
		if err := os.WriteFile(path, append(bytes.Clone(whole), whole[:cut]...), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := open(t, path).Write(Record{Serial: "2"}); err != nil {
			t.Fatal(err)
		}
		if got := lines(t, path); got["1"] != 1 || got["2"] != 1 || len(got) != 2 {
			t.Fatalf("cut at %d: %v", cut, got)
		}
	}
}

// broken is a file on a disk that is full, or dying.
type broken struct {
	*os.File
	write, sync error
}

func (b *broken) Write(p []byte) (int, error) {
	if b.write != nil {
		n, _ := b.File.Write(p[:len(p)/2])
		return n, b.write
	}
	return b.File.Write(p)
}

func (b *broken) Sync() error { return errors.Join(b.sync, b.File.Sync()) }

// Issue 7: disk full and EIO leave no corrupt state.
func TestADiskThatFailsLeavesWholeLines(t *testing.T) {
	for name, bad := range map[string]broken{"full": {write: syscall.ENOSPC}, "EIO of write": {write: syscall.EIO}, "EIO of fsync": {sync: syscall.EIO}} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "audit.jsonl")
			l := open(t, path)
			if err := l.Write(Record{Serial: "1"}); err != nil {
				t.Fatal(err)
			}
			l.open = func(path string) (file, error) {
				f, err := openFile(path)
				if err != nil {
					return nil, err
				}
				return &broken{File: f.(*os.File), write: bad.write, sync: bad.sync}, nil
			}
			if err := l.Write(Record{Serial: "2"}); !errors.Is(err, bad.write) && !errors.Is(err, bad.sync) {
				t.Fatalf("error %v", err)
			}
			l.open = openFile
			if err := l.Write(Record{Serial: "3"}); err != nil {
				t.Fatal(err)
			}
			if got := lines(t, path); len(got) != 2 || got["2"] != 0 {
				t.Errorf("%v", got)
			}
		})
	}
}

func TestALongFileIsPutAside(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "audit.jsonl")
	if err := os.WriteFile(path, append(bytes.Repeat([]byte(" "), MaxSize), '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	l := open(t, path)
	for _, s := range []string{"1", "2"} {
		if err := l.Write(Record{Serial: s}); err != nil {
			t.Fatal(err)
		}
	}
	if got := lines(t, path); got["2"] != 1 || len(got) != 1 {
		t.Errorf("%v", got)
	}
	if aside, err := filepath.Glob(path + ".*"); err != nil || len(aside) != 1 {
		t.Errorf("%v, %v", aside, err)
	}
}
