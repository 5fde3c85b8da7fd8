package interop

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/answer"
	"github.com/meshc/meshc/compiler/model"
)

// The same requests through Envoy and through meshc-proxy, led by the same
// control plane, have the same outcome, which is also the one that the model
// says and the one that the table says.
func TestSideBySide(t *testing.T) {
	b := startLab(t)
	t.Run("cases", b.cases)
	t.Run("drawn", b.drawn)
	t.Run("shares", b.shares)
	t.Run("servers", b.servers)
	t.Run("strangers", b.strangers)
	for _, x := range b.all() {
		x.refusedNothing()
	}
}

func (b *bed) cases(t *testing.T) {
	groups := []struct {
		name  string
		width int // retries stay below the three that a cluster may have at a time
		cases []kase
	}{
		{"routes", 8, routeCases()}, {"headers", 8, headerCases()}, {"query and cookies", 8, queryCases()}, {"paths", 8, pathCases()},
		{"changes", 8, changeCases()}, {"actions", 8, actionCases()}, {"cors", 8, corsCases()}, {"resilience", 2, resilienceCases()}, {"faults", 8, faultCases()}, {"gateway", 2, gatewayCases()},
	}
	n := 0
	for _, g := range groups {
		first := n
		n += len(g.cases)
		seen := make([]map[kind]*observation, len(g.cases))
		together(g.width, len(g.cases), func(i int) { seen[i] = b.observeBoth(&g.cases[i], first+i) })
		t.Run(g.name, func(t *testing.T) {
			for i := range g.cases {
				t.Run(g.cases[i].name, func(t *testing.T) { b.judge(t, &g.cases[i], seen[i]) })
			}
		})
	}
	t.Logf("%d cases", n)
}

// together calls f for 0 to n-1, width at a time: most of a case is waiting.
func together(width, n int, f func(int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range width {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wg.Wait()
}

// target is the proxy that a case asks on k, and where.
func (b *bed) target(k kind, c *kase) (*proxy, string) {
	if c.gateway != 0 {
		id := "edge-" + string(k)
		return b.proxies[id], b.placed[id].Inbound[c.gateway]
	}
	return b.proxies["web-"+string(k)], b.client(k, or(c.service, "lab"))
}

func (b *bed) observeBoth(c *kase, n int) map[kind]*observation {
	var e, m *observation
	var wg sync.WaitGroup
	for k, o := range map[kind]**observation{envoy: &e, meshc: &m} {
		wg.Go(func() {
			x, at := b.target(k, c)
			*o = b.observe(x, at, &c.request, key(k, n))
		})
	}
	wg.Wait()
	return map[kind]*observation{envoy: e, meshc: m}
}

// judge holds what was seen to the table, to the model, and the two to each
// other.
func (b *bed) judge(t *testing.T, c *kase, seen map[kind]*observation) {
	c.wanted(t, envoy, seen[envoy])
	if c.own == 0 {
		c.wanted(t, meshc, seen[meshc])
		compare(t, c, seen)
	} else if o := seen[meshc]; o.Response.Status != c.own {
		t.Errorf("meshc-proxy was to answer %d (%s), and answered %d", c.own, c.why, o.Response.Status)
	}
	if route, known := b.model(c); known && route != wantRoute(c) {
		t.Errorf("the model says route %q, not %q", route, wantRoute(c))
	}
}

func wantRoute(c *kase) string {
	if c.route == "-" {
		return ""
	}
	return c.route
}

// early is how much timers of different processes may be apart.
const early = 10 * time.Millisecond

// wanted holds one data plane to what the table says.
func (c *kase) wanted(t *testing.T, k kind, o *observation) {
	t.Helper()
	status := c.status
	if status == 0 {
		status = 200
	}
	if o.Response.Status != status && !(k == meshc && c.differs["status"] != "") {
		t.Errorf("%s: status %d (%s), want %d; log %v", k, o.Response.Status, o.Response.Err, status, o.Log)
	}
	if got := o.Log.text("route_name"); got != wantRoute(c) {
		t.Errorf("%s: route %q, want %q", k, got, wantRoute(c))
	}
	if got := o.Log.text("flags"); c.flags != "" && got != c.flags {
		t.Errorf("%s: flags %q, want %q", k, got, c.flags)
	}
	tries := c.tries
	if tries == 0 {
		tries = 1
	}
	if got := len(o.Arrivals); got != max(tries, 0) && !(c.resent && k == meshc && got == tries+1) {
		t.Errorf("%s: the backends saw %d tries, want %d", k, got, max(tries, 0))
	}
	if c.version != "" && (len(o.Arrivals) == 0 || o.Arrivals[0].Backend != "lab/"+c.version) {
		t.Errorf("%s: went to %v, want lab/%s", k, o.Arrivals, c.version)
	}
	if took := o.Response.took; took < c.slow-early || took > c.slow+slack {
		t.Errorf("%s: took %s, want %s", k, o.Response.took, c.slow)
	}
}

// model gives the route that the model says; requests in another form than
// plain are left to the data planes.
func (b *bed) model(c *kase) (string, bool) {
	if c.raw != "" || strings.Contains(c.target, "/.") || strings.Contains(c.target, "%") || strings.ContainsAny(c.target, `\#`) || strings.HasPrefix(c.target, "http") || c.service == "outside" || c.gateway == 0 && c.host != "" {
		return "", false
	}
	r := &answer.Request{Method: or(c.method, "GET"), Host: or(c.service, "lab"), Port: meshPort, Target: or(c.target, "/")}
	from := ref("web")
	if c.gateway != 0 {
		host, _, _ := strings.Cut(c.host, ":")
		from, r.Host, r.Port = ref("edge"), host, c.gateway
	}
	for _, h := range c.headers {
		name, value, _ := strings.Cut(h, ":")
		r.Headers = append(r.Headers, model.Header{Name: name, Value: strings.TrimSpace(value)})
	}
	return modelRoute(b.mesh, from, r), true
}

// modelRoute is the name of the route that takes r, "" for none.
func modelRoute(m *model.Mesh, from model.Ref, r *answer.Request) string {
	a, ok := answer.Ask(m, from, r, now)
	if !ok || a.Route == nil || len(a.Rules) == 0 {
		return ""
	}
	return a.Rules[len(a.Rules)-1].Name
}
