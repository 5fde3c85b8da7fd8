package check

import (
	"fmt"
	"time"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
)

// traffic judges every block where it is written.
func (c *overIntent) traffic() {
	t := &traffic{overIntent: c}
	for _, s := range c.in.services {
		if s.Traffic != nil {
			t.written(s.Traffic, fmt.Sprintf("service %q", s.Name.V))
		}
		for _, v := range s.Versions {
			if v.Traffic != nil {
				t.written(v.Traffic, fmt.Sprintf("version %q of service %q", v.Name.V, s.Name.V))
			}
		}
		for _, r := range s.Routes {
			t.hashKeys(r)
		}
	}
	for _, e := range c.in.externals {
		t.written(e.Traffic, fmt.Sprintf("external %q", e.Name.V))
		t.placeless(e)
	}
}

// trafficMet judges what the mesh writes, and then the blocks that meet in one
// version or external.
func (c *overIntent) trafficMet() {
	t := &traffic{overIntent: c, said: map[diag.Range]bool{}, streams: map[*intent.Value[int]]bool{}, pinged: map[*intent.Pings]bool{}, judged: map[*intent.Outliers]bool{}}
	t.written(c.mesh.Config.Traffic, "the mesh")
	if c.diags.HasErrors() {
		return // what meets would be judged by what is refused
	}
	for _, s := range c.mesh.Services {
		t.hashing(s)
		for _, v := range s.Versions {
			t.met(c.scope.VersionTraffic(s, v), meeting{what: fmt.Sprintf("service %q", s.Name.V), ports: s.Ports, called: s.Ports})
		}
	}
	for _, e := range c.mesh.Externals {
		t.met(c.scope.ExternalTraffic(e), meeting{what: fmt.Sprintf("external %q", e.Name.V), external: true, ports: e.Ports, called: c.calledPorts(e), endpoints: len(e.Endpoints)})
	}
	t.streamsUnused()
	t.statusesUnused()
	t.pingsUnused()
}

// traffic is one of the two passes while it runs.
type traffic struct {
	*overIntent
	said map[diag.Range]bool // places of a block that many inherit, and that have their diagnostic

	streams map[*intent.Value[int]]bool // each concurrentStreams: some port speaks HTTP/2
	judged  map[*intent.Outliers]bool   // each block with `statuses`: some port is http
	pinged  map[*intent.Pings]bool      // the same of pings
}

// meeting is where blocks meet.
type meeting struct {
	what      string
	external  bool
	endpoints int // 0: not known
	ports     []*intent.Port
	called    []*intent.Port // those of them that proxies have clusters for
}

// written judges what one owner writes, each block by itself.
func (t *traffic) written(b *intent.Traffic, owner string) {
	if b == nil {
		return
	}
	t.positive(b.ConnectTimeout, owner+": a connection cannot be set up in no time")
	t.connections(b.Connections, owner)
	if r := b.RetryBudget; r != nil {
		t.decimal(&r.Percent, diag.BadPercent, owner+": retryBudget.percent")
	}
	t.outliers(b.Outliers, owner)
	t.health(b.Health, owner)
	t.balance(b.Balance, owner)
	t.locality(b.Locality, owner)
}

// met judges blocks together that may come from different owners.
func (t *traffic) met(b *intent.Traffic, m meeting) {
	if b == nil {
		return
	}
	if b.RetryBudget != nil && b.Connections != nil && b.Connections.MaxRetries != nil {
		t.once(diag.MaxRetriesUnused, b.Connections.MaxRetries.At, "%s has a retry budget, which takes the place of maxRetries", m.what).
			related(b.RetryBudget.At, "the retry budget").help("leave one of them out")
	}
	t.speakingHTTP2(b, m)
	t.speakingHTTP1(b, m)
	t.ejection(b, m)
	t.requestLimit(b, m)
	t.placesMet(b, m)
	if p := hashingPolicy(b); p != nil && m.external {
		t.once(diag.HashMissing, p.At, "%s has no routes whose `hash` %s could choose by", m.what, p.V)
	}
	if b.Health != nil && b.Health.Port != nil {
		t.healthPort(b.Health.Port, m)
	}
}

// finding is a diagnostic while its details are added.
type finding struct{ d *diag.Diagnostic }

