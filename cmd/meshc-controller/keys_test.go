package main

import (
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/ca"
	"github.com/meshc/meshc/deploy/alerts"
	"github.com/meshc/meshc/test/loopback"
)

// ask asks the admin endpoint of a controller.
func (r *rig) ask(method, path string, form url.Values) (int, string) {
	r.t.Helper()
	client := &http.Client{Timeout: 2 * time.Minute, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", r.admin)
		}}}
	req, err := http.NewRequestWithContext(r.t.Context(), method, "http://controller"+path, strings.NewReader(form.Encode()))
	must(r.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := client.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(r.t, err)
	return resp.StatusCode, string(body)
}

// keys waits until what is told of the authority's keys holds.
func (r *rig) keys(what string, holds func(*ca.Status) bool) *ca.Status {
	r.t.Helper()
	deadline := time.Now().Add(3 * time.Minute)
	for {
		code, body := r.ask(http.MethodGet, "/ca", nil)
		s := &ca.Status{}
		if code == http.StatusOK && json.Unmarshal([]byte(body), s) == nil && holds(s) {
			return s
		}
		if time.Now().After(deadline) {
			log := r.log
			r.kill()
			r.t.Fatalf("%s: %d %s\n%s", what, code, body, log)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Issue 7: root rotation in three phases by a real controller, told by status; keys
// are encrypted, and no byte of one is in what the controller says or logs.
func TestTheRootIsRotated(t *testing.T) {
	r := newRig(t)
	pass := filepath.Join(filepath.Dir(r.state), "passphrase")
	must(t, os.WriteFile(pass, []byte("correct horse battery staple"), 0o600))
	r.more = []string{"--ca-ttl", "5s", "--ca-passphrase-file", pass}
	r.commit(goodCUE)
	r.start()
	before := r.keys("a first root", func(s *ca.Status) bool { return len(s.Keys) == 3 && s.Rotation == nil })
	if code, body := r.ask(http.MethodPost, "/ca/rotate", url.Values{"kind": {"root"}}); code != http.StatusOK {
		t.Fatal(code, body)
	}
	if code, _ := r.ask(http.MethodPost, "/ca/rotate", url.Values{"kind": {"issuer"}}); code != http.StatusConflict {
		t.Errorf("a second rotation: %d", code)
	}
	after := r.keys("another root alone", func(s *ca.Status) bool {
		return s.Rotation == nil && len(s.Keys) == 3 && s.Keys[0].Name != before.Keys[0].Name
	})
	if after.Sequence != before.Sequence+3 { // added, put first, alone
		t.Errorf("sequence %d after %d", after.Sequence, before.Sequence)
	}
	if code, _ := r.ask(http.MethodPost, "/ca/rotate", url.Values{"kind": {"everything"}}); code != http.StatusConflict {
		t.Errorf("of everything: %d", code)
	}
	if code, body := r.ask(http.MethodPost, "/ca/taint", url.Values{"key": {after.Keys[0].Name}, "reason": {"a drill"}}); code != http.StatusOK || !strings.Contains(body, `"tainted":true`) {
		t.Fatal(code, body)
	}
	r.keys("the tainted root gone", func(s *ca.Status) bool { return s.Rotation == nil && s.Keys[0].Name != after.Keys[0].Name })

	said := r.log.String()
	for _, path := range []string{"/ca", "/bundle", "/metrics", "/status"} {
		_, body := r.ask(http.MethodGet, path, nil)
		said += body
	}
	if !strings.Contains(said, "meshc_cert_expiry_seconds{kind=\"root\"") || !strings.Contains(said, `"spiffe_sequence"`) {
		t.Errorf("no expiry or no sequence in %s", said)
	}
	names, err := alerts.Metrics()
	must(t, err)
	for _, name := range names { // what the alerts go by is there
		if alerts.OfController(name) && !strings.Contains(said, "# TYPE "+name+" gauge\n") {
			t.Errorf("there is no metric %s", name)
		}
	}
	must(t, filepath.WalkDir(filepath.Join(r.state, "ca"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if strings.Contains(string(data), "BEGIN PRIVATE KEY") {
			t.Errorf("a key in clear in %s", path)
		}
		return err
	}))
	for _, word := range []string{"PRIVATE KEY", "horse"} {
		if strings.Contains(said, word) {
			t.Errorf("%q is in what the controller says", word)
		}
	}
}

// An address can be reached by every process of the machine: keys are not changed
// there.
func TestKeysAreChangedByWayOfASocketOnly(t *testing.T) {
	r := newRig(t)
	admin := loopback.Address(t)
	r.admin = admin
	r.start()
	deadline := time.Now().Add(time.Minute)
	for {
		resp, err := http.PostForm("http://"+admin+"/ca/rotate", url.Values{"kind": {"root"}})
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode != http.StatusForbidden {
				t.Errorf("status %d", resp.StatusCode)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
