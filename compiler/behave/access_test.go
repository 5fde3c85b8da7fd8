package behave_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/answer"
	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// admitted says what entries of one way say of a request; known is false where
// conditions on what becomes of it on its way decide.
func admitted(entries []behave.Entry, q *reach.Request, of func(*behave.Entry) bool, side func(*behave.Entry) behave.Admission) (yes, known bool) {
	for i := range entries {
		e := &entries[i]
		if !of(e) {
			continue
		}
		if takes, _ := e.Takes(q); takes {
			a := side(e)
			return a.Admitted, a.Judged == ""
		}
	}
	return false, true
}

func after(e *behave.Entry) behave.Admission { return e.After }

// direct asks the server's proxy itself about a request that comes as it is.
func direct(m *model.Mesh, s *model.Service, q *reach.Request) bool {
	mode := s.ModeOn(q.Port)
	id := q.Identity
	if mode == model.MTLSDisable {
		id = ""
	}
	if s.Port(q.Port) == nil || mode == model.MTLSStrict && id == "" {
		return false
	}
	req := &answer.Request{Method: q.Method, Host: q.Host, Port: q.Port, Target: q.Target(), Headers: q.Fields(), Claims: q.Claims}
	if ip, err := netip.ParseAddr(q.Address); err == nil {
		req.Source = ip
	}
	if said := answer.Authenticate(s.JWT, s.Public, req); said != nil && !said.Passed {
		return false
	}
	return answer.Authorize(m.TrustDomain, s, id, req, q.Port).Allowed
}

// throughGate asks a gateway, and says whether the request is let in to a port
// of the service.
func throughGate(m *model.Mesh, g *model.Gateway, ref model.Ref, q *reach.Request) (port uint16, in bool) {
	req := &answer.Request{Method: q.Method, Host: q.Host, Port: q.Port, Target: q.Target(), Headers: q.Fields(), Claims: q.Claims, TLS: q.Scheme == "https"}
	if ip, err := netip.ParseAddr(q.Address); err == nil {
		req.Source = ip
	}
	req.Client, _ = netip.ParseAddr(q.Client)
	req.Through, _ = netip.ParseAddr(q.Through)
	for _, l := range g.Listeners {
		if g.TrustedHops > 0 && l.Port == q.Port {
			req.TLS = l.TLS != nil
		}
	}
	got, ok := answer.Ask(m, g.Ref, req, time.Unix(0, 0))
	if !ok || got.Outcome != answer.Allowed || *got.Service != ref {
		return 0, false
	}
	_, err := fmt.Sscanf(got.Route.Split[0].Cluster, "outbound|%d|", &port)
	return port, err == nil
}

type accessTally struct{ requests, in, unknown int }

// TestAccessAgainstAnswer holds who can reach what against package answer, which
// knows no diagrams: of generated meshes, every service, every way, and requests
// that some condition accepts or nearly does.
func TestAccessAgainstAnswer(t *testing.T) {
	seeds, draws := uint64(12), 40
	if os.Getenv("MESHC_SOAK") != "" {
		seeds, draws = 100, 200
	}
	var sum accessTally
	for seed := range seeds {
		m := generated(t, seed)
		rng := rand.New(rand.NewPCG(seed, 3))
		for _, s := range m.Services {
			access := behave.WhoReaches(m, s.Ref)
			if len(access.Unknown) > 0 {
				sum.unknown++
				continue
			}
			for range draws {
				sum.one(t, rng, m, s, access)
			}
			if t.Failed() {
				t.Fatalf("seed %d, service %s", seed, s.Ref)
			}
		}
	}
	t.Logf("%d requests, of which %d are let in; %d services unknown", sum.requests, sum.in, sum.unknown)
	if sum.in*20 < sum.requests || sum.in*20 > 19*sum.requests {
		t.Errorf("too few requests of one kind to tell")
	}
}

// one draws a request for each way and compares.
func (sum *accessTally) one(t *testing.T, rng *rand.Rand, m *model.Mesh, s *model.Service, access *behave.Access) {
	t.Helper()
	check := func(q *reach.Request, way behave.Way, of func(*behave.Entry) bool, want bool) {
		t.Helper()
		got, known := admitted(access.Entries, q, func(e *behave.Entry) bool { return e.Way == way && of(e) }, after)
		if !known {
			return
		}
		sum.requests++
		if want {
			sum.in++
		}
		if got != want {
			t.Errorf("%s: %s: let in %v, and package answer says %v", way, q, got, want)
		}
	}
	name := behave.Name{Kind: behave.ServiceKind, Ref: s.Ref}
	q := askable(name, m, m).draw(rng)
	onPort := func(e *behave.Entry) bool { return e.Port == q.Port }
	for _, caller := range m.Services {
		if slices.Contains(caller.Uses, s.Ref) {
			q.Identity = caller.SPIFFEID
			check(q, behave.ByCaller, func(e *behave.Entry) bool { return onPort(e) && slices.Contains(e.Who, caller.Ref) }, judge(m, name, q).Outcome == "allowed")
		}
	}
	q.Identity = ""
	check(q, behave.ByPlaintext, onPort, direct(m, s, q))
	for _, id := range append(strangers(m, s), "spiffe://"+m.TrustDomain+"/ns/nowhere/sa/nobody", "spiffe://elsewhere/ns/a/sa/b") {
		if q.Identity = id; s.ModeOn(q.Port) != model.MTLSDisable {
			check(q, behave.ByIdentity, onPort, direct(m, s, q))
		}
	}
	for _, g := range m.Gateways {
		q := askable(behave.Name{Kind: behave.GatewayKind, Ref: g.Ref}, m, m).draw(rng)
		port, in := throughGate(m, g, s.Ref, q)
		check(q, behave.ByGateway, func(e *behave.Entry) bool {
			return e.Gate == q.Port && slices.Contains(e.Who, g.Ref) && (!in || e.Port == port)
		}, in)
	}
}

