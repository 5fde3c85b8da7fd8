package xds

import (
	"bytes"
	"crypto/x509"
	"errors"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	emitxds "github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/model"
)

func protocols(t *testing.T, run func(t *testing.T, world bool)) {
	t.Run("delta", func(t *testing.T) { run(t, false) })
	t.Run("state of the world", func(t *testing.T) { run(t, true) })
}

func TestProxyGetsItsSetInOrder(t *testing.T) {
	protocols(t, func(t *testing.T, world bool) {
		c := startController(t, Options{})
		c.set("c1", shop())
		p := c.client(c.dial(c.ca.issue(spiffeID("web"))), world).start(webNode)
		c.awaitProgrammed("c1", 1)
		if n, m := c.Programmed("c1"); n != 1 || m != 4 {
			t.Fatalf("programmed %d/%d, want 1/4", n, m)
		}
		log := p.events()
		before(t, log, "+CDS "+reviewsV1, "+EDS "+reviewsV1)
		before(t, log, "+EDS "+reviewsV1, "+LDS "+webRoute)
		before(t, log, "+SDS "+meshBundle, "+LDS "+webRoute)
		before(t, log, "+LDS "+webRoute, "+RDS "+webRoute)
		for _, e := range log {
			if strings.Contains(e, "vault") {
				t.Errorf("%s is none of this proxy's", e)
			}
		}
		var secret tlsv3.Secret
		if err := p.has(Key{SDS, meshBundle}).GetResource().UnmarshalTo(&secret); err != nil {
			t.Fatal(err)
		}
		if got := secret.GetValidationContext().GetTrustedCa().GetInlineBytes(); !bytes.Equal(got, c.ca.pem()) {
			t.Errorf("bundle is %q", got)
		}
		if bytes.Contains(p.bytes, []byte("PRIVATE")) {
			t.Error("a private key travelled")
		}
	})
}

func before(t *testing.T, log []string, first, then string) {
	t.Helper()
	i, j := slices.Index(log, first), slices.Index(log, then)
	if i < 0 || j < 0 || i > j {
		t.Errorf("%q (%d) does not come before %q (%d) in %q", first, i, then, j, log)
	}
}

func TestOnlyWhatChangedIsSent(t *testing.T) {
	c := startController(t, Options{})
	c.set("c1", shop())
	p := c.client(c.dial(c.ca.issue(spiffeID("web"))), false).start(webNode)
	c.awaitProgrammed("c1", 1)
	p.events()

	moved := shop() // the same routes, written elsewhere
	for _, s := range moved.Mesh.Services {
		s.Routes[0].Origin.Start.Line = 99
	}
	c.set("c2", moved)
	c.awaitProgrammed("c2", 1)
	if log := p.events(); len(log) != 0 {
		t.Errorf("an unrelated commit sent %q", log)
	}

	weighted := shop()
	split := []model.Split{{Version: "v1", BasisPoints: 9000}, {Version: "v2", BasisPoints: 1000}}
	weighted.Mesh.Services[0].Routes[0] = route("all", split...)
	c.set("c3", weighted)
	c.awaitProgrammed("c3", 1)
	if log := p.events(); !slices.Equal(log, []string{"+RDS " + webRoute}) {
		t.Errorf("a weight sent %q", log)
	}

	gone := *weighted
	gone.Workloads = nil
	for _, w := range weighted.Workloads {
		if w.Service == ref("reviews") && w.Version == "v2" {
			down := *w
			down.Ready = false
			w = &down
		}
		gone.Workloads = append(gone.Workloads, w)
	}
	old := p.has(Key{EDS, reviewsV2}).GetVersion()
	c.set("c3", &gone)
	c.await("endpoints", func() bool { return p.has(Key{EDS, reviewsV2}).GetVersion() != old })
	if log := p.events(); !slices.Equal(log, []string{"+EDS " + reviewsV2}) {
		t.Errorf("an endpoint sent %q", log)
	}
}

