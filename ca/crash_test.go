package ca

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/meshc/meshc/ca/keystore"
	"github.com/meshc/meshc/ca/slots"
	"github.com/meshc/meshc/dataplane/identity/privatefile"
	"github.com/meshc/meshc/test/soak"
)

// crashAt makes this test binary an authority that is killed before its n-th change of
// the disk, or in the middle of it; crashDir is its directory.
const (
	crashAt  = "MESHC_TEST_CRASH_AT"
	crashDir = "MESHC_TEST_CRASH_DIR"
)

// life is what an authority goes through: issues, a rotation of the root and one of
// the issuer, a taint, and a token that is used. issued is told each serial as soon
// as a certificate is given away. What fails is gone on after, as a server does.
func life(dir string, begin time.Time, issued func(serial string)) error {
	c := &clock{at: begin}
	a, err := Open(Config{Dir: dir, TrustDomain: domain, Now: c.now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	var failed error
	issue := func() {
		chain, err := a.Issue(cart, key.Public(), 0)
		if err == nil {
			issued(chain[0].SerialNumber.Text(16))
		}
		failed = errors.Join(failed, err)
	}
	ages := func() {
		for range 4 {
			c.add(a.cfg.TTL + time.Minute)
			issue()
		}
	}
	issue()
	rotate := func(kind string) {
		if err := a.Rotate(kind); !errors.Is(err, ErrRotating) { // what a crash interrupted goes on
			failed = errors.Join(failed, err)
		}
	}
	rotate("root")
	ages()
	rotate("issuer")
	ages()
	if s, err := a.Status(); err == nil {
		failed = errors.Join(failed, a.Taint(s.Keys[0].Name, "a drill"))
	}
	ages()
	if token, err := a.CreateJoinToken(cart, time.Hour); err == nil {
		_, err = a.tokens.Use(token)
		failed = errors.Join(failed, err)
	}
	return failed
}

func crashingAuthority() {
	at, _ := strconv.Atoi(os.Getenv(crashAt)) // the parent writes a number
	n := 0
	privatefile.Step = func(what, path string) error {
		if n++; n != at {
			return nil
		}
		switch what {
		case "write": // half of it arrives
			_ = os.WriteFile(path, []byte(`{"version":1,"su`), 0o600)
		case "append":
			if f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600); err == nil {
				_, _ = f.WriteString(`{"time":"2026-01-01T00:00`)
			}
		}
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	if err := life(os.Getenv(crashDir), time.Now(), func(serial string) { fmt.Println(serial) }); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	fmt.Fprintln(os.Stderr, "steps", n)
	os.Exit(0)
}

// Issue 7: kill -9 at every write of issue and rotate: no corrupt state, no serial
// issued twice. All of them in a soak, every eleventh otherwise.
func TestKilledAtEveryWrite(t *testing.T) {
	every, kills := 11, 0
	if soak.On() {
		every = 1
	}
	for at := 1; ; at += every {
		dir := filepath.Join(inMemory(t), "ca")
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), crashAt+"="+strconv.Itoa(at), crashDir+"="+dir)
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		err := cmd.Run()
		var exit *exec.ExitError
		killed := errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
		if err != nil && !killed {
			t.Fatalf("step %d: %v: %s", at, err, &errs)
		}
		serials := strings.Fields(out.String())
		wantWhole(t, fmt.Sprintf("killed at step %d", at), dir, serials)
		if !killed {
			t.Logf("%d kills, %s", kills, strings.TrimSpace(errs.String()))
			break
		}
		kills++
	}
	if kills < 10 {
		t.Errorf("only %d kills", kills)
	}
}

// Issue 7: disk full and EIO likewise. The disk fails at one change, or from one on
// until the authority is started again.
func TestADiskThatFailsAtEveryWrite(t *testing.T) {
	every := 11
	if soak.On() {
		every = 1
	}
	t.Cleanup(func() { privatefile.Step = func(string, string) error { return nil } })
	for _, cause := range []error{syscall.ENOSPC, syscall.EIO} {
		for _, forever := range []bool{false, true} {
			for at := 1; ; at += every {
				dir := filepath.Join(inMemory(t), "ca")
				var n atomic.Int64
				privatefile.Step = func(string, string) error {
					if i := n.Add(1); i == int64(at) || forever && i > int64(at) {
						return cause
					}
					return nil
				}
				var serials []string
				err := life(dir, time.Now(), func(s string) { serials = append(serials, s) })
				reached := n.Load() >= int64(at)
				privatefile.Step = func(string, string) error { return nil }
				wantWhole(t, fmt.Sprintf("%v at step %d (%v)", cause, at, err), dir, serials)
				if !reached {
					break
				}
			}
		}
	}
}

// inMemory is a directory where fsync costs nothing, if there is one: what is tested is
// the order of changes, and a disk takes a minute for all of them.
func inMemory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "meshc-ca-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// wantWhole: the authority starts, goes through a whole life, has the keys that its
// book names and no others, and what was issued is written down, each serial once.
func wantWhole(t *testing.T, when, dir string, serials []string) {
	t.Helper()
	if err := life(dir, time.Now().Add(24*time.Hour), func(s string) { serials = append(serials, s) }); err != nil {
		t.Fatalf("%s: the next start: %v", when, err)
	}
	book, err := slots.OpenJournal(dir).Load()
	if err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	files, err := keystore.OpenFiles(filepath.Join(dir, "keys"), nil)
	if err != nil {
		t.Fatal(err)
	}
	held, err := files.Names()
	if err != nil || len(held) != len(book.Slots) {
		t.Fatalf("%s: keys %v for %d slots, %v", when, held, len(book.Slots), err)
	}
	for _, s := range book.Slots {
		if !slices.Contains(held, s.Name) {
			t.Fatalf("%s: the key of %s is missing", when, s.Name)
		}
	}
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(e.Name(), ".new-") && filepath.Base(filepath.Dir(path)) != "tokens" {
			t.Errorf("%s: %s was left", when, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	written := map[string]int{}
	data, err := os.ReadFile(filepath.Join(dir, "audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		var r struct{ Serial string }
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%s: audit record %q: %v", when, line, err)
		}
		if r.Serial != "" { // a change of keys has none
			written[r.Serial]++
		}
	}
	for _, s := range serials {
		if written[s] != 1 {
			t.Fatalf("%s: serial %s is written down %d times", when, s, written[s])
		}
	}
	for s, n := range written {
		if n != 1 {
			t.Fatalf("%s: serial %s was issued %d times", when, s, n)
		}
	}
}