// once reports at a place that several meetings share.
func (t *traffic) once(code diag.Code, at diag.Range, format string, args ...any) finding {
	if !at.IsZero() && t.said[at] {
		return finding{&diag.Diagnostic{}}
	}
	t.said[at] = true
	return finding{t.report(code, at, format, args...)}
}

func (f finding) help(text string) finding { f.d.Help = text; return f }

func (f finding) related(at diag.Range, message string) finding {
	if !at.IsZero() {
		f.d.Related = append(f.d.Related, diag.Related{Range: at, Message: message})
	}
	return f
}

// positive reads a written duration that must not be 0; ok is false when there
// is none, or none that can be judged.
func (c *overIntent) positive(v *intent.Value[string], ifZero string) (d time.Duration, ok bool) {
	if v == nil {
		return 0, false
	}
	d, ok = c.duration(v, 0)
	if ok && d == 0 {
		c.report(diag.BadDuration, v.At, "%s", ifZero)
		return 0, false
	}
	return d, ok
}

// decimal holds a written number to what is above 0, up to 100 and has at most
// two decimals.
func (c *overIntent) decimal(v *intent.Value[string], code diag.Code, what string) {
	if v == nil {
		return
	}
	n, err := literal.Percent(v.V)
	switch {
	case err != nil:
		c.report(code, v.At, "%s: %q %s", what, v.V, err)
	case n == 0:
		c.report(code, v.At, "%s is 0", what)
	}
}

func (t *traffic) connections(b *intent.Connections, owner string) {
	if b == nil {
		return
	}
	t.duration(b.Idle, 0)
	t.positive(b.MaxAge, owner+": no connection would be used")
	t.idleNever(b.Idle, b.MaxAge, owner)
	if k := b.Keepalive; k != nil {
		t.wholeSeconds(k.Time, owner)
		t.wholeSeconds(k.Interval, owner)
	}
	t.pings(b.Pings, owner)
	if b.Clients == nil {
		return
	}
	divided := false
	for _, v := range []*intent.Value[int]{b.Max, b.MaxPending, b.MaxRequests, b.MaxRetries} {
		if v == nil {
			continue
		}
		divided = true
		if v.V < b.Clients.V {
			t.report(diag.LimitBelowShare, v.At, "%s: %d divided among %d clients leaves nothing to each", owner, v.V, b.Clients.V)
		}
	}
	if !divided {
		t.report(diag.ClientsUnused, b.Clients.At, "%s: there is no limit to divide among clients", owner)
	}
}

func (t *traffic) wholeSeconds(v *intent.Value[string], owner string) {
	d, ok := t.positive(v, owner+": TCP keepalive counts in seconds, from 1")
	if ok && d%time.Second != 0 {
		t.report(diag.BadDuration, v.At, "%s: TCP keepalive counts in whole seconds, not %s", owner, d)
	}
}

func (t *traffic) balance(b *intent.Balance, owner string) {
	if b == nil {
		return
	}
	policy := model.RoundRobin
	if b.Policy != nil {
		policy = model.BalancePolicy(b.Policy.V)
	}
	if b.Choices != nil && policy != model.LeastRequest {
		t.report(diag.BalanceUnused, b.Choices.At, "%s: %s does not draw endpoints to choose from", owner, policy).
			Help = "write `policy: \"leastRequest\"`, or leave `choices` out"
	}
	t.hashSizes(b, policy, owner)
	if p := b.PanicPercent; p != nil {
		if _, err := literal.Percent(p.V); err != nil {
			t.report(diag.BadPercent, p.At, "%s: panicPercent: %q %s", owner, p.V, err)
		}
	}
	s := b.SlowStart
	if s == nil {
		return
	}
	if policy != model.RoundRobin && policy != model.LeastRequest {
		t.report(diag.BalanceUnused, s.At, "%s: %s knows no slow start", owner, policy).
			Help = "use roundRobin or leastRequest, or leave `slowStart` out"
	}
	t.positive(&s.Window, owner+": a slow start takes some time")
	t.decimal(s.MinPercent, diag.BadPercent, owner+": slowStart.minPercent")
	t.decimal(s.Aggression, diag.WrongValue, owner+": slowStart.aggression")
}