func TestReconnectSendsNothingAgain(t *testing.T) {
	protocols(t, func(t *testing.T, world bool) {
		c := startController(t, Options{})
		c.set("c1", shop())
		conn := c.dial(c.ca.issue(spiffeID("web")))
		p := c.client(conn, world).start(webNode)
		c.awaitProgrammed("c1", 1)
		p.close()
		c.await("gone", func() bool { return !slices.ContainsFunc(c.Status(), func(n NodeStatus) bool { return n.Connected() }) })
		again := c.client(conn, world)
		again.got, again.subs, again.vers = p.got, p.subs, p.vers
		again.start(webNode)
		c.awaitProgrammed("c1", 1)
		if log := again.events(); len(log) != 0 {
			t.Errorf("reconnecting sent %q", log)
		}
	})
}

func TestRefusedCommitStopsOnTheNode(t *testing.T) {
	protocols(t, func(t *testing.T, world bool) {
		c := startController(t, Options{})
		c.set("c1", shop())
		p := c.client(c.dial(c.ca.issue(spiffeID("web"))), world).start(webNode)
		c.awaitProgrammed("c1", 1)
		p.mu.Lock()
		p.refuse = func(t Type, names []string) string {
			if t == RDS {
				return "route is no good"
			}
			return ""
		}
		p.mu.Unlock()
		bad := shop()
		bad.Mesh.Services[0].Routes[0].Timeout = time.Second
		c.set("c2", bad)
		c.await("rejected", func() bool { return rejected(c.node(webNode), RDS) != nil })
		nack := rejected(c.node(webNode), RDS)
		if nack.Commit != "c2" || nack.Message != "route is no good" || !slices.Contains(nack.Names, webRoute) {
			t.Errorf("NACK is recorded as %+v", nack)
		}
		p.mu.Lock()
		p.refuse = func(Type, []string) string { return "" }
		p.mu.Unlock()
		if n, _ := c.Programmed("c2"); n != 0 {
			t.Error("a refused commit counts as programmed")
		}
		if s := c.node(webNode).Streams[0]; s.TargetCommit != "c1" {
			t.Errorf("node is led to %q, want the last good commit", s.TargetCommit)
		}
		p.events()
		good := shop()
		good.Mesh.Services[0].Routes[0].Timeout = 2 * time.Second
		c.set("c3", good)
		c.awaitProgrammed("c3", 1)
	})
}

func rejected(n NodeStatus, want Type) *Answer {
	for _, s := range n.Streams {
		for _, t := range s.Types {
			if t.Type == want && t.Nacked != nil {
				return t.Nacked
			}
		}
	}
	return nil
}

func TestFailingEmitChangesNothing(t *testing.T) {
	broken := false
	c := startController(t, Options{Emit: eachEmitted(func(w *model.Workload, out *emitxds.Resources) error {
		if broken && w.Service == ref("web") { // the last node
			return errors.New("cannot be said")
		}
		return nil
	})})
	c.set("c1", shop())
	p := c.client(c.dial(c.ca.issue(spiffeID("vault"))), false).start(vaultNode)
	c.awaitProgrammed("c1", 1)
	p.events()
	broken = true
	d := shop()
	d.Mesh.Services[1].Routes[0].Timeout = time.Second
	err := c.SetDesired("c2", d)
	if err == nil || !strings.Contains(err.Error(), webNode) || !strings.Contains(err.Error(), "cannot be said") {
		t.Fatalf("error %v does not name the node and the reason", err)
	}
	if n := c.node(vaultNode); n.Commit != "c1" {
		t.Errorf("desired is %q after a failed emit", n.Commit)
	}
}

func TestNothingIsAnsweredBeforeTheFirstDesiredState(t *testing.T) {
	c := startController(t, Options{})
	p := c.client(c.dial(c.ca.issue(spiffeID("web"))), false).start(webNode)
	if log := p.events(); len(log) != 0 {
		t.Fatalf("sent %q", log)
	}
	c.set("c1", shop())
	c.awaitProgrammed("c1", 1)
	if log := p.events(); len(log) == 0 {
		t.Error("nothing came after it")
	}
}

