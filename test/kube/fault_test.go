package kube

import (
	"net/http"
	"sync/atomic"

	"github.com/meshc/meshc/test/apiserver"
)

// guillotine stands between a controller and the API server, and kills the
// controller (kill -9) at its nth write: before that reaches the API server, or
// after it has, before the reply comes.
type guillotine struct {
	*apiserver.Proxy
	count atomic.Int64
	fell  chan struct{}
}

// guillotine is up to fall; leases are not counted, which come when they like.
func (w *world) guillotine(at int64, after bool) *guillotine {
	w.t.Helper()
	g := &guillotine{Proxy: w.server.Proxy(w.t), fell: make(chan struct{})}
	kill := func() {
		w.controller.kill()
		close(g.fell)
	}
	g.Do(func(r *http.Request) *apiserver.Fault {
		if r.Method == http.MethodGet || apiserver.Of(r, "leases") {
			return nil
		}
		switch n := g.count.Add(1); {
		case n > at:
			return &apiserver.Fault{Drop: true}
		case n < at:
			return nil
		case after:
			return &apiserver.Fault{Lose: true, Then: kill}
		}
		kill()
		return &apiserver.Fault{Drop: true}
	})
	return g
}
