package xds

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	"pgregory.net/rapid"
)

const simTimeout = 10 * time.Second

// simProxy behaves as a proxy does: it takes all clusters and listeners, asks
// for what they refer to, serves a cluster once that came, and keeps what it
// has over a reconnect. It reads the needs of what it is sent, as a proxy that
// parses the bodies does.
type simProxy struct {
	t     *rapid.T
	world bool
	lazy  bool // confirms clusters when they are warm, as Envoy does
	held  [typeCount]map[string]*Resource
	subs  [typeCount]map[string]bool
	warm  map[string]bool                            // clusters that serve
	fresh func(r *response, rc, cluster string) bool // whether it was sent without having waited
	last  [typeCount]string
	nonce [typeCount]string

	inbox  []*response
	outbox []func(*session, time.Time) error
	late   []func() // confirmations of clusters that are not warm
}

func newSimProxy(t *rapid.T, world bool) *simProxy {
	p := &simProxy{t: t, world: world, lazy: rapid.Bool().Draw(t, "lazy"), warm: map[string]bool{}}
	for i := range p.held {
		p.held[i], p.subs[i] = map[string]*Resource{}, map[string]bool{}
	}
	return p
}

// connect opens a stream: every type that it holds or follows, at once.
func (p *simProxy) connect() {
	p.inbox, p.outbox, p.late = nil, nil, nil
	p.nonce, p.last = [typeCount]string{}, [typeCount]string{}
	for _, t := range []Type{CDS, EDS, LDS, RDS, SDS} {
		if t != CDS && t != LDS && len(p.subs[t]) == 0 {
			continue
		}
		p.hello(t)
	}
}

func (p *simProxy) hello(t Type) {
	if p.world {
		p.sendWorld(t, nil)
		return
	}
	initial := map[string]string{}
	for n, r := range p.held[t] {
		initial[n] = r.Version
	}
	r := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: t.URL(), ResourceNamesSubscribe: sorted(p.subs[t]), InitialResourceVersions: initial}
	p.outbox = append(p.outbox, func(s *session, now time.Time) error { return s.delta(now, r) })
}

func (p *simProxy) sendWorld(t Type, nack *status.Status) {
	r := &discoveryv3.DiscoveryRequest{TypeUrl: t.URL(), ResourceNames: sorted(p.subs[t]), VersionInfo: p.last[t], ResponseNonce: p.nonce[t], ErrorDetail: nack}
	p.outbox = append(p.outbox, func(s *session, now time.Time) error { return s.world(now, r) })
}

// read takes one response: it applies all of it and confirms, or refuses it
// and applies a part all the same, as Envoy may.
func (p *simProxy) read(refuse bool, applies func(name string) bool) {
	r := p.inbox[0]
	p.t.Logf("proxy reads %s %s, refuses %v", r.typ, r.nonce, refuse)
	p.inbox = p.inbox[1:]
	p.nonce[r.typ] = r.nonce
	var nack *status.Status
	if refuse {
		nack = &status.Status{Code: 3, Message: "no good"}
	}
	if p.world {
		p.applyWorld(r, refuse)
		p.follow()
		if !refuse {
			p.last[r.typ] = r.version
		}
		p.confirm(r.typ, func() { p.sendWorld(r.typ, nack) })
		return
	}
	if len(r.resources)+len(r.removed) == 1 {
		applies = func(string) bool { return false } // what is refused alone is refused
	}
	for _, res := range r.resources {
		if p.asked(res.Key) && (!refuse || applies(res.Name)) {
			p.hold(r, res)
		}
	}
	for _, n := range r.removed {
		if !refuse || applies(n) {
			p.remove(r.typ, n)
		}
	}
	p.follow()
	ack := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: r.typ.URL(), ResponseNonce: r.nonce, ErrorDetail: nack}
	p.confirm(r.typ, func() {
		p.outbox = append(p.outbox, func(s *session, now time.Time) error { return s.delta(now, ack) })
	})
}

// confirm answers a response, at once or when the clusters are warm.
func (p *simProxy) confirm(t Type, answer func()) {
	if p.lazy && t == CDS {
		p.late = append(p.late, answer)
		p.follow()
		return
	}
	answer()
}