// strangers are the identities of services that neither declare to use s nor are
// shared with such a one or with a gateway.
func strangers(m *model.Mesh, s *model.Service) []string {
	known := map[string]bool{}
	for _, o := range m.Services {
		if slices.Contains(o.Uses, s.Ref) {
			known[o.SPIFFEID] = true
		}
	}
	for _, g := range m.Gateways {
		known[g.SPIFFEID] = true
	}
	var out []string
	for _, o := range m.Services {
		if !known[o.SPIFFEID] {
			out = append(out, o.SPIFFEID)
		}
	}
	return out
}

// TestAccessDifferencesAgainstAnswer changes one field of generated meshes after
// the other: a request is let in otherwise exactly where it belongs to an entry.
func TestAccessDifferencesAgainstAnswer(t *testing.T) {
	seeds, share, draws := uint64(3), 200, 10
	if os.Getenv("MESHC_SOAK") != "" {
		seeds, share, draws = 50, 100, 40
	}
	tried, changed, differ := 0, 0, 0
	for seed := range seeds {
		m := generated(t, seed)
		rng := rand.New(rand.NewPCG(seed, 4))
		for _, mu := range mutations(t, m) {
			if rng.IntN(share) != 0 {
				continue
			}
			other := mu.make(m)
			if faulted(m, other); !sound(other) {
				continue
			}
			tried++
			for _, s := range m.Services {
				now := other.Service(s.Ref)
				if now == nil {
					continue
				}
				access := behave.CompareAccess(m, other, s.Ref)
				if len(access.Entries) > 0 {
					changed++
				}
				for range draws {
					differ += differAt(t, rng, access, m, other, s, now)
				}
				if t.Failed() {
					t.Fatalf("seed %d, service %s, %s", seed, s.Ref, mu.where)
				}
			}
		}
	}
	t.Logf("%d mutations, %d services are reached otherwise, shown by %d requests", tried, changed, differ)
	if changed == 0 || differ == 0 {
		t.Error("nothing changed who can reach what")
	}
}

// differAt draws a request and compares what changes with what package answer
// says of both meshes; it gives how many ways let it in otherwise.
func differAt(t *testing.T, rng *rand.Rand, access *behave.Access, m, other *model.Mesh, s, now *model.Service) (differ int) {
	t.Helper()
	if len(access.Unknown) > 0 {
		return 0
	}
	name := behave.Name{Kind: behave.ServiceKind, Ref: s.Ref}
	check := func(q *reach.Request, way behave.Way, of func(*behave.Entry) bool, was, is bool) {
		t.Helper()
		for i := range access.Entries {
			e := &access.Entries[i]
			if takes, _ := e.Takes(q); e.Way != way || e.Port != q.Port || !of(e) || !takes {
				continue
			}
			if e.Before.Judged+e.After.Judged == "" && (e.Before.Admitted != was || e.After.Admitted != is) {
				t.Errorf("%s %s: let in before %v, after %v; the entry says %+v, %+v", way, q, was, is, e.Before, e.After)
			}
			if was != is {
				differ++
			}
			return
		}
		if was != is {
			t.Errorf("%s %s: let in before %v, after %v, and no entry says so", way, q, was, is)
		}
	}
	q := askable(name, m, other).draw(rng)
	all := func(*behave.Entry) bool { return true }
	q.Identity = ""
	check(q, behave.ByPlaintext, all, direct(m, s, q), direct(other, now, q))
	for _, caller := range m.Services {
		next := other.Service(caller.Ref)
		if next == nil || next.SPIFFEID != caller.SPIFFEID {
			continue
		}
		uses, used := slices.Contains(caller.Uses, s.Ref), slices.Contains(next.Uses, s.Ref)
		q.Identity = caller.SPIFFEID
		if uses || used {
			of := func(e *behave.Entry) bool { return slices.Contains(e.Who, caller.Ref) }
			check(q, behave.ByCaller, of, uses && judge(m, name, q).Outcome == "allowed", used && judge(other, name, q).Outcome == "allowed")
		}
	}
	return differ
}
