package expect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// reachedBy decides that nobody but those named is let in by the proxies beside
// services; ports are nil for all of them.
func (r *running) reachedBy(services []*model.Service, ports []uint16, only []model.Ref, out *Result) {
	var named []behave.Caller
	for _, ref := range only {
		named = append(named, behave.Caller{Ref: ref, Identity: r.identity(ref)})
	}
	some := false
	for _, s := range services {
		on := ports
		if on == nil {
			for _, p := range s.Ports {
				on = append(on, p.Number)
			}
		}
		for _, port := range on {
			r.othersKeptOut(s, port, named, out)
			some = some || r.letsIn(s, port, named, out)
		}
	}
	if len(named) > 0 && !some && out.Verdict == Holds {
		out.Regions = 0
	}
	out.conclude("none of those named is let in")
}

func (r *running) identity(ref model.Ref) string {
	if g := r.mesh.Gateway(ref); g != nil {
		return g.SPIFFEID
	}
	return r.mesh.Service(ref).SPIFFEID
}

// othersKeptOut looks for somebody who is not named and is let in: best a caller
// that declares to use the service, or another one of the mesh.
func (r *running) othersKeptOut(s *model.Service, port uint16, named []behave.Caller, out *Result) {
	known := r.likely(s)
	p, err := behave.Prove(r.mesh, behave.Claim{
		Of: behave.Name{Kind: behave.ServiceKind, Ref: s.Ref}, Port: port, Direct: true, Callers: known,
		When:  reach.Not(identityOf(named)),
		Holds: func(o *behave.Outcome) bool { return o.Verdict != behave.Served },
	})
	if err != nil {
		out.Unknown = append(out.Unknown, fmt.Sprintf("%s port %d: %s", s.Ref, port, err))
		return
	}
	out.Regions += p.Regions
	out.Unknown = append(out.Unknown, p.Unknown...)
	if p.Against != nil && out.Verdict != Fails {
		r.getsIn(s, known, p.Against, out)
	}
}

// mostLikely bounds the services that are tried as examples of somebody else.
const mostLikely = 32

// likely are those whose requests show best that somebody gets in: who declares to
// use the service, then gateways, then others of the mesh.
func (r *running) likely(s *model.Service) []behave.Caller {
	var out, others []behave.Caller
	for _, o := range r.mesh.Services {
		c := behave.Caller{Ref: o.Ref, Identity: o.SPIFFEID}
		if slices.Contains(o.Uses, s.Ref) {
			out = append(out, c)
		} else if len(others) < mostLikely {
			others = append(others, c)
		}
	}
	for _, g := range r.mesh.Gateways {
		out = append(out, behave.Caller{Ref: g.Ref, Identity: g.SPIFFEID})
	}
	return append(out, others...)
}

// getsIn notes a request of somebody who is not named.
func (r *running) getsIn(s *model.Service, known []behave.Caller, c *behave.Counterexample, out *Result) {
	out.Verdict, out.Request, out.RuleAt = Fails, c.Request.String(), rulesAt(s)
	who := "a client without identity"
	if id := c.Request.Identity; id != "" {
		who = "whoever has the identity " + id
	}
	for _, k := range known {
		if k.Identity != c.Request.Identity {
			continue
		}
		who = k.Ref.String()
		a, ok := r.ask(k.Ref, c.Request)
		if ok && r.mesh.Gateway(k.Ref) == nil && endingOf(a).outcome == allowed {
			out.Replay, out.Why = Command(k.Ref, c.Request), a.Authorization.Rule
		}
		break
	}
	out.Unmet = []string{fmt.Sprintf("reachedBy: %s lets %s in", s.Ref, who)}
	if out.Replay == "" {
		out.Why = "its own proxy may keep it back, and that of " + s.Ref.String() + " does not"
	}
}

// rulesAt is where it says who is let in.
func rulesAt(s *model.Service) string {
	for _, r := range s.Allow {
		if !r.Origin.IsZero() {
			return r.Origin.String()
		}
	}
	return s.Origin.String()
}

// letsIn says that some request of those named is let in.
func (r *running) letsIn(s *model.Service, port uint16, named []behave.Caller, out *Result) bool {
	p, err := behave.Prove(r.mesh, behave.Claim{
		Of: behave.Name{Kind: behave.ServiceKind, Ref: s.Ref}, Port: port, Direct: true,
		When: identityOf(named), Holds: func(o *behave.Outcome) bool { return o.Verdict != behave.Served },
	})
	if err != nil {
		out.Unknown = append(out.Unknown, fmt.Sprintf("%s port %d: %s", s.Ref, port, err))
		return true
	}
	return p.Against != nil
}

// link is a call of which some request is let in.
type link struct {
	to     model.Ref
	by     *reach.Request
	copies model.Origin // the mirror that makes copies of other calls; zero for a call
}