func (p *simProxy) applyWorld(r *response, refuse bool) {
	if refuse {
		return
	}
	got := map[string]bool{}
	for _, res := range r.resources {
		if p.asked(res.Key) {
			got[res.Name] = true
			p.hold(r, res)
		}
	}
	if r.typ == CDS || r.typ == LDS {
		for n := range p.held[r.typ] {
			if !got[n] {
				p.remove(r.typ, n)
			}
		}
	}
}

// hold takes a resource, and fails where a route that served before would newly
// send requests to a cluster without an endpoint, although that has not been
// waited for.
func (p *simProxy) hold(in *response, r *Resource) {
	old := p.held[r.Type][r.Name]
	if r.Type == RDS && old != nil {
		for _, c := range r.Needs {
			ends := p.held[EDS][c.Name]
			if !slices.Contains(old.Needs, c) && (ends == nil || hasNoEndpoint(ends)) && p.fresh(in, r.Name, c.Name) {
				p.t.Fatalf("%s is led to %s, which has no endpoint, too early", r.Key, c)
			}
		}
	}
	p.held[r.Type][r.Name] = r
}

// hasNoEndpoint reads an assignment as simSet writes it.
func hasNoEndpoint(r *Resource) bool { return strings.HasPrefix(r.Version, "0") }

// asked says whether the proxy subscribes to a resource: what comes late, after
// it has been given up, is ignored.
func (p *simProxy) asked(k Key) bool {
	return k.Type == CDS || k.Type == LDS || p.subs[k.Type][k.Name]
}

// remove drops a resource, and fails where something in use still needs it.
func (p *simProxy) remove(t Type, name string) {
	if p.held[t][name] != nil && t != EDS && t != SDS {
		for _, user := range p.users(Key{t, name}) {
			p.t.Fatalf("%s is removed while %s needs it", Key{t, name}, user)
		}
	}
	delete(p.held[t], name)
	if t == CDS {
		delete(p.warm, name)
	}
}

func (p *simProxy) users(k Key) []Key {
	var out []Key
	for t := range p.held {
		for _, r := range p.held[t] {
			if slices.Contains(r.Needs, k) {
				out = append(out, r.Key)
			}
		}
	}
	return out
}

// follow subscribes to what the held resources refer to, and warms clusters.
func (p *simProxy) follow() {
	for _, t := range []Type{SDS, EDS, RDS} {
		want := map[string]bool{}
		for _, from := range []Type{CDS, LDS} {
			for _, r := range p.held[from] {
				for _, k := range r.Needs {
					if k.Type == t {
						want[k.Name] = true
					}
				}
			}
		}
		p.resubscribe(t, want)
	}
	for n, c := range p.held[CDS] {
		if !slices.ContainsFunc(c.Needs, func(k Key) bool { return p.held[k.Type][k.Name] == nil }) {
			p.warm[n] = true
		}
	}
	for n := range p.held[CDS] {
		if !p.warm[n] {
			return
		}
	}
	p.giveUp()
}

// giveUp ends the wait for endpoints that may never come.
func (p *simProxy) giveUp() {
	for _, answer := range p.late {
		answer()
	}
	p.late = nil
}

func (p *simProxy) resubscribe(t Type, want map[string]bool) {
	if maps.Equal(want, p.subs[t]) {
		return
	}
	r := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: t.URL()}
	for _, n := range sorted(want) {
		if !p.subs[t][n] {
			r.ResourceNamesSubscribe = append(r.ResourceNamesSubscribe, n)
		}
	}
	for _, n := range sorted(p.subs[t]) {
		if !want[n] {
			r.ResourceNamesUnsubscribe = append(r.ResourceNamesUnsubscribe, n)
			delete(p.held[t], n)
		}
	}
	p.subs[t] = want
	if p.world {
		p.sendWorld(t, nil)
		return
	}
	p.outbox = append(p.outbox, func(s *session, now time.Time) error { return s.delta(now, r) })
}

// check holds at every moment: traffic never meets a cluster that is not there
// or not warm.
func (p *simProxy) check() {
	for _, r := range p.held[RDS] {
		for _, k := range r.Needs {
			if k.Type == CDS && p.held[CDS][k.Name] == nil {
				p.t.Fatalf("%s sends to %s, which the proxy does not have", r.Key, k)
			}
			if k.Type == CDS && !p.warm[k.Name] {
				p.t.Fatalf("%s sends to %s, which is not warm", r.Key, k)
			}
		}
	}
}

