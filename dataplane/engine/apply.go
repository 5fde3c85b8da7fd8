package engine

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/meshc/meshc/dataplane/http1"
	"github.com/meshc/meshc/dataplane/snapshot"
	"github.com/meshc/meshc/dataplane/telemetry"
)

// ErrClosed is what Apply answers after Drain or Close.
var ErrClosed = errors.New("engine: draining or closed")

// prepared is a Config with everything that loops share about it: bound
// sockets, breakers, compiled log formats.
type prepared struct {
	config    *snapshot.Config
	listeners map[place]*boundListener
	states    map[poolKey]*shared
	limits    map[chainKey]*taken
	logs      map[*snapshot.Chain][]logTarget
	traces    map[*snapshot.Chain]*traceTarget
	stats     map[string][]*clusterStats // of clusters by name, for each loop
}

// place is one address of a listener.
type place struct {
	listener string
	addr     netip.AddrPort // as configured
}

// poolKey: clusters with the same name and digest share pools and state.
type poolKey struct{ name, digest string }

type logTarget struct {
	format *telemetry.Format
	filter telemetry.Filter // nil: every request
	sink   *telemetry.Sink
}

// Apply puts c in force. It binds the listeners that are new first, all of them
// or none: an error names the listener and leaves the old configuration in
// force. When it returns, every request that starts sees c; requests in flight
// end on the configuration they began with. Listeners that are gone are
// drained. c and what it points to must not change afterwards.
func (e *Engine) Apply(c *snapshot.Config) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed || e.draining {
		return ErrClosed
	}
	next := &prepared{config: c}
	if err := validate(c); err != nil {
		return err
	}
	if err := e.prepareLogs(next); err != nil {
		return err
	}
	if err := e.prepareTraces(next); err != nil {
		return err
	}
	fresh, err := e.bind(next)
	if err != nil {
		for _, b := range fresh {
			b.close()
		}
		return err
	}
	next.states, next.limits = e.states(c, e.current), e.limits(c, e.current)
	next.stats = e.clusterStats(c, e.current)
	e.prepareClusters(next)
	old := e.current
	e.current = next
	e.config.Store(c)
	e.busy.follow(c, e.dial)
	e.everywhere(func(w *worker) { w.adopt(next) })
	next.forgetTables()
	for _, b := range old.listeners {
		if !next.holds(b) {
			b.close()
		}
	}
	closeGone(old, next)
	e.forgetClusters(old.config, c)
	e.forgetEndpoints(old.config, c)
	e.forgetRoutes(old.config, c)
	return nil
}

func (p *prepared) holds(b *boundListener) bool {
	for _, other := range p.listeners {
		if other == b {
			return true
		}
	}
	return false
}

// validate refuses what the loops could not run.
func validate(c *snapshot.Config) error {
	byAddr := map[netip.AddrPort]string{}
	for name, l := range c.Listeners {
		if l.Name != name {
			return fmt.Errorf("listener %q: stored under the name %q", l.Name, name)
		}
		for _, at := range l.Addresses() {
			if !at.IsValid() {
				return fmt.Errorf("listener %q: no address", name)
			}
			if other, ok := byAddr[at]; ok && at.Port() != 0 {
				return fmt.Errorf("listener %q: address %s is listener %q's", name, at, other)
			}
			byAddr[at] = name
		}
		if len(l.Chains) == 0 {
			return fmt.Errorf("listener %q: no filter chain", name)
		}
		for _, ch := range l.Chains {
			switch {
			case ch.HTTP == nil && ch.TCP != nil && len(ch.TCP.Clusters) > 0 && ch.TCP.Total > 0:
				continue
			case ch.TCP != nil:
				return fmt.Errorf("listener %q: filter chain %q has no cluster, or is for requests as well", name, ch.Name)
			case ch.HTTP == nil || ch.HTTP.Routes == nil:
				return fmt.Errorf("listener %q: filter chain %q has no route table", name, ch.Name)
			}
			if kib := ch.HTTP.MaxRequestHeadersKiB; kib<<10 > http1.DefaultLimits.HeadBytes {
				return fmt.Errorf("listener %q: filter chain %q: max_request_headers_kb %d is over %d", name, ch.Name, kib, http1.DefaultLimits.HeadBytes>>10)
			}
		}
	}
	return nil
}

// prepareLogs compiles every format and opens every file before anything is
// changed.
func (e *Engine) prepareLogs(p *prepared) error {
	p.logs = map[*snapshot.Chain][]logTarget{}
	for name, l := range p.config.Listeners {
		for _, ch := range l.Chains {
			for _, al := range ch.AccessLogs() {
				t, err := e.logTarget(al)
				if err != nil {
					return fmt.Errorf("listener %q: access log %q: %w", name, al.Path, err)
				}
				p.logs[ch] = append(p.logs[ch], t)
			}
		}
	}
	return nil
}

// logTarget opens a sink once per path.
func (e *Engine) logTarget(al snapshot.AccessLog) (logTarget, error) {
	format, err := telemetry.Compile(al)
	if err != nil {
		return logTarget{}, err
	}
	wanted, err := telemetry.CompileFilter(al.Filter)
	if err != nil {
		return logTarget{}, err
	}
	if al.OTLP != nil {
		sink, err := e.logSink(al.OTLP)
		return logTarget{format, wanted, sink}, err
	}
	sink := e.sinks[al.Path]
	if sink == nil {
		if sink, err = telemetry.OpenSink(al.Path, e.reg); err != nil {
			return logTarget{}, err
		}
		e.sinks[al.Path] = sink
	}
	return logTarget{format, wanted, sink}, nil
}

// bind gives next its sockets: those of the old configuration where name and
// address, or the address alone, are the same; new ones otherwise. fresh are
// the new ones.
func (e *Engine) bind(next *prepared) (fresh []*boundListener, err error) {
	next.listeners = make(map[place]*boundListener, len(next.config.Listeners))
	byAddr := map[netip.AddrPort]*boundListener{}
	for _, b := range e.current.listeners {
		byAddr[b.want] = b
	}
	for name, l := range next.config.Listeners {
		if l.Unbound {
			continue
		}
		for _, at := range l.Addresses() {
			key := place{name, at}
			b := e.current.listeners[key]
			if b == nil && at.Port() != 0 {
				b = byAddr[at]
			}
			if b == nil {
				if b, err = e.listen(at); err != nil {
					return fresh, fmt.Errorf("listener %q: %w", name, err)
				}
				fresh = append(fresh, b)
			}
			next.listeners[key] = b
		}
	}
	return fresh, nil
}

// forgetClusters drops the metrics of clusters that are gone.
func (e *Engine) forgetClusters(old, now *snapshot.Config) {
	for name := range old.Clusters {
		if _, ok := now.Clusters[name]; !ok {
			e.reg.Drop(ofCluster(name))
		}
	}
}