// calling is all links from one service or gateway, and how they were found.
type calling struct {
	links   []link
	regions int
	unknown []string
}

// notReachedFrom decides that no chain of calls leads from sources to targets,
// but through those excepted.
func (r *running) notReachedFrom(targets, sources, except []model.Ref, out *Result) {
	type step struct {
		at    model.Ref
		chain []string
	}
	seen := map[model.Ref]bool{}
	var work []step
	for _, s := range sources {
		seen[s] = true
		work = append(work, step{s, []string{s.String()}})
	}
	for ; len(work) > 0; work = work[1:] {
		at := work[0]
		calls := r.calls(at.at)
		out.Regions += calls.regions
		out.Unknown = append(out.Unknown, calls.unknown...)
		for _, l := range calls.links {
			chain := append(slices.Clip(at.chain), l.to.String())
			if slices.Contains(targets, l.to) {
				out.Chain = chain
				r.leads(at.at, l, out)
				return
			}
			if !seen[l.to] && !slices.Contains(except, l.to) {
				seen[l.to] = true
				work = append(work, step{l.to, chain})
			}
		}
	}
	if len(out.Unknown) > 0 {
		out.Verdict = Unknown
	}
}

// leads notes the last link of a chain. Nobody sends copies on purpose, so there
// is no command that sends one.
func (r *running) leads(from model.Ref, l link, out *Result) {
	unmet := []string{"notReachedFrom: " + strings.Join(out.Chain, " calls ")}
	if l.copies.IsZero() {
		r.fails(from, l.by, unmet, out)
		return
	}
	out.Verdict, out.Unmet, out.Request, out.shown, out.sender = Fails, unmet, l.by.String(), l.by, from
	out.RuleAt, out.Why = l.copies.String(), fmt.Sprintf("requests of %s are copied to %s", from, l.to)
}

// calls are the links from a service or gateway, in the order of references, and
// then those of copies.
func (r *running) calls(from model.Ref) *calling {
	if known := r.links[from]; known != nil {
		return known
	}
	found := &calling{}
	note := func(to model.Ref, copies model.Origin, c behave.Claim) {
		p, err := behave.Prove(r.mesh, c)
		if err != nil {
			found.unknown = append(found.unknown, fmt.Sprintf("%s to %s: %s", from, to, err))
			return
		}
		found.regions += p.Regions
		found.unknown = append(found.unknown, p.Unknown...)
		if p.Against != nil && !slices.ContainsFunc(found.links, func(l link) bool { return l.to == to }) {
			found.links = append(found.links, link{to, p.Against.Request, copies})
		}
	}
	add := func(to model.Ref, c behave.Claim) { note(to, model.Origin{}, c) }
	var copied []model.Mirror
	if g := r.mesh.Gateway(from); g != nil {
		r.callsOfGateway(g, add)
		copied = g.Copies()
	} else {
		s := r.mesh.Service(from)
		r.callsOfService(s, add)
		copied = r.mesh.CopiesOf(s)
	}
	self := []behave.Caller{{Ref: from, Identity: r.identity(from)}}
	for _, m := range copied {
		note(m.Service, m.Origin, behave.Claim{
			Of: behave.Name{Kind: behave.ServiceKind, Ref: m.Service}, Port: m.Port, Direct: true, When: identityOf(self), Callers: self,
			Holds: func(o *behave.Outcome) bool { return o.Verdict != behave.Served },
		})
	}
	r.links[from] = found
	return found
}

func (r *running) callsOfService(s *model.Service, add func(model.Ref, behave.Claim)) {
	self := []behave.Caller{{Ref: s.Ref, Identity: s.SPIFFEID}}
	for _, to := range s.Uses {
		t := r.mesh.Service(to)
		if t == nil {
			continue // an external calls nobody here
		}
		for _, p := range t.Ports {
			add(to, behave.Claim{
				Of: behave.Name{Kind: behave.ServiceKind, Ref: to}, Port: p.Number, When: identityOf(self), Callers: self,
				Holds: func(o *behave.Outcome) bool { return o.Verdict != behave.Served },
			})
		}
	}
}

func (r *running) callsOfGateway(g *model.Gateway, add func(model.Ref, behave.Claim)) {
	var to []model.Ref
	for _, l := range g.Listeners {
		for _, h := range l.Hosts {
			for _, route := range h.Routes {
				if !route.Itself() {
					to = append(to, route.Service)
				}
			}
		}
	}
	slices.SortFunc(to, model.Ref.Compare)
	for _, ref := range slices.Compact(to) {
		for _, l := range g.Listeners {
			add(ref, behave.Claim{
				Of: behave.Name{Kind: behave.GatewayKind, Ref: g.Ref}, Port: l.Port,
				Holds: func(o *behave.Outcome) bool {
					return !slices.ContainsFunc(o.To, func(d behave.Destination) bool {
						service, _, _ := d.Leads()
						return service == ref
					})
				},
			})
		}
	}
}