func TestBundleRotationSendsTheSecretOnly(t *testing.T) {
	c := startController(t, Options{})
	c.set("c1", shop())
	p := c.client(c.dial(c.ca.issue(spiffeID("web"))), false).start(webNode)
	c.awaitProgrammed("c1", 1)
	p.events()
	old := p.has(Key{SDS, meshBundle}).GetVersion()
	acknowledged := func() bool { done, live := c.BundlesAcknowledged(); return done == 1 && live == 1 }
	c.await("acknowledged", acknowledged)
	if err := c.SetBundle(domain, append(c.ca.pem(), newAuthority(t).pem()...)); err != nil {
		t.Fatal(err)
	}
	c.await("new bundle", func() bool { return p.has(Key{SDS, meshBundle}).GetVersion() != old })
	if log := p.events(); !slices.Equal(log, []string{"+SDS " + meshBundle}) {
		t.Errorf("a bundle sent %q", log)
	}
	c.await("acknowledged again", acknowledged)
}

// A stream of a certificate whose root is trusted no more ends when the bundle says so.
func TestADroppedRootEndsItsStreams(t *testing.T) {
	var dropped atomic.Bool
	var asked atomic.Int64
	c := startController(t, Options{Trusted: func(chain []*x509.Certificate) bool {
		asked.Add(1)
		return len(chain) > 0 && !dropped.Load()
	}})
	c.set("c1", shop())
	c.client(c.dial(c.ca.issue(spiffeID("web"))), false).start(webNode)
	c.awaitProgrammed("c1", 1)
	connected := func() bool { _, live := c.BundlesAcknowledged(); return live == 1 }
	if err := c.SetBundle(domain, append(newAuthority(t).pem(), c.ca.pem()...)); err != nil {
		t.Fatal(err)
	}
	c.await("asked", func() bool { return asked.Load() > 0 })
	if !connected() {
		t.Error("a stream of a root that is trusted has ended")
	}
	dropped.Store(true)
	if err := c.SetBundle(domain, newAuthority(t).pem()); err != nil {
		t.Fatal(err)
	}
	c.await("the stream to end", func() bool { return !connected() })
}

// A bundle that a proxy has not confirmed is not acknowledged, however long it is
// out; a proxy that is not connected is not live.
func TestABundleIsAcknowledgedByWhoConfirmsIt(t *testing.T) {
	c := startController(t, Options{})
	c.set("c1", shop())
	if done, live := c.BundlesAcknowledged(); done != 0 || live != 0 {
		t.Errorf("%d of %d with nobody there", done, live)
	}
	n := newSession(false, time.Second, &memory{})
	n.types[SDS].subs[meshBundle] = true
	if got := n.bundles(nil); len(got) != 1 || got[meshBundle] != "" {
		t.Errorf("nothing was confirmed: %v", got)
	}
	n.types[SDS].acked[meshBundle] = &Resource{Version: "7"}
	if got := n.bundles(nil); got[meshBundle] != "7" {
		t.Errorf("confirmed: %v", got)
	}
	set := c.snapshot().nodes[webNode]
	want := set.get(Key{SDS, meshBundle}).Version
	for _, one := range []struct {
		versions        map[string]string
		proxyless, with bool
	}{
		{nil, false, false}, // it has not asked yet
		{map[string]string{meshBundle: ""}, false, false},
		{map[string]string{meshBundle: "7"}, false, false},
		{map[string]string{meshBundle: want}, false, true},
		{nil, true, true}, // its roots are in files
		{map[string]string{meshBundle: ""}, true, false},
	} {
		if got := set.confirmed(one.versions, one.proxyless); got != one.with {
			t.Errorf("confirmed %v, without a proxy %v: %v", one.versions, one.proxyless, got)
		}
	}
}

// Before there is a commit nobody can say that all proxies have anything.
func TestBeforeTheFirstCommitNothingIsAcknowledged(t *testing.T) {
	if done, live := New(Options{}).BundlesAcknowledged(); done >= live {
		t.Errorf("%d of %d", done, live)
	}
}

