package behave

import (
	"cmp"
	"slices"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// Way is how requests come to a service or external.
type Way string

// Ways. What is there for one port of one way is told apart by who sends it.
const (
	// ByCaller is from services that declare to use it, through their proxies
	// and the routes that these have.
	ByCaller Way = "caller"
	// ByGateway is from the clients of a gateway with a route to it.
	ByGateway Way = "gateway"
	// ByPlaintext is from whoever connects to the server without mutual TLS.
	ByPlaintext Way = "plaintext"
	// ByIdentity is from whoever connects to the server with an identity that
	// neither a caller that declares to use it has nor a gateway that leads there.
	ByIdentity Way = "identity"
)

// Admission is whether and on what conditions requests are let in.
type Admission struct {
	Admitted bool     `json:"admitted"`
	Asks     []string `json:"asks,omitempty"`   // who must agree, "service: shop/guard"
	Judged   string   `json:"judged,omitempty"` // conditions on what becomes of the request on its way
}

// Entry is a set of requests, of somebody by some way, and whether they are let
// in: before and after, of which before is none where only one mesh is asked.
type Entry struct {
	Way     Way
	Port    uint16      // of the service
	Gate    uint16      // port of the gateway; 0 for other ways
	Who     []model.Ref // callers, or the gateway; none for other ways
	Holders []model.Ref // ByIdentity: services and gateways of the mesh that have such an identity
	Before  Admission
	After   Admission
	Words   []string // any of which describes some of the requests
	More    int      // descriptions that were left out
	Witness *reach.Request

	space *reach.Space
	set   reach.Set
}

// Takes says whether a request, without its identity for ByCaller, is one of
// the entry; ok is false where it has a value that no request has.
func (e *Entry) Takes(r *reach.Request) (takes, ok bool) { return e.space.Holds(e.set, r) }

// Gained says that the requests are let in now and were not.
func (e *Entry) Gained() bool { return e.After.Admitted && !e.Before.Admitted }

// Lost says that the requests were let in and are not any more.
func (e *Entry) Lost() bool { return e.Before.Admitted && !e.After.Admitted }

// Access is who can reach a service or external.
type Access struct {
	Name
	Entries []Entry     // what is let in, or what changes about it
	Nothing []model.Ref // callers that declare to use it, and none of whose requests are let in
	Regions int         // sets of requests that were told apart
	Unknown []string    // about what could not be told; nothing may be concluded then
}

// WhoReaches says who can reach a service or external of m, exactly: every
// request that is let in belongs to an entry.
func WhoReaches(m *model.Mesh, ref model.Ref) *Access {
	return accessOf(&model.Mesh{TrustDomain: m.TrustDomain}, m, ref)
}

// CompareAccess says what changes about who can reach a service or external.
// Without entries, nothing does.
func CompareAccess(before, after *model.Mesh, ref model.Ref) *Access {
	out := accessOf(before, after, ref)
	out.Nothing = nil
	return out
}

func accessOf(before, after *model.Mesh, ref model.Ref) *Access {
	a := &accessing{before: before, after: after, ref: ref, calls: callGraph(before, after), out: &Access{Name: Name{ServiceKind, ref}}}
	a.calls.read(map[model.Ref]bool{ref: true})
	if before.Service(ref) == nil && after.Service(ref) == nil {
		a.out.Kind = ExternalKind
	}
	for _, port := range a.ports() {
		a.direct(port)
		a.callers(port)
	}
	for _, g := range refs(before.Gateways, after.Gateways, func(g *model.Gateway) model.Ref { return g.Ref }) {
		a.gateway(g)
	}
	if r := rawsOf(before, after); r != nil {
		a.out.Unknown = append(a.out.Unknown, r.unknown(a.out.Name)...)
	}
	if why := cmp.Or(unguarded(after, ref), unguarded(before, ref)); why != "" {
		a.out.Unknown = append(a.out.Unknown, why)
	}
	a.nothing()
	slices.SortStableFunc(a.out.Entries, func(x, y Entry) int {
		return slices.Index(ways, x.Way) - slices.Index(ways, y.Way)
	})
	return a.out
}

// ways in the order in which they are told.
var ways = []Way{ByCaller, ByGateway, ByPlaintext, ByIdentity}

// accessing is one question on its way to an answer.
type accessing struct {
	before, after *model.Mesh
	ref           model.Ref
	calls         *calls
	out           *Access
}

func (a *accessing) ports() []uint16 {
	ports := map[uint16]bool{}
	for _, m := range []*model.Mesh{a.before, a.after} {
		servicePorts(m.Service(a.ref), ports)
		externalPorts(m.External(a.ref), ports)
	}
	return sortedKeys(ports)
}

// table of requests through the proxies of callers.
func (a *accessing) table(m *model.Mesh, port uint16) table {
	if e := m.External(a.ref); e != nil {
		return externalTable(e, port)
	}
	return serviceTable(m.Service(a.ref), port)
}

// directTable is what the proxy of a server does to requests that come to it as
// they are.
func directTable(s *model.Service, port uint16) table {
	if s == nil || s.Port(port) == nil {
		return nowhere()
	}
	rules := ruledBy(&door{service: s, port: port, who: anybody{}}, &model.Route{Origin: s.Origin}, reach.All(), &source{service: s, origin: s.Origin})
	return table{rules: rules, otherwise: &Outcome{Verdict: NoRoute}, from: &source{}}
}

// admissions is the table with nothing left of outcomes but who is let in.
func admissions(t table, leads func(*source) bool) table {
	out := table{otherwise: &Outcome{Verdict: NoRoute}, from: t.from}
	if t.otherwise.Verdict == Served && leads(t.from) {
		out.otherwise = &Outcome{Verdict: Served}
	}
	for _, r := range t.rules {
		then := &Outcome{Verdict: NoRoute}
		if r.then.Verdict == Served && leads(r.from) {
			then = &Outcome{Verdict: Served, Judged: r.then.Judged, Asks: slices.Clone(r.then.Asks)}
			for _, c := range r.then.Client {
				if ofAuthorizer(c) {
					then.Asks = append(then.Asks, "gateway "+c)
				}
			}
		}
		out.rules = append(out.rules, rule{when: r.when, then: then, from: r.from})
	}
	return out
}

func everything(*source) bool { return true }

// leadingTo says of sources whether they lead to a port of the service.
func (a *accessing) leadingTo(port uint16) func(*source) bool {
	return func(s *source) bool { return s.service != nil && s.service.Ref == a.ref && s.port == port }
}

func admissionOf(o *Outcome) Admission {
	return Admission{Admitted: o.Verdict == Served, Asks: o.Asks, Judged: o.Judged}
}

// nothing names the declared callers that no entry lets in.
func (a *accessing) nothing() {
	for _, c := range a.calls.after[a.ref] {
		in := slices.ContainsFunc(a.out.Entries, func(e Entry) bool {
			return e.Way == ByCaller && e.After.Admitted && slices.Contains(e.Who, c.Ref)
		})
		if !in {
			a.out.Nothing = append(a.out.Nothing, c.Ref)
		}
	}
}

// holders are the services and gateways of the mesh that have an identity of
// the entry, and none of those that are told by themselves.
func (a *accessing) holders(e *Entry, apart []string) ([]model.Ref, error) {
	ids := map[model.Ref]string{}
	for _, s := range a.after.Services {
		ids[s.Ref] = s.SPIFFEID
	}
	for _, g := range a.after.Gateways {
		ids[g.Ref] = g.SPIFFEID
	}
	delete(ids, a.ref)
	var out []model.Ref
	for ref, id := range ids {
		some, err := e.space.With(e.set, identity, id)
		if err != nil {
			return nil, err
		}
		if !some.Empty() && !slices.Contains(apart, id) {
			out = append(out, ref)
		}
	}
	slices.SortFunc(out, model.Ref.Compare)
	return out, nil
}
