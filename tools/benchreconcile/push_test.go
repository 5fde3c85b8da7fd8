package benchreconcile

import (
	"net"
	"testing"
	"time"

	emitxds "github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/reconciler/api"
	"github.com/meshc/meshc/reconciler/push/xds"
)

// TestCommits: from a commit to its last proxy through the whole controller, what
// proxies are sent when they all come again, and what each of them costs.
func TestCommits(t *testing.T) {
	s := sizes()
	w := newWorld(t)
	w.repo.shop(s.proxies, s.users)
	first := w.repo.commit()
	m := w.compile()
	workloads := emitxds.DefaultWorkloads(m)
	w.start("", domain, time.Hour, workloads)
	w.untilServing(first)
	alone := w.controller.resident(t, "VmRSS")
	f := newFleet(t, w.authority, w.ads, m, workloads)
	begin := time.Now()
	f.connect(0)
	w.untilProgrammed(first, s.proxies)
	record.Say("-- %d simulated proxies, one for each of %d services", s.proxies, s.proxies)
	row("", "%s", "all connect at once, until the status says so", time.Since(begin).Round(time.Millisecond))
	row("", "%d KiB", "memory of the controller for each proxy", (w.controller.resident(t, "VmRSS")-alone)/int64(s.proxies)>>10)
	f.taken()

	w.commits(f, s, "one timeout, for its users", s.users, func(i int) { w.repo.timeout(s.proxies, s.users, 20+i) })
	w.commits(f, s, "a timeout of every service", s.proxies, func(i int) { w.repo.patience(20 + i) })
	w.storm(f, s)
	row("", "%d MiB", "RSS of the controller at the end", w.controller.resident(t, "VmRSS")>>20)
}

// commits makes changes that so many proxies are to be told of at least.
func (w *world) commits(f *fleet, s size, what string, reaches int, change func(i int)) {
	w.t.Helper()
	var acked, told spread
	for i := range s.commits {
		change(i)
		commit := w.repo.commit()
		begin := time.Now()
		w.pushed()
		w.untilProgrammed(commit, s.proxies)
		told = append(told, time.Since(begin))
		users, others := f.taken()
		last := users.last
		if others.last.After(last) {
			last = others.last
		}
		if n := users.reached + others.reached; n < reaches/2 {
			w.t.Fatalf("%s: %d proxies were told", what, n)
		}
		acked = append(acked, last.Sub(begin))
	}
	record.Say("-- commit, %s (pushed, a forge calls the webhook)", what)
	acked.tell("the last of the proxies has confirmed", "<= 5 s")
	told.tell("Programmed n/n in the status", "<= 5 s")
}

// storm has all proxies reconnect.
func (w *world) storm(f *fleet, s size) {
	w.t.Helper()
	f.taken()
	f.disconnect()
	w.until("nobody connected", func(st *api.MeshStatus) bool { return st.Programmed.Done == 0 })
	begin := time.Now()
	f.connect(s.storm)
	connected := time.Since(begin)
	commit := w.mesh.Status.Serving.Commit
	w.untilProgrammed(commit, s.proxies)
	users, others := f.taken()
	record.Say("-- all of %d proxies reconnect within %s", s.proxies, s.storm)
	row("", "%s", "until they have streams", connected.Round(time.Millisecond))
	row("0", "%d", "resources that are sent again", users.resources+others.resources)
	if users.resources+others.resources > 0 {
		w.t.Errorf("%d and %d resources are sent again", users.resources, others.resources)
	}
}

// TestOneTimeout: one changed timeout reaches those that use the service, and nobody
// else, at once. The server and the proxies are in one process.
func TestOneTimeout(t *testing.T) {
	s := sizes()
	r := newRepo(t)
	r.shop(s.proxies, s.users)
	w := &world{t: t, repo: r, authority: newAuthority(t)}
	m := w.compile()
	workloads := emitxds.DefaultWorkloads(m)
	server := xds.New(xds.Options{})
	must(t, server.SetBundle(domain, w.authority.pem))
	must(t, server.SetDesired("0", &xds.Desired{Mesh: m, Workloads: workloads}))
	g, err := server.NewGRPC(w.authority.server())
	must(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	t.Cleanup(func() { g.Stop(); <-served })
	f := newFleet(t, w.authority, l.Addr().String(), m, workloads)
	f.connect(0)
	awaitProgrammed(t, server, "0", s.proxies)
	f.taken()

	var took spread
	most, elsewhere, reached := 0, 0, 0
	for i := range s.commits {
		r.timeout(s.proxies, s.users, 20+i)
		took = append(took, change(t, server, f, w.compile(), workloads, []string{"odd", "even"}[i%2], s.proxies))
		users, others := f.taken()
		reached, most, elsewhere = users.reached, max(most, users.most), elsewhere+others.bytes
		if reached != s.users {
			t.Errorf("%d users of %d were told", reached, s.users)
		}
	}
	record.Say("-- one timeout of a service that %d of %d proxies use: from the compiled mesh", s.users, s.proxies)
	took.tell("the last of them has it", "<= 100 ms")
	row("<= 20000 B", "%d B", "sent to one of them: most", most)
	row("0 B", "%d B", "sent to all others", elsewhere)
	if elsewhere > 0 {
		t.Errorf("others are sent %d bytes", elsewhere)
	}
}

// change gives the time from a compiled mesh to the last confirmation.
func change(t *testing.T, server *xds.Server, f *fleet, m *model.Mesh, workloads []*model.Workload, commit string, n int) time.Duration {
	t.Helper()
	begin := time.Now()
	must(t, server.SetDesired(commit, &xds.Desired{Mesh: m, Workloads: workloads}))
	awaitProgrammed(t, server, commit, n)
	var last time.Time
	for _, p := range f.proxies {
		p.mu.Lock()
		if p.got.last.After(last) {
			last = p.got.last
		}
		p.mu.Unlock()
	}
	return last.Sub(begin)
}

func awaitProgrammed(t *testing.T, server *xds.Server, commit string, n int) {
	t.Helper()
	late := time.After(patience)
	for {
		changed := server.Changed()
		if done, total := server.Programmed(commit); done == n && total == n {
			return
		}
		select {
		case <-changed:
			time.Sleep(20 * time.Millisecond) // proxies say when they were told: this looks at all of them
		case <-late:
			t.Fatalf("%s is not on every proxy", commit)
		}
	}
}