// simResource makes a resource whose content is its version.
func simResource(t Type, name, version string, needs ...Key) *Resource {
	sortKeys(needs)
	r := &Resource{Key: Key{t, name}, Version: version, Body: &anypb.Any{TypeUrl: t.URL(), Value: []byte(version)}, Needs: needs}
	for _, k := range needs {
		if t == RDS && k.Type == CDS {
			r.edges = append(r.edges, edge{"all", k.Name})
		}
	}
	if t == EDS && !hasNoEndpoint(r) {
		r.endpoints = 1
	}
	return r
}

// simSet draws a whole configuration: listeners with one route configuration
// each, which send to clusters, which have a bundle or not, and endpoints or
// none (version 0). With a tag, every version in it is new.
func simSet(t *rapid.T, commit, tag string) *nodeSet {
	set := &nodeSet{node: "sidecar~default/a-0", spiffeID: "spiffe://d/ns/default/sa/a", commit: commit, content: &content{}}
	for i := range set.res {
		set.res[i] = map[string]*Resource{}
	}
	put := func(r *Resource) { set.res[r.Type][r.Name] = r }
	draw := func(what string, n int) string {
		return fmt.Sprint(rapid.IntRange(0, n-1).Draw(t, what)) + tag
	}
	cluster := func(i int) Key {
		k := Key{CDS, fmt.Sprintf("c%d", i)}
		if set.get(k) != nil {
			return k
		}
		eds, sds := Key{EDS, k.Name}, Key{SDS, "bundle"}
		needs, version := []Key{eds}, draw("cluster version", 2)
		put(simResource(EDS, k.Name, draw("endpoints version", 3)))
		if rapid.Bool().Draw(t, "tls") {
			needs, version = append(needs, sds), version+"tls"
			if set.get(sds) == nil {
				put(simResource(SDS, "bundle", draw("bundle version", 2)))
			}
		}
		put(simResource(CDS, k.Name, version, needs...))
		return k
	}
	for i := range 3 {
		if !rapid.Bool().Draw(t, "listener") {
			continue
		}
		rds, version := Key{RDS, fmt.Sprintf("r%d", i)}, draw("route version", 2)
		var to []Key
		for _, c := range rapid.SliceOfNDistinct(rapid.IntRange(0, 4), 1, 3, rapid.ID[int]).Draw(t, "clusters") {
			to = append(to, cluster(c))
			version += fmt.Sprintf("-%d", c)
		}
		put(simResource(RDS, rds.Name, version, to...))
		put(simResource(LDS, fmt.Sprintf("l%d", i), draw("listener version", 2), rds))
	}
	set.index()
	return set
}

// sim ties one proxy to one session.
type sim struct {
	*rapid.T
	now   time.Time
	mem   *memory
	ses   *session
	proxy *simProxy
	set   *nodeSet
	n     int

	// asked is since when without a break the stream has been led to a route
	// configuration (first) that sends to a cluster.
	asked map[[2]string]time.Time
	sent  map[*response]sending
}

// sending is the moment of a response.
type sending struct {
	at    time.Time
	asked map[[2]string]time.Time
}

// ask notes what the routes that the client should have send to.
func (s *sim) ask() {
	was := s.asked
	s.asked = map[[2]string]time.Time{}
	for _, name := range s.ses.candidates(RDS) {
		want, _ := s.ses.wanted(Key{RDS, name})
		if want == nil {
			continue
		}
		for _, c := range want.Needs {
			pair := [2]string{name, c.Name}
			s.asked[pair] = s.now
			if since, before := was[pair]; before {
				s.asked[pair] = since
			}
		}
	}
}

// fresh says whether, when r was sent, a route had been led to a cluster for
// less than the timeout.
func (s *sim) fresh(r *response, rc, cluster string) bool {
	since, asked := s.sent[r].asked[[2]string{rc, cluster}]
	return !asked || s.sent[r].at.Sub(since) < simTimeout
}

func (s *sim) plan() {
	s.ses.reconsider(s.now)
	s.ask()
	for _, r := range s.ses.plan(s.now) {
		s.Logf("sent %s %s of %s: %v removed %v", r.typ, r.nonce, r.commit, r.resources, r.removed)
		s.sent[r] = sending{s.now, s.asked}
		s.proxy.inbox = append(s.proxy.inbox, r)
	}
}

