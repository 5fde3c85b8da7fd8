package e2e

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// traces finds what a mesh has left behind: processes by a mark in their
// environment, open ports by their network, and temporary files.
type traces struct {
	t       *testing.T
	tmp     string // TMPDIR of everything started
	network netip.Prefix
}

const mark = "MESHC_E2E_MARK"

func newTraces(t *testing.T, network string) *traces {
	t.Helper()
	// Not t.TempDir: paths of unix sockets must be short.
	dir, err := os.MkdirTemp("", "e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	tr := &traces{t: t, tmp: dir}
	if network != "" {
		tr.network = netip.MustParsePrefix(network)
	}
	return tr
}

// env is for everything that is started.
func (tr *traces) env() []string { return []string{"TMPDIR=" + tr.tmp, mark + "=" + tr.tmp} }

// none fails the test if a process, an open port, a socket below dir or a
// temporary file is left.
func (tr *traces) none(dir string) {
	tr.t.Helper()
	if p := tr.processes(); len(p) > 0 {
		tr.t.Errorf("processes are left: %v", p)
	}
	if l := tr.listening(); len(l) > 0 {
		tr.t.Errorf("ports are left open: %v", l)
	}
	if s := sockets(dir); len(s) > 0 {
		tr.t.Errorf("sockets are left: %v", s)
	}
	left, err := os.ReadDir(tr.tmp)
	if err != nil {
		tr.t.Error(err)
	}
	for _, e := range left {
		tr.t.Errorf("a temporary file is left: %s", e.Name())
	}
}

// dead waits until no process is left, for at most a minute, and no port: a process
// that ends gives up its environment before its files.
func (tr *traces) dead() {
	tr.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for len(tr.processes()) > 0 || len(tr.listening()) > 0 {
		if time.Now().After(deadline) {
			tr.t.Fatalf("processes are left: %v, or ports: %v", tr.processes(), tr.listening())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// processes with the mark, with their command lines; zombies do not count.
func (tr *traces) processes() []string {
	var found []string
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		env, err := os.ReadFile(filepath.Join(d, "environ"))
		if err != nil || !slices.Contains(strings.Split(string(env), "\x00"), mark+"="+tr.tmp) {
			continue // gone, somebody else's, or a zombie, which has no environment
		}
		line, _ := os.ReadFile(filepath.Join(d, "cmdline"))
		found = append(found, filepath.Base(d)+" "+string(bytes.ReplaceAll(line, []byte{0}, []byte{' '})))
	}
	return found
}

// listening are the open TCP ports in the network, from /proc/net/tcp (proc(5)).
func (tr *traces) listening() []string {
	raw, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		tr.t.Fatal(err)
	}
	const listen = "0A"
	var found []string
	for _, line := range strings.Split(string(raw), "\n") {
		f := strings.Fields(line)
		if len(f) < 4 || f[3] != listen {
			continue
		}
		addr, err := hexAddr(f[1])
		if err != nil {
			tr.t.Fatal(err)
		}
		if tr.network.IsValid() && tr.network.Contains(addr.Addr()) {
			found = append(found, addr.String())
		}
	}
	return found
}

// hexAddr reads 0100007F:1F90, the address in the machine's byte order.
func hexAddr(s string) (netip.AddrPort, error) {
	ip, port, _ := strings.Cut(s, ":")
	n, err1 := strconv.ParseUint(ip, 16, 32)
	p, err2 := strconv.ParseUint(port, 16, 16)
	if err1 != nil || err2 != nil {
		return netip.AddrPort{}, fmt.Errorf("%q is not an address", s)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}), uint16(p)), nil
}

func sockets(dir string) []string {
	var found []string
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type() == fs.ModeSocket {
			found = append(found, path)
		}
		return nil
	})
	return found
}
