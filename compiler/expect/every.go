package expect

import (
	"fmt"
	"slices"

	"github.com/meshc/meshc/compiler/answer"
	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/lower"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// everyOfService decides what is said of every request of the callers.
func (r *running) everyOfService(s *model.Service, ports []uint16, e *intent.Expect, out *Result) {
	w := wantedOf(e, s.Ref)
	when := reach.OfMatches(lower.Matches(e.Every))
	var declare, others []behave.Caller
	for _, c := range r.callers(s.Ref, e) {
		if slices.Contains(r.mesh.Service(c.Ref).Uses, s.Ref) {
			declare = append(declare, c)
		} else {
			others = append(others, c)
		}
	}
	for _, port := range ports {
		r.prove(behave.Claim{
			Of: behave.Name{Kind: behave.ServiceKind, Ref: s.Ref}, Port: port, When: reach.All(when, identityOf(declare)), Callers: declare,
		}, declare, w, out)
	}
	if len(others) > 0 {
		r.undeclared(s, ports[0], when, others, w, out)
	}
	out.asked(s.Ref, s.Authorizer, w)
	out.conclude("no caller sends such a request")
}

// asked remarks that somebody decides too about what is expected to be let in.
func (out *Result) asked(by model.Ref, a *model.Authorizer, w *wanted) {
	letIn := w.to != nil || w.service != nil || w.outcome != nil && *w.outcome == allowed
	if a.Some() && letIn && out.Verdict == Holds {
		out.Remarks = append(out.Remarks, fmt.Sprintf("%s is asked by %s, and may refuse", a.Service, by))
	}
}

// callers that every request is asked of.
func (r *running) callers(of model.Ref, e *intent.Expect) []behave.Caller {
	var out []behave.Caller
	if e.From != nil {
		for _, ref := range refsOf(e.From, of.Namespace) {
			out = append(out, behave.Caller{Ref: ref, Identity: r.mesh.Service(ref).SPIFFEID})
		}
		return out
	}
	for _, s := range r.mesh.Services {
		if slices.Contains(s.Uses, of) {
			out = append(out, behave.Caller{Ref: s.Ref, Identity: s.SPIFFEID})
		}
	}
	return out
}

func identityOf(callers []behave.Caller) reach.Pred {
	var any []reach.Pred
	for _, c := range callers {
		any = append(any, reach.Is(reach.Dim{Kind: reach.Identity}, reach.Exactly(c.Identity)))
	}
	return reach.Any(any...)
}

// undeclared holds callers against it whose proxies do not know the service: all
// their requests end there.
func (r *running) undeclared(s *model.Service, port uint16, when reach.Pred, callers []behave.Caller, w *wanted, out *Result) {
	q, err := reach.Find(when)
	switch {
	case err != nil:
		out.Unknown = append(out.Unknown, err.Error())
		return
	case q == nil:
		return
	}
	out.Regions++
	e := ending{outcome: "not-declared"}
	if unmet := w.unmet(&e); len(unmet) > 0 && out.Verdict != Fails {
		q.Host, q.Port = s.Host, port
		r.fails(callers[0].Ref, q, unmet, out)
	}
}

// everyOfGateway decides what is said of every request of clients.
func (r *running) everyOfGateway(g *model.Gateway, e *intent.Expect, out *Result) {
	w := wantedOf(e, g.Ref)
	when := reach.OfMatches(lower.Matches(e.Every))
	for _, l := range listenersOf(g, e) {
		r.prove(behave.Claim{Of: behave.Name{Kind: behave.GatewayKind, Ref: g.Ref}, Port: l.Port, When: when}, []behave.Caller{{Ref: g.Ref}}, w, out)
	}
	out.asked(g.Ref, g.Authorizer, w)
	out.conclude("no request to the gateway is one")
}

// prove holds a claim against the mesh, whose counterexamples one of senders sends.
func (r *running) prove(c behave.Claim, senders []behave.Caller, w *wanted, out *Result) {
	c.Holds = func(o *behave.Outcome) bool {
		e := endingOfOutcome(o, c.Of)
		return len(w.unmet(&e)) == 0
	}
	p, err := behave.Prove(r.mesh, c)
	if err != nil {
		out.Unknown = append(out.Unknown, fmt.Sprintf("port %d: %s", c.Port, err))
		return
	}
	out.Regions += p.Regions
	for _, u := range p.Unknown {
		if !slices.Contains(out.Unknown, u) {
			out.Unknown = append(out.Unknown, u)
		}
	}
	if p.Against == nil || out.Verdict == Fails {
		return
	}
	e := endingOfOutcome(&p.Against.Outcome, c.Of)
	r.shows(senders, p.Against, w.unmet(&e), out)
}

// shows notes a counterexample, by whom of senders it is sent.
func (r *running) shows(senders []behave.Caller, c *behave.Counterexample, unmet []string, out *Result) {
	out.Rule, out.RuleAt, out.Why = c.Rule, c.At.String(), c.Outcome.String()
	for _, s := range senders {
		if s.Identity == "" || s.Identity == c.Request.Identity {
			r.fails(s.Ref, c.Request, unmet, out)
			return
		}
	}
}

// fails notes a request of from that is not as expected.
func (r *running) fails(from model.Ref, q *reach.Request, unmet []string, out *Result) {
	out.Verdict, out.Unmet = Fails, unmet
	out.Request, out.Replay = q.String(), ""
	out.shown, out.sender = q, from
	// The command line goes by the host, and a proxy by the address.
	if a, ok := r.ask(from, q); ok && a.Outcome != answer.UnknownHost {
		out.told(a)
		out.Replay = Command(from, q)
	}
}

// conclude gives a verdict, when all was looked at.
func (out *Result) conclude(nothing string) {
	switch {
	case out.Verdict == Fails:
	case len(out.Unknown) > 0:
		out.Verdict = Unknown
	case out.Regions == 0:
		out.Verdict, out.Why = Vacuous, nothing
	}
}

// verdicts of package behave in the words of package answer.
var verdicts = map[behave.Verdict]string{
	behave.Served: allowed, behave.Denied: "denied", behave.Unknown: "unauthenticated", behave.NoRoute: "no-route",
	behave.Refused: refused, behave.Nowhere: nowhere,
}

// endingOfOutcome is what package behave says of requests to an object.
func endingOfOutcome(o *behave.Outcome, of behave.Name) ending {
	e := ending{outcome: verdicts[o.Verdict]}
	for _, f := range []struct {
		kind string
		of   *behave.FaultOf
	}{{"delay", o.Delay}, {"abort", o.Abort}, {"bandwidth", o.Slow}} {
		if f.of != nil {
			e.faults = append(e.faults, fmt.Sprintf("%s %s for %s %%", f.kind, f.of.What, model.Hundredths(f.of.BasisPoints)))
		}
	}
	switch {
	case o.Redirect != nil:
		e.outcome, e.status = "redirected", o.Redirect.Status
	case o.Respond != nil:
		e.outcome, e.status = "answered", o.Respond.Status
	case o.Verdict == behave.Served:
		e.service, e.split, e.timeout = of.Ref, map[string]uint32{}, o.Timeout
		for i := range o.To {
			service, version, behind := o.To[i].Leads()
			if behind {
				e.service = service
			}
			e.split[version] += o.To[i].BasisPoints
		}
		if o.Retry != nil {
			e.retries = o.Retry.Attempts
		}
	default:
		e.status = statuses[e.outcome]
	}
	return e
}
