package check

import (
	"slices"
	"time"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// Bounds of pings.
const (
	leastPingInterval = time.Second
	leastPingTimeout  = 10 * time.Millisecond
)

// capacity judges what proxies take on behalf of a service.
func (c *overIntent) capacity() {
	for _, s := range c.in.services {
		c.tightPorts(s)
	}
}

// tightPorts reports ports that take fewer connections than there are callers.
func (c *overIntent) tightPorts(s *intent.Service) {
	if !slices.ContainsFunc(s.Ports, func(p *intent.Port) bool { return p.Most != nil }) {
		return
	}
	callers := slices.Clone(c.callersOf(scope.ServiceRef(s)))
	slices.SortFunc(callers, model.Ref.Compare)
	n := len(slices.Compact(callers))
	for _, p := range s.Ports {
		if p.Most != nil && p.Most.V < n {
			c.report(diag.ConnectionsTight, p.Most.At, "port %q of service %q takes %d connections, and %d services and gateways call it", p.Name.V, s.Name.V, p.Most.V, n).
				Help = "allow each of them several"
		}
	}
}

// pings judges when they are sent and waited for.
func (t *traffic) pings(p *intent.Pings, owner string) {
	if p == nil {
		return
	}
	interval, ok := t.duration(&p.Interval, 0)
	if ok && interval < leastPingInterval {
		t.report(diag.BadPings, p.Interval.At, "%s: pings are sent %s apart at the least, not %s", owner, leastPingInterval, p.Interval.V)
		ok = false
	}
	timeout, known := t.duration(&p.Timeout, 0)
	switch {
	case known && timeout < leastPingTimeout:
		t.report(diag.BadPings, p.Timeout.At, "%s: an answer to a ping takes some time, from %s, not %s", owner, leastPingTimeout, p.Timeout.V)
	case ok && known && timeout > interval:
		t.report(diag.BadPings, p.Timeout.At, "%s: the answer to a ping has %s, and the next one is sent after %s", owner, timeout, interval)
	}
}

// pingsUnused reports pings that meet no port of HTTP/2.
func (t *traffic) pingsUnused() {
	for p, used := range t.pinged {
		if !used {
			t.once(diag.PingsUnused, p.At, "no port that is called with this is grpc, and others do not speak HTTP/2").
				help("write `keepalive`, which is TCP's")
		}
	}
}
