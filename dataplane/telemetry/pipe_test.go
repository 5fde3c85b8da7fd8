package telemetry

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A pipe that nobody has open is an error at once, and one that nobody reads
// does not keep Close.
func TestPipeThatNobodyReads(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Probe(path); err == nil {
		t.Error("a pipe without a reader was opened")
	}
	reader, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	r := New(1)
	s, err := OpenSink(path, r)
	if err != nil {
		t.Fatal(err)
	}
	f, _ := CompileText("%REQ(USER-AGENT)% a line of some length that fills the pipe\n")
	b := s.NewBatch()
	for range 10_000 {
		b.Add(f, sample())
	}
	b.Flush()
	began := time.Now()
	s.Close()
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("Close took %v", took)
	}
	if n := s.stats.Failed.Value(); n == 0 {
		t.Error("what was not written is not counted")
	}
	if err := reader.Close(); err != nil { // ends the writer
		t.Fatal(err)
	}
	<-s.done
}