// A stream whose certificate somebody else can have made does not count, neither as one
// that has confirmed nor as one to wait for.
func TestADoubtfulStreamDoesNotCount(t *testing.T) {
	var stolen atomic.Bool
	c := startController(t, Options{Genuine: func(chain []*x509.Certificate) bool { return len(chain) > 0 && !stolen.Load() }})
	c.set("c1", shop())
	c.client(c.dial(c.ca.issue(spiffeID("web"))), false).start(webNode)
	c.awaitProgrammed("c1", 1)
	live := func() int { _, live := c.BundlesAcknowledged(); return live }
	if live() != 1 {
		t.Errorf("%d are live", live())
	}
	stolen.Store(true)
	if err := c.SetBundle(domain, append(newAuthority(t).pem(), c.ca.pem()...)); err != nil {
		t.Fatal(err)
	}
	c.await("the stream to count no more", func() bool { return live() == 0 })
	if missing := c.BundlesMissing(); len(missing) != 0 {
		t.Errorf("missing %v", missing)
	}
}

func TestBundleTakesCACertificatesOnly(t *testing.T) {
	a := newAuthority(t)
	leaf := a.issue(spiffeID("web"))
	cert, key, _ := a.files(leaf)
	for name, in := range map[string][]byte{
		"nothing":       nil,
		"text":          []byte("hello"),
		"a leaf":        readFile(t, cert),
		"a private key": append(a.pem(), readFile(t, key)...),
		"a tail":        append(a.pem(), "tail"...),
	} {
		if err := New(Options{}).SetBundle(domain, in); err == nil {
			t.Errorf("%s is taken as a bundle", name)
		}
	}
	if err := New(Options{}).SetBundle("Not a domain", a.pem()); err == nil {
		t.Error("a bad trust domain is taken")
	}
}

func TestDesiredStateIsRefusedByName(t *testing.T) {
	s := New(Options{})
	twice := shop()
	twice.Workloads = append(twice.Workloads, twice.Workloads[0])
	for want, err := range map[string]error{
		"no commit":      s.SetDesired("", shop()),
		"no mesh":        s.SetDesired("c", nil),
		"not in the set": s.SetDesired("c", shop()), // no bundle was set
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want %q", err, want)
		}
	}
	if err := s.SetBundle(domain, newAuthority(t).pem()); err != nil {
		t.Fatal(err)
	}
	if err := s.SetDesired("c", twice); err == nil {
		t.Error("two workloads with one id are taken")
	}
	if s.Status() != nil {
		t.Error("a refused state is served")
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestUnplacedListenerHoldsBackOneNodeOnly(t *testing.T) {
	c := startController(t, Options{})
	behind := shop()
	for _, w := range behind.Workloads {
		if w.Service == ref("web") {
			w.Outbound = nil
		}
	}
	c.set("c1", behind)
	web := c.client(c.dial(c.ca.issue(spiffeID("web"))), false).start(webNode)
	vault := c.client(c.dial(c.ca.issue(spiffeID("vault"))), false).start(vaultNode)
	defer web.close()
	defer vault.close()
	c.awaitProgrammed("c1", 1)
	if n := c.node(vaultNode); !n.ProgrammedOn("c1") {
		t.Error("vault waits for web's address")
	}
	if n := c.node(webNode); n.ProgrammedOn("c1") || !slices.Equal(n.Unplaced, []string{"outbound default/reviews:9080"}) {
		t.Errorf("web is programmed or does not say why not: unplaced %q", n.Unplaced)
	}
	c.set("c1", shop())
	c.awaitProgrammed("c1", 2)
}

func TestInstanceOfARemovedVersionIsNoNode(t *testing.T) {
	c := startController(t, Options{})
	c.set("c1", shop())
	d := shop()
	d.Mesh.Service(ref("reviews")).Versions = d.Mesh.Service(ref("reviews")).Versions[:1]
	c.set("c2", d)
	for _, n := range c.Status() {
		if n.Node == "sidecar~default/reviews.v2-0" {
			t.Errorf("%s is still a node", n.Node)
		}
	}
}
