package local

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
)

// Alloc gives each name a loopback address of its own and remembers it in a
// file, so that a restart finds everything where it was.
type Alloc struct {
	path  string
	net   netip.Prefix
	next  netip.Addr
	taken map[string]netip.Addr
}

// OpenAlloc reads the addresses remembered at path. Addresses outside network
// are forgotten.
func OpenAlloc(path, network string) (*Alloc, error) {
	p, err := netip.ParsePrefix(network)
	if err != nil {
		return nil, err
	}
	a := &Alloc{path: path, net: p.Masked(), taken: map[string]netip.Addr{}}
	a.next = a.net.Addr().Next()
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return a, nil
	}
	if err != nil {
		return nil, err
	}
	var saved map[string]netip.Addr
	if err := json.Unmarshal(raw, &saved); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for k, ip := range saved {
		if a.net.Contains(ip) {
			a.taken[k] = ip
			if a.next.Compare(ip) <= 0 {
				a.next = ip.Next()
			}
		}
	}
	return a, nil
}

// Addr gives the address of name, the same one every time.
func (a *Alloc) Addr(name string) (netip.Addr, error) {
	if ip, ok := a.taken[name]; ok {
		return ip, nil
	}
	if !a.net.Contains(a.next) {
		return netip.Addr{}, fmt.Errorf("loopback network %s is full after %d addresses", a.net, len(a.taken))
	}
	ip := a.next
	a.next = ip.Next()
	a.taken[name] = ip
	return ip, nil
}

// Save writes the addresses down, atomically.
func (a *Alloc) Save() error {
	raw, err := json.MarshalIndent(a.taken, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(a.path, raw)
}

// writeFile replaces path in one step, readable by the owner only.
func writeFile(path string, raw []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, werr := tmp.Write(raw)
	if err := errors.Join(werr, tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// writeChanged is writeFile, unless path holds raw already: whoever watches
// the file is not woken for nothing.
func writeChanged(path string, raw []byte) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, raw) {
		return nil
	}
	return writeFile(path, raw)
}
