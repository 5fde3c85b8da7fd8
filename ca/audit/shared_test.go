package audit

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// failing is a file whose disk is full, and cannot be cut back if stuck; another process
// writes meanwhile.
type failing struct {
	*os.File
	meanwhile func()
	stuck     bool
}

func (f *failing) Write(b []byte) (int, error) {
	n, _ := f.File.Write(b[:10])
	f.meanwhile()
	return n, syscall.ENOSPC
}

func (f *failing) Truncate(size int64) error {
	if f.stuck {
		return syscall.EIO
	}
	return f.File.Truncate(size)
}

// What one process cuts back after a write that failed is never what another one has
// added; and what it could not cut back is gone before the next line.
func TestAWriteThatFailsTakesNothingFromOthers(t *testing.T) {
	for name, stuck := range map[string]bool{"cut back": false, "not cut back": true} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "audit.jsonl")
			a, b := open(t, path), open(t, path)
			if err := a.Write(Record{Serial: "1"}); err != nil {
				t.Fatal(err)
			}
			other := make(chan error, 1)
			a.open = func(path string) (file, error) {
				f, err := openFile(path)
				if err != nil {
					return nil, err
				}
				return &failing{File: f.(*os.File), stuck: stuck, meanwhile: func() {
					go func() { other <- b.Write(Record{Serial: "2"}) }()
					select {
					case err := <-other: // it did not wait
						other <- err
					case <-time.After(50 * time.Millisecond):
					}
				}}, nil
			}
			if err := a.Write(Record{Serial: "3"}); !errors.Is(err, syscall.ENOSPC) {
				t.Fatal(err)
			}
			if err := <-other; err != nil {
				t.Fatal(err)
			}
			a.open = openFile
			if err := a.Write(Record{Serial: "4"}); err != nil {
				t.Fatal(err)
			}
			if got := lines(t, path); got["1"] != 1 || got["2"] != 1 || got["4"] != 1 || len(got) != 3 {
				t.Errorf("%v", got)
			}
		})
	}
}

// What was issued is found by its serial number, whichever process wrote it, also in a
// file that was put aside, and while more is written; what has ended is not.
func TestWhatWasIssuedIsFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	a, b := open(t, path), open(t, path)
	now := time.Now()
	write := func(l *Log, serial string, end time.Time) {
		t.Helper()
		if err := l.Write(Record{Kind: X509SVID, Serial: serial, PublicKey: "of " + serial, NotAfter: end}); err != nil {
			t.Fatal(err)
		}
	}
	want := func(serial string, there bool) {
		t.Helper()
		r, ok, err := a.Issued(serial, now.Add(-time.Hour), now)
		if err != nil || ok != there || ok && r.PublicKey != "of "+serial {
			t.Errorf("%s: %+v, %v, %v", serial, r, ok, err)
		}
	}
	want("1", false)
	write(a, "1", now.Add(time.Hour))
	write(b, "2", now.Add(time.Hour))
	write(b, "3", now.Add(-time.Second))
	want("1", true)
	want("2", true)
	want("3", false)
	if err := os.Rename(path, path+".aside"); err != nil {
		t.Fatal(err)
	}
	write(b, "4", now.Add(time.Hour))
	want("2", true)
	want("4", true)
	now = now.Add(2 * time.Hour)
	want("4", false)
	stream := &Log{stream: os.Stdout}
	if _, _, err := stream.Issued("1", now, now); err == nil {
		t.Error("standard output was asked")
	}
}
