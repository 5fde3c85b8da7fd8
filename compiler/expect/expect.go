// Package expect holds a mesh against what is expected of it (`expect` of the
// language): examples are answered as `meshc route` answers them, and what is said
// of every request, or of who is let in, is decided by package behave for all of
// them, or is unknown. Whatever does not hold has a request that shows it.
package expect

import (
	"regexp"
	"time"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
	"github.com/meshc/meshc/compiler/scope"
)

// Verdict about one expectation.
type Verdict string

// Verdicts.
const (
	Holds   Verdict = "holds"
	Fails   Verdict = "fails"
	Vacuous Verdict = "vacuous" // nothing is there that it is about
	Unknown Verdict = "unknown" // could not be told
)

// RuleKind is the kind of a test of a rule (package policies), which is no
// expectation of the mesh and is told beside them.
const RuleKind = "rule"

// Result is what became of one expectation.
type Result struct {
	Owner   string     `json:"owner"` // `service shop/reviews`, `gateway shop/ingress`, `mesh`, or `rule owned`
	Name    string     `json:"name"`
	Kind    string     `json:"kind"` // request, every, reachedBy, notReachedFrom, or rule
	At      diag.Range `json:"at"`
	Verdict Verdict    `json:"verdict"`
	// Regions is how many sets of requests were looked at, each with one outcome; of
	// one request 1.
	Regions int      `json:"regions"`
	Unmet   []string `json:"unmet,omitempty"`   // what is not as expected, "to: want v2 100 %, got v1 100 %"
	Why     string   `json:"why,omitempty"`     // what becomes of the request instead
	Rule    string   `json:"rule,omitempty"`    // the route that takes it
	RuleAt  string   `json:"ruleAt,omitempty"`  // of what decides
	Request string   `json:"request,omitempty"` // in one line
	// Replay is the command that says more about the request; "" where no proxy of
	// the mesh would send it.
	Replay  string   `json:"replay,omitempty"`
	Chain   []string `json:"chain,omitempty"`   // of calls, from the first caller on
	Remarks []string `json:"remarks,omitempty"` // what the verdict leaves out
	Unknown []string `json:"unknown,omitempty"` // why it could not be told

	shown  *reach.Request // the request
	sender model.Ref      // of the request, where it is known
}

// Options of a run.
type Options struct {
	Now  time.Time      // against which ends of faults are judged, for remarks
	Only *regexp.Regexp // of "<owner>/<name>"; nil for all
}

// Report is what became of all expectations, in the order of the source.
type Report struct {
	Results []Result `json:"results"`
	Written int      `json:"written"` // also those that Options.Only leaves out
}

// Join adds what became of others.
func (r *Report) Join(o *Report) {
	r.Results = append(r.Results, o.Results...)
	r.Written += o.Written
}

// Count of results with a verdict.
func (r *Report) Count(v Verdict) int {
	n := 0
	for i := range r.Results {
		if r.Results[i].Verdict == v {
			n++
		}
	}
	return n
}

// Run holds m, which is in lowered, against what in expects of it.
func Run(in *intent.Mesh, m *model.Mesh, opts Options) *Report {
	r := &running{mesh: m, now: opts.Now, only: opts.Only, links: map[model.Ref]*calling{}, out: &Report{Results: []Result{}}}
	for _, s := range in.Services {
		for _, e := range s.Expect {
			r.one("service "+scope.ServiceRef(s).String(), e.Name, func(out *Result) { r.service(s, e, out) })
		}
	}
	for _, g := range in.Gateways {
		for _, e := range g.Expect {
			r.one("gateway "+scope.GatewayRef(g).String(), e.Name, func(out *Result) { r.gateway(g, e, out) })
		}
	}
	for _, e := range in.Config.Expect {
		r.one("mesh", e.Name, func(out *Result) { r.whole(e, out) })
	}
	return r.out
}

// running is one run over a mesh.
type running struct {
	mesh  *model.Mesh
	now   time.Time
	only  *regexp.Regexp
	links map[model.Ref]*calling // of the call graph, as far as it is known
	out   *Report
}

func (r *running) one(owner string, name intent.Value[string], judge func(*Result)) {
	r.out.Written++
	if r.only != nil && !r.only.MatchString(owner+"/"+name.V) {
		return
	}
	out := Result{Owner: owner, Name: name.V, At: name.At, Verdict: Holds}
	judge(&out)
	r.out.Results = append(r.out.Results, out)
}

func (r *running) service(s *intent.Service, e *intent.Expect, out *Result) {
	ref := scope.ServiceRef(s)
	svc := r.mesh.Service(ref)
	switch {
	case e.Request != nil:
		out.Kind = "request"
		from := literal.Ref(e.Request.From.V, ref.Namespace)
		r.example(from, r.serviceRequest(svc, s, e), wantedOf(e, ref), out)
	case e.ReachedBy != nil:
		out.Kind = "reachedBy"
		r.reachedBy([]*model.Service{svc}, portsOf(svc, s, e, true), refsOf(e.ReachedBy.Only, ref.Namespace), out)
	default:
		out.Kind = "every"
		r.everyOfService(svc, portsOf(svc, s, e, false), e, out)
	}
}

func (r *running) gateway(g *intent.Gateway, e *intent.Expect, out *Result) {
	ref := scope.GatewayRef(g)
	gw := r.mesh.Gateway(ref)
	if e.Request != nil {
		out.Kind = "request"
		r.example(ref, r.gatewayRequest(gw, e), wantedOf(e, ref), out)
		return
	}
	out.Kind = "every"
	r.everyOfGateway(gw, e, out)
}

func (r *running) whole(e *intent.ExpectMesh, out *Result) {
	targets := refsOf(e.Services, scope.DefaultNamespace)
	if e.ReachedBy == nil {
		out.Kind = "notReachedFrom"
		r.notReachedFrom(targets, refsOf(e.NotReachedFrom, scope.DefaultNamespace), refsOf(e.ExceptThrough, scope.DefaultNamespace), out)
		return
	}
	out.Kind = "reachedBy"
	var services []*model.Service
	for _, ref := range targets {
		services = append(services, r.mesh.Service(ref))
	}
	r.reachedBy(services, nil, refsOf(e.ReachedBy.Only, scope.DefaultNamespace), out)
}

// portsOf are the ports that an expectation is about: the one that it names, or
// all that carry requests, or all.
func portsOf(svc *model.Service, s *intent.Service, e *intent.Expect, all bool) []uint16 {
	if e.Port != nil {
		return []uint16{uint16(scope.Port(s.Ports, e.Port.V).Number.V)}
	}
	var out []uint16
	for _, p := range svc.Ports {
		if all || !p.Protocol.Opaque() {
			out = append(out, p.Number)
		}
	}
	return out
}

func refsOf(names []intent.Value[string], namespace string) []model.Ref {
	var out []model.Ref
	for _, n := range names {
		out = append(out, literal.Ref(n.V, namespace))
	}
	return out
}
