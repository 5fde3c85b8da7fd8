package interop

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/model"
)

// flapper is an application that dies and comes back at the same address.
type flapper struct {
	at      string
	handler http.Handler
	server  *httptest.Server // nil: it is away
}

func (f *flapper) back(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", f.at)
	if err != nil {
		t.Fatal(err)
	}
	f.at = l.Addr().String()
	f.server = &httptest.Server{Listener: l, Config: &http.Server{Handler: f.handler}}
	f.server.Start()
}

// die cuts every connection, whatever is under way on it.
func (f *flapper) die() {
	f.server.Listener.Close()
	f.server.CloseClientConnections()
	f.server.Close()
	f.server = nil
}

// Ten times a second an instance dies, and a moment later the mesh says so or not,
// while another comes back: requests that may be repeated do not notice. A minute
// of it with MESHC_SOAK.
func TestEndpointsFlapUnderLoad(t *testing.T) {
	b, at := startNever(t)
	var all []*flapper
	for range 6 {
		f := &flapper{at: "127.0.0.1:0", handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") })}
		f.back(t)
		all = append(all, f)
		t.Cleanup(func() {
			if f.server != nil {
				f.die()
			}
		})
	}
	b.plane.programmed(b.flapping(all, nil), b.all()...)
	users := startCrowd(t, ways{h1: at.h1, h2: at.h2})
	rng := rand.New(rand.NewPCG(1, 102))
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	count := scale(40, 600)
	var away *flapper
	for range count {
		<-tick.C
		if away != nil {
			away.back(t)
		}
		next := all[rng.IntN(len(all))]
		for next == away {
			next = all[rng.IntN(len(all))]
		}
		away = next
		away.die()
		if rng.IntN(4) > 0 { // else nobody tells the proxies
			b.flapping(all, away)
		}
	}
	users.end(t)
	t.Logf("%d flaps", count)
}

// flapping puts the instances of pages that are there in force.
func (b *bed) flapping(all []*flapper, away *flapper) string {
	var workloads []*model.Workload
	for _, w := range b.workloads {
		if w.Service != ref("pages") {
			workloads = append(workloads, w)
		}
	}
	for i, f := range all {
		workloads = append(workloads, &model.Workload{ID: fmt.Sprintf("pages-%d", i), Role: model.RoleSidecar, Service: ref("pages"), Version: fmt.Sprintf("v%d", 1+i%2), Ready: f != away,
			Inbound: map[uint16]string{meshPort: f.at}, App: map[uint16]string{meshPort: f.at}})
	}
	return b.plane.set(b.mesh, workloads)
}
