package local

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
)

func alloc(t *testing.T, path, network string) *Alloc {
	t.Helper()
	a, err := OpenAlloc(path, network)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func addr(t *testing.T, a *Alloc, name string) netip.Addr {
	t.Helper()
	ip, err := a.Addr(name)
	if err != nil {
		t.Fatal(err)
	}
	return ip
}

// Names keep their addresses over restarts, whatever else comes and in
// whatever order they are asked for; no two share one.
func TestAddressesAreStable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "addresses.json")
	before := map[string]netip.Addr{}
	seen := map[netip.Addr]string{}
	for round := range 4 {
		a := alloc(t, path, "127.9.0.0/16")
		for i := 30*round + 29; i >= 0; i-- {
			name := fmt.Sprint("w", i)
			ip := addr(t, a, name)
			if !netip.MustParsePrefix("127.9.0.0/16").Contains(ip) || ip.As4()[3] == 0 && ip.As4()[2] == 0 {
				t.Fatalf("%s has %s", name, ip)
			}
			if old, known := before[name]; known && old != ip {
				t.Fatalf("%s had %s and has %s", name, old, ip)
			}
			if other, taken := seen[ip]; taken && other != name {
				t.Fatalf("%s and %s have %s", name, other, ip)
			}
			before[name], seen[ip] = ip, name
		}
		if err := a.Save(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnotherNetworkMeansOtherAddresses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "addresses.json")
	a := alloc(t, path, "127.9.0.0/16")
	addr(t, a, "web")
	if err := a.Save(); err != nil {
		t.Fatal(err)
	}
	if ip := addr(t, alloc(t, path, "127.10.0.0/16"), "web"); ip.String() != "127.10.0.1" {
		t.Errorf("web has %s", ip)
	}
}

// A full network is an error that says so, and those who have an address keep it.
func TestNetworkIsFull(t *testing.T) {
	a := alloc(t, filepath.Join(t.TempDir(), "addresses.json"), "127.9.3.0/30")
	first := addr(t, a, "w0")
	for i := 1; i < 3; i++ {
		addr(t, a, fmt.Sprint("w", i))
	}
	if ip, err := a.Addr("w3"); err == nil {
		t.Errorf("a /30 gave a fourth address, %s", ip)
	}
	if again := addr(t, a, "w0"); again != first {
		t.Errorf("w0 had %s and has %s", first, again)
	}
}

func TestAddressFileIsBroken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "addresses.json")
	if err := os.WriteFile(path, []byte(`{"web": "no address"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenAlloc(path, "127.9.0.0/16"); err == nil {
		t.Error("a broken file was read")
	}
	if _, err := OpenAlloc(path, "loopback"); err == nil {
		t.Error("a broken network was taken")
	}
}

func TestWriteChangedLeavesWhatIsRightAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	stat := func(text string) os.FileInfo {
		t.Helper()
		if err := writeChanged(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	first := stat("a")
	if !os.SameFile(first, stat("a")) {
		t.Error("the file was replaced by an equal one")
	}
	if os.SameFile(first, stat("b")) {
		t.Error("the file was not replaced in one step")
	}
}
