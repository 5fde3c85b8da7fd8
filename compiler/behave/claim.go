package behave

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// Claim is what somebody says of all requests of a kind to one port of an
// object.
type Claim struct {
	Of      Name
	Port    uint16
	Direct  bool                // of services: about requests as the proxies beside it get them, and not as routes make them
	When    reach.Pred          // the requests that it is about
	Holds   func(*Outcome) bool // what it says of what becomes of each
	Callers []Caller            // of services: those whose requests show it best if it does not hold
}

// Proof of a claim, or what speaks against it.
type Proof struct {
	// Regions is the number of sets of requests that the claim is about, each with
	// one outcome; 0: there is no such request, and the claim says nothing.
	Regions int
	Against *Counterexample // nil: nothing does
	// Unknown says what could not be told; nothing may be concluded then, unless
	// something speaks against the claim.
	Unknown []string
}

// Counterexample is a request of which a claim does not hold.
type Counterexample struct {
	Request *reach.Request
	Outcome Outcome
	Rule    string       // the name of the route that takes it; "" for none
	At      model.Origin // of what decides
}

// Prove decides a claim about an object of m. An error is a reach.Unknown.
func Prove(m *model.Mesh, c Claim) (*Proof, error) {
	p := &proving{claim: c, cmp: newComparison(c.Port, "", c.Callers), out: &Proof{}}
	var t table
	switch c.Of.Kind {
	case ServiceKind:
		t = p.service(m.Service(c.Of.Ref))
	case GatewayKind:
		g := m.Gateway(c.Of.Ref)
		t = gatewayTable(m, g, c.Port)
		if l := listenerOn(g, c.Port); l != nil {
			if scheme := schemeOf(g, l); scheme != "" { // others are no requests to it
				p.claim.When = reach.All(c.When, reach.Is(reach.Dim{Kind: reach.Scheme}, reach.Exactly(scheme)))
			}
		}
	case ExternalKind:
		e := m.External(c.Of.Ref)
		if e != nil {
			p.cmp.host = e.Host
		}
		t = externalTable(e, c.Port)
	}
	p.out.Unknown = rawsOf(m, m).unknown(c.Of)
	if why := unguarded(m, c.Of.Ref); c.Direct && why != "" {
		p.out.Unknown = append(p.out.Unknown, why)
	}
	if err := p.run(t); err != nil {
		return nil, err
	}
	return p.out, nil
}

// service is the table of a service that a claim is held against.
func (p *proving) service(s *model.Service) table {
	if s != nil {
		p.cmp.host = s.Host
	}
	if !p.claim.Direct || s == nil {
		return serviceTable(s, p.claim.Port)
	}
	p.claim.When = reach.All(p.claim.When, presented(s))
	return directTable(s, p.claim.Port)
}

// proving is one claim held against one table.
type proving struct {
	claim Claim
	cmp   *comparison // of nothing: it has the space, the outcomes and the rules
	out   *Proof
}

func (p *proving) run(t table) error {
	c := p.cmp
	c.from[0] = t.from
	all := []reach.Pred{p.claim.When, c.usual()}
	for _, r := range t.rules {
		all = append(all, r.when)
	}
	for _, caller := range c.callers {
		all = append(all, reach.Is(identity, reach.Exactly(caller.Identity)))
	}
	var err error
	if c.space, err = reach.New(reach.DefaultLimits, all...); err != nil {
		return err
	}
	f, err := c.function(t, &c.old)
	if err != nil {
		return err
	}
	about, err := c.space.Set(p.claim.When)
	if err != nil {
		return err
	}
	for _, n := range c.space.Outcomes(f) {
		where, err := c.space.Where(f, n)
		if err != nil {
			return err
		}
		if where, err = c.space.Intersection(where, about); err != nil {
			return err
		}
		if where.Empty() {
			continue
		}
		p.out.Regions++
		if err := p.region(where, *c.outcomes[n]); err != nil {
			return err
		}
	}
	return nil
}

// region holds the claim against requests with one outcome.
func (p *proving) region(where reach.Set, o Outcome) error {
	if o.Judged == "" {
		if p.claim.Holds(&o) {
			return nil
		}
		if p.out.Against != nil {
			return nil
		}
		by, err := p.shownBest(where, 1)
		if err != nil {
			return err
		}
		p.against(by[0], o)
		return nil
	}
	served := o
	served.Judged = ""
	ends := []Outcome{served, {Verdict: Denied}, {Verdict: Unknown}}
	if !slices.ContainsFunc(ends, func(end Outcome) bool { return !p.claim.Holds(&end) }) {
		return nil
	}
	by, err := p.shownBest(where, mostShown)
	if err != nil {
		return err
	}
	for _, q := range by {
		if end := resolve(o, p.cmp.taker(p.cmp.old, q, p.cmp.from[0]), q); !p.claim.Holds(&end) {
			p.against(q, end)
			return nil
		}
	}
	words, _ := p.cmp.space.Words(where, 1)
	p.out.Unknown = append(p.out.Unknown, fmt.Sprintf("port %d, %s: %s", p.claim.Port, strings.Join(words, ""), errJudgedLater))
	return nil
}

const errJudgedLater = "whether these are let in depends on what they are rewritten to, and no request was found that speaks against it"

// mostShown bounds the requests that are tried where it depends on each what
// becomes of it.
const mostShown = 16

// shownBest are up to most requests of a set: the least of the usual host, first
// those of the callers.
func (p *proving) shownBest(where reach.Set, most int) ([]*reach.Request, error) {
	usual, err := p.cmp.prefer(where, p.cmp.usual())
	if err != nil {
		return nil, err
	}
	var out []*reach.Request
	for _, caller := range p.cmp.callers {
		his, err := p.cmp.among(usual, reach.Is(identity, reach.Exactly(caller.Identity)))
		if err != nil {
			return nil, err
		}
		if his.Empty() {
			continue
		}
		if out = append(out, p.cmp.space.Witness(his)); len(out) == most {
			return out, nil
		}
	}
	return append(out, p.cmp.space.Witness(usual)), nil
}

// against keeps the first request that speaks against the claim; outcomes come
// in the order of the rules.
func (p *proving) against(q *reach.Request, o Outcome) {
	if p.out.Against != nil {
		return
	}
	from := p.cmp.taker(p.cmp.old, q, p.cmp.from[0])
	by := *q
	by.Host = cmp.Or(by.Host, p.cmp.host, "www.example.com") // a gateway that takes every host
	by.Port = p.claim.Port
	p.out.Against = &Counterexample{Request: &by, Outcome: o, Rule: from.name, At: from.origin}
}

// presented are the clients that a server takes for who they say they are, and
// those that say nothing: a certificate of another trust domain that is no alias is no
// identity.
func presented(s *model.Service) reach.Pred {
	out := []reach.Pred{reach.Absent(identity)}
	for _, prefix := range model.Aliased("spiffe://"+domainOf(s.SPIFFEID)+"/", s.Aliases) {
		out = append(out, reach.Is(identity, reach.BeginsWith(prefix)))
	}
	return reach.Any(out...)
}

// Leads is the service and the version that a destination is, behind a gateway;
// ok is false for others.
func (d *Destination) Leads() (service model.Ref, version string, ok bool) {
	namespace, rest, ok := strings.Cut(d.Name, "/")
	if !ok {
		return model.Ref{}, d.Name, false
	}
	name, version, ok := strings.Cut(rest, "/")
	return model.Ref{Namespace: namespace, Name: name}, version, ok
}
