package dataplane

import (
	"context"
	"encoding/json"
	"io"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/meshc/meshc/dataplane/admin"
	"github.com/meshc/meshc/dataplane/identity"
)

// state is what the admin endpoint reads while the proxy runs.
type state struct {
	bootstrap *bootstrapv3.Bootstrap
	phase     atomic.Int32
	resources atomic.Pointer[[]*discoveryv3.Resource]
	identity  atomic.Pointer[identity.Source]
}

const (
	starting int32 = iota
	live
	draining
)

// goLive says whether this was the first configuration.
func (s *state) goLive() bool { return s.phase.CompareAndSwap(starting, live) }

// live is 1 while connections are served and taken.
func (s *state) live() int64 {
	if s.phase.Load() == live {
		return 1
	}
	return 0
}

func (s *state) drain() { s.phase.Store(draining) }

func (s *state) isDraining() bool { return s.phase.Load() == draining }

func (s *state) serves(resources []*discoveryv3.Resource) { s.resources.Store(&resources) }

// serveAdmin opens the admin endpoint where the bootstrap, or else the
// options, say.
func (p *proxy) serveAdmin() error {
	network, address := "unix", p.opts.AdminSocket
	if a := p.opts.Bootstrap.Admin; a != nil {
		network, address = a.Network, a.Address
	}
	if address == "" {
		return nil
	}
	l, err := admin.Listen(network, address)
	if err != nil {
		return err
	}
	p.opts.Log.Info("admin endpoint", "address", l.Addr().String())
	p.untilRetired(func(ctx context.Context) error { return admin.Serve(ctx, l, page{p}) })
	return nil
}

// page implements admin.Proxy.
type page struct{ *proxy }

// State implements admin.Proxy.
func (p page) State() string {
	switch p.state.phase.Load() {
	case live:
		return "LIVE"
	case draining:
		return "DRAINING"
	}
	return "PRE_INITIALIZING"
}

// Unready implements admin.Proxy.
func (p page) Unready() string { return p.expired() }

// ConfigDump implements admin.Proxy.
func (p page) ConfigDump() ([]byte, error) {
	serving := admin.Serving{Bootstrap: p.state.bootstrap}
	if resources := p.state.resources.Load(); resources != nil {
		serving.Resources = *resources
	}
	if source := p.state.identity.Load(); source != nil {
		if current := source.Current(); current != nil {
			serving.CertificatePEM, serving.BundlePEM = current.CertificatePEM(), current.BundlePEM
		}
	}
	return admin.Dump(serving)
}

// ServerInfo implements admin.Proxy, with the field names of Envoy's, and how many
// goroutines there are.
func (p page) ServerInfo() ([]byte, error) {
	return json.MarshalIndent(map[string]any{
		"version":              version(),
		"state":                p.State(),
		"goroutines":           runtime.NumGoroutine(),
		"uptime_current_epoch": time.Since(p.started).Truncate(time.Second).String(),
		"node":                 map[string]string{"id": p.opts.Bootstrap.Node.GetId(), "cluster": p.opts.Bootstrap.Node.GetCluster()},
	}, "", " ")
}

// version is what the build recorded.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "meshc-proxy"
	}
	return "meshc-proxy/" + info.Main.Version + "/" + info.GoVersion
}

// WritePrometheus implements admin.Proxy.
func (p page) WritePrometheus(w io.Writer) error {
	p.age(time.Now())
	return p.metrics.registry.WritePrometheus(w)
}

// age brings the metrics up to date that change with time alone.
func (p *proxy) age(now time.Time) {
	p.metrics.live.Set(p.state.live())
	p.metrics.uptime.Set(int64(now.Sub(p.started) / time.Second))
}

// DrainListeners implements admin.Proxy.
func (p page) DrainListeners() {
	p.mu.Lock()
	e := p.engine
	p.mu.Unlock()
	p.state.drain()
	if e != nil {
		p.background(func(ctx context.Context) error { _ = e.Drain(ctx); return nil })
	}
}

// Quit implements admin.Proxy.
func (p page) Quit() { p.quit() }