func (s *sim) reconnect() {
	s.asked = nil
	s.proxy.fresh = s.fresh
	s.ses = newSession(s.proxy.world, simTimeout, s.mem)
	s.ses.setDesired(s.set)
	s.proxy.connect()
}

func (s *sim) commit(tag string) {
	s.n++
	s.set = simSet(s.T, fmt.Sprintf("commit%d", s.n), tag)
	s.ses.setDesired(s.set)
	s.plan()
}

func (s *sim) later() {
	s.now = s.now.Add(simTimeout)
	s.proxy.giveUp()
	s.plan()
}

func (s *sim) deliver() {
	feed := s.proxy.outbox[0]
	s.proxy.outbox = s.proxy.outbox[1:]
	if err := feed(s.ses, s.now); err != nil {
		s.Fatal(err)
	}
	s.plan()
}

func (s *sim) step() {
	switch rapid.SampledFrom([]string{"read", "read", "read", "deliver", "deliver", "deliver", "deliver", "refuse", "commit", "later", "reconnect", "restart"}).Draw(s.T, "step") {
	case "read":
		if len(s.proxy.inbox) > 0 {
			s.proxy.read(false, nil)
		}
	case "refuse":
		if len(s.proxy.inbox) > 0 {
			s.proxy.read(true, func(name string) bool { return rapid.Bool().Draw(s.T, "applies "+name) })
		}
	case "deliver":
		if len(s.proxy.outbox) > 0 {
			s.deliver()
		}
	case "commit":
		s.commit("")
	case "later":
		s.later()
	case "reconnect":
		if !s.proxy.world {
			s.reconnect()
		}
	case "restart": // of the controller, or with state of the world of the proxy
		if s.proxy.world {
			s.proxy = newSimProxy(s.T, true)
		} else {
			s.mem = &memory{}
		}
		s.reconnect()
	}
	s.proxy.check()
	if s.ses.done && s.ses.programmed == s.set.commit {
		s.compare() // what is called programmed is so
	}
}

// settle lets both sides finish with a commit that nobody refuses: a new one, or
// the one at hand, which may have been refused before.
func (s *sim) settle() {
	if rapid.Bool().Draw(s.T, "new commit") {
		s.commit("final")
	}
	for range 1000 {
		switch {
		case len(s.proxy.outbox) > 0:
			s.deliver()
		case len(s.proxy.inbox) > 0:
			s.proxy.read(false, nil)
		case !s.ses.done || s.ses.target != s.ses.desired:
			s.later()
		default:
			return
		}
		s.proxy.check()
	}
	s.Fatalf("never settles: %+v", s.ses.status(s.now))
}

func (s *sim) compare() {
	for t := range s.set.res {
		for n, r := range s.set.res[t] {
			if got := s.proxy.held[t][n]; got == nil || got.Version != r.Version {
				s.Fatalf("proxy holds %v under %s, want version %s", got, r.Key, r.Version)
			}
		}
		for n := range s.proxy.held[t] {
			if s.set.res[t][n] == nil {
				s.Fatalf("proxy still holds %s", Key{Type(t), n})
			}
		}
	}
	if s.ses.programmed != s.set.commit {
		s.Fatalf("programmed %q, want %q", s.ses.programmed, s.set.commit)
	}
}

// rounds of rapid's hundred checks: the rarer breaks show in one run of
// thousands.
const rounds = 30

func simulate(world bool) func(*rapid.T) {
	return func(t *rapid.T) {
		s := &sim{T: t, now: time.Unix(1e9, 0), mem: &memory{}, proxy: newSimProxy(t, world), sent: map[*response]sending{}}
		s.ses = newSession(world, simTimeout, s.mem)
		s.proxy.fresh = s.fresh
		s.commit("")
		s.proxy.connect()
		for range rapid.IntRange(0, 120).Draw(t, "steps") {
			s.step()
		}
		s.settle()
		s.compare()
	}
}

// TestMakeBeforeBreak runs random desired states against proxies that are
// late, refuse, and reconnect: at every moment each cluster that a route sends
// to is there and warm, no route that serves is led to a cluster without an
// endpoint before the timeout, nothing is removed that is needed, and in the end
// the proxy holds the desired set.
func TestMakeBeforeBreak(t *testing.T) {
	for name, world := range map[string]bool{"delta": false, "state of the world": true} {
		t.Run(name, func(t *testing.T) {
			for range rounds {
				rapid.Check(t, simulate(world))
			}
		})
	}
}
