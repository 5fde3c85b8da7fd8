package local

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestLogsAreRotatedBySize(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	must(t, rotate(path, 10)) // nothing there yet
	log, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	must(t, err)
	defer log.Close()
	write := func(s string) {
		t.Helper()
		_, err := log.WriteString(s)
		must(t, err)
	}
	want := func(now, old string) {
		t.Helper()
		for name, text := range map[string]string{path: now, path + oldSuffix: old} {
			if got, err := os.ReadFile(name); string(got) != text || err != nil && text != "" {
				t.Errorf("%s holds %q (%v), want %q", filepath.Base(name), got, err, text)
			}
		}
	}
	write("0123456789")
	must(t, rotate(path, 10))
	want("0123456789", "")
	write("abc")
	must(t, rotate(path, 10))
	want("", "3456789abc")
	write("second one")
	write("+")
	must(t, rotate(path, 10))
	write("on") // its writer goes on where the file begins
	want("on", "econd one+")
	if info, err := os.Stat(path + oldSuffix); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	must(t, os.Remove(path+oldSuffix))
	must(t, os.Mkdir(path+oldSuffix, 0o700))
	write("0123456789")
	if err := rotate(path, 10); err == nil {
		t.Error("no error")
	}
	if got, _ := os.ReadFile(path); string(got) != "on0123456789" {
		t.Errorf("what could not be moved was lost: %q", got)
	}
}

// The log of a program that runs is bounded, and the newest is kept.
func TestASupervisedLogIsBounded(t *testing.T) {
	s, _, dir := supervisor(t)
	mustRun(t, s, shell("chatty", "head -c 20000000 /dev/zero | tr '\\0' x; echo; echo last; exec sleep 60"))
	path := filepath.Join(dir, "chatty.log")
	deadline := time.Now().Add(20 * time.Second)
	for {
		must(t, s.RotateLogs())
		now, err := os.ReadFile(path)
		must(t, err)
		old, _ := os.ReadFile(path + oldSuffix)
		if int64(len(old)) > 0 && strings.HasSuffix(string(old)+string(now), "x\nlast\n") {
			if len(now) > maxLog {
				t.Errorf("%d bytes", len(now))
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes, and %d old ones", len(now), len(old))
		}
		time.Sleep(time.Millisecond)
	}
}
