package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/model"
)

// usage is what a process holds at some moment.
type usage struct {
	goroutines, files int
	rss               int // bytes
}

// TestFlat: goroutines, open files and memory of proxies stay what they are while
// requests and bytes of every protocol go through two of them, with mutual TLS, as
// connections come and go and the configuration changes twice a second. 50 minutes
// with MESHC_SOAK, of which the first five are not looked at.
func TestFlat(t *testing.T) {
	const changes, enough = 500 * time.Millisecond, 15
	lasts, warm, every := 15*time.Second, 5*time.Second, 250*time.Millisecond
	if soak {
		lasts, warm, every = 50*time.Minute, 5*time.Minute, 5*time.Second
	}
	b, at := startFlat(t)
	idle := b.usages()
	extra, places := b.backends.start(t, "extra", nil), newPlaces(t, 5)
	users := startCrowd(t, at)
	users.flow("h1, new", at.h1, newAsker(at.h1, nil))
	users.flow("h2, new", at.h2, newAsker(at.h2, onlyHTTP2()))

	rng := rand.New(rand.NewPCG(1, 102))
	change, look := time.NewTicker(changes), time.NewTicker(every)
	defer change.Stop()
	defer look.Stop()
	begun, count, looks, commit := time.Now(), 0, 0, ""
	seen := map[string][]usage{}
	for time.Since(begun) < lasts || looks < enough { // on a slow machine it takes as long as it takes
		select {
		case <-change.C:
			mesh := split(b.mesh, func() []model.Split { return weights(rng) })
			count++
			commit = b.plane.set(mesh, b.extras(rng, count, mesh, b.own(), extra, places))
		case <-look.C:
			if time.Since(begun) < warm {
				continue
			}
			looks++
			for name, u := range b.usages() {
				seen[name] = append(seen[name], u)
			}
		}
	}
	b.plane.programmed(commit, b.all()...)
	users.end(t)
	t.Logf("%d changes, and looked %d times, in %s", count, looks, time.Since(begun).Round(time.Second))
	for name, list := range seen {
		flat(t, name, list)
	}
	b.letGo(idle)
}

// startFlat runs testdata/flat: a sidecar for each of its services, and a gateway.
func startFlat(t *testing.T) (*bed, ways) {
	t.Helper()
	b := newBed(t, compileFS(t, os.DirFS("testdata/flat")))
	for i, version := range []string{"v1", "v2"} {
		b.place(&model.Workload{
			ID: fmt.Sprintf("pages-%d", i), Role: model.RoleSidecar, Service: ref("pages"), Version: version,
			Inbound: map[uint16]string{meshPort: newPlace(t)}, App: map[uint16]string{meshPort: b.backends.start(t, "pages/"+version, nil)},
		}, meshc)
	}
	b.sidecar(ref("calls"), "v1", meshc, serveCalls(t))
	b.sidecar(ref("bytes"), "v1", meshc, echo(t, nil))
	out := b.sidecar(ref("web"), "v1", meshc, "").Outbound
	edge := b.gateway(ref("edge"), meshc).Inbound[8080]
	b.run()
	for _, x := range b.all() {
		x.log.deaf.Store(true) // millions of lines
	}
	at := func(service string) string { return out[model.OutboundKey(ref(service), meshPort)] }
	return b, ways{h1: at("pages"), h2: edge, grpc: at("calls"), tcp: at("bytes")}
}

// own are copies of the workloads, for a change to write on.
func (b *bed) own() []*model.Workload {
	var out []*model.Workload
	for _, w := range b.workloads {
		next := *w
		out = append(out, &next)
	}
	return out
}

// newAsker asks on a connection of its own each time.
func newAsker(at string, protocols *http.Protocols) func(context.Context) error {
	return func(ctx context.Context) error {
		transport := &http.Transport{DisableCompression: true, Protocols: protocols}
		defer transport.CloseIdleConnections()
		defer func() { // a port is the client's for a while after its connection
			select {
			case <-ctx.Done():
			case <-time.After(2 * time.Millisecond):
			}
		}()
		return httpAsker(at, transport)(ctx)
	}
}

// usages looks at every proxy.
func (b *bed) usages() map[string]usage {
	b.t.Helper()
	out := map[string]usage{}
	for name, x := range b.proxies {
		files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", x.pid))
		if err != nil {
			b.t.Fatal(err)
		}
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", x.pid))
		if err != nil {
			b.t.Fatal(err)
		}
		pages, err := strconv.Atoi(strings.Fields(string(raw))[1])
		if err != nil {
			b.t.Fatal(err)
		}
		out[name] = usage{x.goroutines(), len(files), pages * os.Getpagesize()}
	}
	return out
}

// goroutines asks the process how many it has.
func (x *proxy) goroutines() int {
	x.t.Helper()
	r, err := x.admin.Get("http://admin/server_info")
	if err != nil {
		x.t.Fatal(err)
	}
	defer r.Body.Close()
	var info struct{ Goroutines int }
	if err := json.NewDecoder(r.Body).Decode(&info); err != nil || info.Goroutines == 0 {
		x.t.Fatalf("%s: %d goroutines, %v", x.name, info.Goroutines, err)
	}
	return info.Goroutines
}

// flat holds the median of the last third of what was seen of a proxy to that of the
// first. What is added to a tenth of it is what connections that come and go make of
// small numbers, and collections of memory of large ones.
func flat(t *testing.T, name string, seen []usage) {
	t.Helper()
	third := len(seen) / 3
	for _, c := range []struct {
		what  string
		of    func(usage) int
		spare int
	}{
		{"goroutines", func(u usage) int { return u.goroutines }, 10},
		{"files", func(u usage) int { return u.files }, 20},
		{"bytes", func(u usage) int { return u.rss }, scale(16, 6) << 20},
	} {
		first, last := middle(seen[:third], c.of), middle(seen[len(seen)-third:], c.of)
		if last > first+first/10+c.spare {
			t.Errorf("%s: from %d to %d %s", name, first, last, c.what)
		}
		t.Logf("%s: %d, %d, %d %s", name, first, middle(seen[third:len(seen)-third], c.of), last, c.what)
	}
}

func middle(list []usage, of func(usage) int) int {
	var all []int
	for _, u := range list {
		all = append(all, of(u))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// letGo waits until proxies hold little more than before anybody asked: connections
// to servers that are kept for the next request.
func (b *bed) letGo(before map[string]usage) {
	b.t.Helper()
	const kept = 32
	var left []string
	for end := time.Now().Add(2 * patience); ; time.Sleep(50 * time.Millisecond) {
		left = left[:0]
		for name, u := range b.usages() {
			if was := before[name]; u.files > was.files+kept || u.goroutines > was.goroutines+kept {
				left = append(left, fmt.Sprintf("%s: %d goroutines and %d files, were %d and %d", name, u.goroutines, u.files, was.goroutines, was.files))
			}
		}
		if len(left) == 0 {
			return
		}
		if time.Now().After(end) {
			b.t.Errorf("nobody asks any more: %s", strings.Join(left, "; "))
			return
		}
	}
}
