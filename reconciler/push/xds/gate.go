package xds

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"time"
)

// Wait is something that is held back, and why.
type Wait struct {
	Key      Key  // what is held; the name "*" stands for a whole type
	On       Key  // what it waits for; no name: for everything before it
	Endpoint bool // it waits for On, a cluster, to have an endpoint
	Since    time.Time
	TimedOut bool
}

// waitKey tells waits of one session apart.
type waitKey struct {
	held, on Key
	endpoint bool
}

// String gives "RDS a waits for CDS b", and says whether too long.
func (w Wait) String() string {
	text := w.Key.String() + " waits for " + w.On.String()
	switch {
	case w.Endpoint:
		text += " to have an endpoint"
	case w.Key == drainKey:
		text = "removals wait until all additions are confirmed"
	case w.On.Name == "":
		text = w.Key.Type.String() + " waits until all of it can be sent"
	}
	if w.TimedOut {
		text += " (timed out)"
	}
	return text
}

// drainKey stands for "removals wait until the additions are taken".
var drainKey = Key{SDS, "(removals)"}

// open says whether a resource may be sent now. A reference to a cluster that
// the client does not serve yet holds it for good, because traffic would be
// lost; an order that is only a preference, and a cluster that has no instance
// yet, hold it until the timeout.
func (p *planner) open(r *Resource) bool {
	if c, cold := p.coldCluster(r); cold {
		p.lapsed(waitKey{held: r.Key, on: c})
		p.keepWaits(r.Key)
		return false
	}
	if user, late := p.lateUser(r.Key); late {
		return p.lapsed(waitKey{held: r.Key, on: user})
	}
	return p.filled(r)
}

// lapsed books a wait and says whether it has run out.
func (p *planner) lapsed(k waitKey) bool {
	w := &Wait{Key: k.held, On: k.on, Endpoint: k.endpoint, Since: p.now}
	if old := p.session.waits[k]; old != nil {
		w.Since = old.Since
	}
	w.TimedOut = p.now.Sub(w.Since) >= p.timeout
	p.waits[k] = w
	return w.TimedOut
}

// keepWaits keeps the waits for endpoints of a resource that is held by something
// else in this pass: endpoints that come and go must not start them again.
func (p *planner) keepWaits(held Key) {
	for k := range p.session.waits {
		if k.held == held && k.endpoint {
			p.lapsed(k)
		}
	}
}

// coldCluster finds a cluster that a listener or route configuration sends
// traffic to and that is not warm.
func (p *planner) coldCluster(r *Resource) (Key, bool) {
	if r.Type != LDS && r.Type != RDS || !p.types[CDS].wild {
		return Key{}, false // a client that asks for clusters by name asks after it has the route
	}
	for _, k := range r.Needs {
		switch k.Type {
		case CDS:
			if !p.warm(k) {
				return k, true
			}
		case RDS:
			if rc := p.goal(k); rc != nil {
				if c, cold := p.coldCluster(rc); cold {
					return c, true
				}
			}
		}
	}
	return Key{}, false
}

// goal is what the client is led to under a key.
func (p *planner) goal(k Key) *Resource {
	if want, _ := p.wanted(k); want != nil {
		return want
	}
	if want := p.target.get(k); want != nil {
		return want
	}
	return p.retained[k]
}

// warm says whether a cluster serves: the client confirmed it in the wanted
// version, and subscribed to and confirmed what it warms on.
func (p *planner) warm(k Key) bool {
	held := p.types[CDS].acked[k.Name]
	want, v := p.wanted(k)
	if held == nil || held.opaque || !p.confirmedNow(k) || v == send || want != nil && want.Version != held.Version {
		return false
	}
	for _, need := range held.Needs {
		if !p.confirmedNow(need) {
			return false
		}
	}
	return true
}

// confirmedNow says whether the client confirmed a resource and nothing newer
// of it has to be sent or is on its way.
func (p *planner) confirmedNow(k Key) bool {
	ts := &p.types[k.Type]
	return ts.acked[k.Name] != nil && !ts.force[k.Name] && !ts.unsure[k.Name] && !ts.moving(k.Name)
}

// lateUser finds a resource that refers to k and whose own change has to be on
// its way before k's: endpoints follow their cluster, route configurations
// their listener. On its way is enough: Envoy confirms a cluster only when it
// is warm, which takes the endpoints.
func (p *planner) lateUser(k Key) (Key, bool) {
	if k.Type != EDS && k.Type != RDS {
		return Key{}, false
	}
	for _, u := range p.target.users[k] {
		ts := &p.types[u.Type]
		if !ts.seen || !ts.wild && !ts.subs[u.Name] || ts.moving(u.Name) {
			continue
		}
		if _, v := p.wanted(u); v == send {
			return u, true
		}
	}
	return Key{}, false
}

// moving says whether an answer on the name is awaited.
func (ts *typeState) moving(name string) bool {
	if ts.flight == nil {
		return false
	}
	_, moving := ts.flight.items[name]
	return moving
}

// closed says whether everything that the client's resources refer to is in
// its hands too: a client still fetching what a new route needs may be using
// the old one.
func (p *planner) closed() bool {
	if p.types[CDS].wild && !p.types[LDS].seen {
		return false
	}
	for t := range p.types {
		for _, r := range p.types[t].acked {
			if r != nil && !p.hasNeeds(r) {
				return false
			}
		}
	}
	return true
}

func (p *planner) hasNeeds(r *Resource) bool {
	for _, k := range r.Needs {
		if _, known := p.types[k.Type].acked[k.Name]; !known && p.goal(k) != nil {
			return false
		}
	}
	return true
}

// complete says whether the client's subscriptions amount to a whole
// configuration: a proxy takes all clusters and listeners and what they refer
// to, a client that names its listeners has at least one.
func (p *planner) complete() bool {
	lds, cds := &p.types[LDS], &p.types[CDS]
	if lds.wild || cds.wild {
		return lds.wild && cds.wild && p.closed()
	}
	return len(lds.subs) > 0
}

// setVersion names a set of resources.
func setVersion(set map[string]*Resource) string {
	h := sha256.New()
	for _, n := range sorted(set) {
		io.WriteString(h, fmt.Sprintf("%d:%s%s\n", len(n), n, set[n].Version))
	}
	return hex.EncodeToString(h.Sum(nil)[:12])
}
