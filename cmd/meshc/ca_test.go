package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/ca"
)

// controller answers for one, on a socket where meshc up has it.
func controller(t *testing.T, answer func(http.ResponseWriter, *http.Request)) (state string) {
	t.Helper()
	state, err := os.MkdirTemp("", "ca-") // short: the paths of unix sockets are
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(state) })
	l, err := net.Listen("unix", filepath.Join(state, "controller.sock"))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(answer), ReadHeaderTimeout: time.Second}
	done := make(chan error)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close(); <-done })
	return state
}

func authority(left time.Duration, tainted bool) *ca.Status {
	now := time.Now()
	return &ca.Status{TrustDomain: "mesh.example", Sequence: 3, Keys: []ca.Key{
		{Kind: "root", Name: "root-1", State: "active", NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)},
		{Kind: "issuer", Name: "issuer-1", State: "active", NotBefore: now.Add(-time.Hour), NotAfter: now.Add(left), Held: true, Tainted: tainted},
	}, Rotation: &ca.Rotation{Kind: "root", Phase: "distribute", Reason: "asked for", Acknowledged: 2, Live: 3}}
}

func TestCAStatusSaysWhetherSomebodyHasToSeeToIt(t *testing.T) {
	for name, c := range map[string]struct {
		left    time.Duration
		tainted bool
		want    int
	}{"well": {time.Hour, false, 0}, "late": {time.Minute, false, 1}, "tainted": {time.Hour, true, 1}} {
		t.Run(name, func(t *testing.T) {
			state := controller(t, func(w http.ResponseWriter, _ *http.Request) {
				_ = json.NewEncoder(w).Encode(authority(c.left, c.tainted))
			})
			var out, errs bytes.Buffer
			if got := run(context.Background(), []string{"ca", "status", "--state", state}, nil, &out, &errs); got != c.want {
				t.Errorf("exit status %d: %s%s", got, &out, &errs)
			}
			for _, want := range []string{"spiffe://mesh.example   trust bundle 3", "issuer-1", "key not here", "2/3 proxies have the bundle"} {
				if !strings.Contains(out.String(), want) {
					t.Errorf("no %q in %s", want, &out)
				}
			}
			out.Reset()
			run(context.Background(), []string{"ca", "status", "--state", state, "-o", "json"}, nil, &out, &errs)
			if !strings.Contains(out.String(), `"AuthorityStatus"`) || !json.Valid(out.Bytes()) {
				t.Errorf("JSON: %s", &out)
			}
		})
	}
}

func TestCAChangesAreAskedFor(t *testing.T) {
	var asked []string
	state := controller(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.Path+" "+r.FormValue("kind")+r.FormValue("key")+" "+r.FormValue("reason"))
		if r.FormValue("kind") == "issuer" {
			http.Error(w, "a rotation is under way", http.StatusConflict)
			return
		}
		_ = json.NewEncoder(w).Encode(authority(time.Hour, false))
	})
	for want, args := range map[int][][]string{
		0: {{"rotate", "root"}, {"taint", "root-1", "--reason", "stolen"}},
		1: {{"rotate", "issuer"}},
		2: {{"taint", "root-1"}, {"rotate", "root", "--admin", "/nowhere/at/all"}, {"rotate"}},
	} {
		for _, a := range args {
			var out, errs bytes.Buffer
			if got := run(context.Background(), append(append([]string{"ca"}, a...), "--state", state), nil, &out, &errs); got != want {
				t.Errorf("%v: exit status %d: %s%s", a, got, &out, &errs)
			}
		}
	}
	if got := strings.Join(asked, "\n"); len(asked) != 3 || !strings.Contains(got, "POST /ca/rotate root ") || !strings.Contains(got, "POST /ca/taint root-1 stolen") {
		t.Errorf("asked %s", got)
	}
}
