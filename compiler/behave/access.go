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
	Was     model.Ref   // what it was called before, where that was something else
	Entries []Entry     // what is let in, or what changes about it
	Nothing []model.Ref // callers that declare to use it, and none of whose requests are let in
	Regions int         // sets of requests that were told apart
	Unknown []string    // about what could not be told; nothing may be concluded then
}

// WhoReaches says who can reach a service or external of m, exactly: every
// request that is let in belongs to an entry.
func WhoReaches(m *model.Mesh, ref model.Ref) *Access {
	return accessOf(&Pairing{Before: &model.Mesh{TrustDomain: m.TrustDomain}, After: m}, ref)
}

// CompareAccess says what changes about who can reach a service or external, by
// its name after, or before where there is none of it after. Without entries, nothing does.
func CompareAccess(before, after *model.Mesh, ref model.Ref) *Access {
	pairs := Pair(before, after)
	keys := pairs.keys(ref)
	out := pairs.Access(keys[0])
	for _, key := range keys[1:] {
		part := pairs.Access(key)
		out.Entries, out.Unknown = append(out.Entries, part.Entries...), append(out.Unknown, part.Unknown...)
		out.Regions += part.Regions
	}
	return out
}

// keys are the names in both meshes of what a user calls so.
func (p *Pairing) keys(ref model.Ref) []model.Ref {
	_, there := entryOf(p.After, ref)
	out := []model.Ref{ref}
	if !there {
		for key, was := range p.was {
			if was == ref && out[0] == ref {
				out[0] = key
			}
		}
	}
	shown := out[0]
	for key, as := range p.shown {
		if as == shown {
			if _, now := entryOf(p.After, key); now {
				out = append(out, key)
			}
		}
	}
	slices.SortFunc(out[1:], model.Ref.Compare)
	return out
}

// Access says what changes about who can reach what has a name in either mesh.
func (p *Pairing) Access(key model.Ref) *Access {
	out := accessOf(p, key)
	out.Nothing = nil
	out.Ref = p.Shown(key)
	out.Was, _ = p.Was(key)
	return out
}

func accessOf(pairs *Pairing, ref model.Ref) *Access {
	before, after := pairs.Before, pairs.After
	a := &accessing{before: before, after: after, ref: ref, calls: callGraph(pairs), out: &Access{Name: Name{ServiceKind, ref}}}
	a.calls.read(map[model.Ref]bool{ref: true})
	if after.External(ref) != nil || before.Service(ref) == nil && after.Service(ref) == nil {
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
