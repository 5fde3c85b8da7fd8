package local

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/reconciler/discover"
)

// probeTimeout bounds one look at one workload; everything is on this machine.
const probeTimeout = 200 * time.Millisecond

// markReady sets Ready of every workload that may get requests: its
// application accepts connections and its sidecar has a configuration. Once
// ready it stays so: a crash is for timeouts and retries, its restart is quick.
func (r *runner) markReady(ctx context.Context) {
	for _, w := range r.placed.Workloads {
		id := w.NodeID()
		r.ready[id] = r.ready[id] || r.answers(ctx, w)
		w.Ready = r.ready[id]
	}
}

// takeUpReadiness remembers what was ready when the mesh last ran. The proxies
// start from their last good configuration, which has these endpoints: to take
// them away until they were looked at would fail requests that are served.
func (r *runner) takeUpReadiness() error {
	raw, err := os.ReadFile(r.at.workloads())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	last, err := discover.Decode(raw)
	if err != nil {
		return nil // it is written anew
	}
	for _, w := range last {
		r.ready[w.NodeID()] = w.Ready
	}
	return nil
}

func (r *runner) answers(ctx context.Context, w *model.Workload) bool {
	for _, addr := range w.App {
		conn, err := net.DialTimeout("tcp", addr, probeTimeout)
		if err != nil {
			return false
		}
		conn.Close()
	}
	socket, err := r.at.adminSocket(w)
	return err == nil && proxyReady(ctx, socket)
}

// proxyReady asks a proxy's admin endpoint.
func proxyReady(ctx context.Context, socket string) bool {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/ready", nil)
	if err != nil {
		return false
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}
