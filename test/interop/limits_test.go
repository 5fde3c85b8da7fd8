package interop

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	rlsv3 "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/meshc/meshc/compiler/model"
)

// counter is a rate limit service that refuses what has an entry with the value
// "over", and notes what it was asked.
type counter struct {
	rlsv3.UnimplementedRateLimitServiceServer
	mu    sync.Mutex
	asked []string
}

func (c *counter) ShouldRateLimit(_ context.Context, r *rlsv3.RateLimitRequest) (*rlsv3.RateLimitResponse, error) {
	out := &rlsv3.RateLimitResponse{OverallCode: rlsv3.RateLimitResponse_OK}
	for _, d := range r.GetDescriptors() {
		status := &rlsv3.RateLimitResponse_DescriptorStatus{
			Code:         rlsv3.RateLimitResponse_OK,
			CurrentLimit: &rlsv3.RateLimitResponse_RateLimit{RequestsPerUnit: 7, Unit: rlsv3.RateLimitResponse_RateLimit_MINUTE},
		}
		var entries []string
		for _, e := range d.GetEntries() {
			entries = append(entries, e.GetKey()+"="+e.GetValue())
			if e.GetValue() == "over" {
				status.Code, out.OverallCode = rlsv3.RateLimitResponse_OVER_LIMIT, rlsv3.RateLimitResponse_OVER_LIMIT
			}
		}
		out.Statuses = append(out.Statuses, status)
		c.mu.Lock()
		c.asked = append(c.asked, r.GetDomain()+": "+strings.Join(entries, ", "))
		c.mu.Unlock()
	}
	return out, nil
}

// last is what was asked since the last time.
func (c *counter) last() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.asked
	c.asked = nil
	return out
}

func serveLimits(t *testing.T, b *bed) (*counter, *grpc.Server, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config := b.plane.mutual(b.mesh.Service(ref("limiter")).SPIFFEID)
	config.NextProtos = []string{"h2"}
	c, s := &counter{}, grpc.NewServer(grpc.Creds(credentials.NewTLS(config)))
	rlsv3.RegisterRateLimitServiceServer(s, c)
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-done })
	return c, s, l.Addr().String()
}

// tries sends a request n times and gives the statuses.
func tries(t *testing.T, n int, addr, target string, headers ...string) []int {
	t.Helper()
	var out []int
	for range n {
		out = append(out, try(t, addr, target, headers...).StatusCode)
	}
	return out
}

func try(t *testing.T, addr, target string, headers ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "shop"
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp
}

// TestLocalRateLimits holds meshc-proxy to what Envoy does, without the limits
// that somebody else counts.
func TestLocalRateLimits(t *testing.T) {
	for _, k := range []kind{envoy, meshc} {
		t.Run(string(k), func(t *testing.T) {
			b := newBed(t, compileFS(t, os.DirFS("testdata/limits")))
			global := func(l model.RateLimit) bool { return l.Local == nil }
			shop, edge := b.mesh.Service(ref("shop")), b.mesh.Gateway(ref("edge"))
			shop.RateLimits, edge.RateLimits = slices.DeleteFunc(shop.RateLimits, global), slices.DeleteFunc(edge.RateLimits, global)
			b.sidecar(ref("shop"), string(k), k, b.backends.start(t, "shop/"+string(k), nil))
			b.sidecar(ref("web"), "v1", envoy, "")
			b.sidecar(ref("batch"), "v1", envoy, "")
			b.gateway(ref("edge"), k)
			b.run()
			b.localLimits(t, k, func(name string) string {
				return b.placed[name+"-envoy"].Outbound[model.OutboundKey(ref("shop"), meshPort)]
			})
			at := b.placed["edge-"+string(k)].Inbound[8080]
			if got := tries(t, 3, at, "/limited/a", "x-to", string(k)); !slices.Equal(got, []int{200, 200, 429}) {
				t.Errorf("the route of a gateway that is limited: %v", got)
			}
			if got := tries(t, 3, at, "/rest", "x-to", string(k)); !slices.Equal(got, []int{200, 200, 200}) {
				t.Errorf("a route that is not: %v", got)
			}
			for _, x := range b.all() {
				x.refusedNothing()
			}
		})
	}
}

// limitBed has callers and a gateway on Envoy, and what they call on each kind.
func limitBed(t *testing.T) (b *bed, c *counter, s *grpc.Server) {
	b = newBed(t, compileFS(t, os.DirFS("testdata/limits")))
	c, s, at := serveLimits(t, b)
	b.application(ref("limiter"), "v1", "limiter-v1", at)
	for _, k := range limitKinds {
		b.sidecar(ref("shop"), string(k), k, b.backends.start(t, "shop/"+string(k), nil))
	}
	b.sidecar(ref("web"), "v1", envoy, "")
	b.sidecar(ref("batch"), "v1", envoy, "")
	b.gateway(ref("edge"), envoy)
	b.run()
	return b, c, s
}

// limitKinds serve limits on what they take in.
var limitKinds = []kind{envoy}

func TestRateLimits(t *testing.T) {
	b, c, s := limitBed(t)
	caller := func(name string) string {
		return b.placed[name+"-envoy"].Outbound[model.OutboundKey(ref("shop"), meshPort)]
	}
	for _, k := range limitKinds {
		t.Run(string(k), func(t *testing.T) {
			b.localLimits(t, k, caller)
		})
	}
	t.Run("global", func(t *testing.T) { globalLimits(t, c, caller) })
	t.Run("gateway", func(t *testing.T) { b.gatewayLimits(t, c) })
	for _, x := range b.all() {
		x.refusedNothing()
	}
	t.Run("nobody counts", func(t *testing.T) {
		s.Stop()
		if got := tries(t, 1, caller("web"), "/global", "x-user", "over"); got[0] != 200 {
			t.Errorf("failing open: %v", got)
		}
		for _, l := range b.mesh.Service(ref("shop")).RateLimits {
			if l.Server != nil {
				l.Server.FailOpen = false
			}
		}
		b.plane.programmed(b.plane.set(b.mesh, b.workloads), b.all()...)
		eventually(t, "requests are refused, once connections to the former listener have gone", func() bool {
			return tries(t, 1, caller("web"), "/global", "x-user", "low")[0] == 503
		})
	})
}

func (b *bed) localLimits(t *testing.T, k kind, caller func(string) string) {
	web, batch := caller("web"), caller("batch")
	expect := func(what string, got []int, want ...int) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	to := func(more ...string) []string { return append([]string{"x-to", string(k)}, more...) }
	first := try(t, web, "/all", to()...)
	if l, r := first.Header.Get("x-ratelimit-limit"), first.Header.Get("x-ratelimit-remaining"); l != "3" || r != "2" {
		t.Errorf("limit %q, remaining %q", l, r)
	}
	expect("all", tries(t, 2, web, "/all", to()...), 200, 200)
	over := try(t, batch, "/all", to()...)
	h := over.Header
	if over.StatusCode != 429 || h.Get("x-ratelimit-remaining") != "0" || h.Get("retry-after") == "" {
		t.Errorf("over the limit: %d, %v", over.StatusCode, h)
	}
	expect("others", tries(t, 4, web, "/other", to()...), 200, 200, 200, 200)
	expect("one user", tries(t, 3, web, "/user", to("x-user", "a")...), 200, 200, 503)
	expect("another", tries(t, 3, web, "/user", to("x-user", "b")...), 200, 200, 503)
	expect("no user", tries(t, 3, web, "/user", to()...), 200, 200, 503)
	expect("one caller", tries(t, 3, web, "/caller", to()...), 200, 200, 429)
	expect("another", tries(t, 3, batch, "/caller", to()...), 200, 200, 429)
	expect("query", tries(t, 2, web, "/query?q=1", to()...), 200, 429)
	expect("query, another", tries(t, 2, web, "/query?q=2&q=1", to()...), 200, 429)
	expect("query, another path", tries(t, 2, web, "/query/x?q=1", to()...), 200, 429)
	expect("no query", tries(t, 2, web, "/query?r=1", to()...), 200, 429)
	expect("shadow", tries(t, 3, web, "/shadow", to()...), 200, 200, 200)
	expect("several matches count once", tries(t, 3, web, "/once?once=1", to("x-once", "1")...), 200, 200, 429)
	expect("one bucket of several matches", tries(t, 1, web, "/x", to("x-once", "1")...), 429)
	expect("to use up", tries(t, 1, web, "/refill", to()...), 200)
	eventually(t, "a token comes back", func() bool { return tries(t, 1, web, "/refill", to()...)[0] == 200 })
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

func globalLimits(t *testing.T, c *counter, caller func(string) string) {
	c.last()
	resp := try(t, caller("web"), "/global/a", "x-user", "low")
	if resp.StatusCode != 200 || !strings.HasPrefix(resp.Header.Get("x-ratelimit-limit"), "7") {
		t.Errorf("within the limit: %d, %v", resp.StatusCode, resp.Header)
	}
	want := []string{"shop: limit=default/shop/global, header.x-user=low, caller=" + model.SPIFFEID(domain, "default", "web")}
	if got := c.last(); !slices.Equal(got, want) {
		t.Errorf("asked %q, want %q", got, want)
	}
	if got := tries(t, 1, caller("batch"), "/global/a", "x-user", "over"); got[0] != 429 {
		t.Errorf("over the limit: %v", got)
	}
	c.last()
	if tries(t, 1, caller("web"), "/else", "x-user", "over"); len(c.last()) != 0 {
		t.Error("it is asked about requests that do not count")
	}
}

func (b *bed) gatewayLimits(t *testing.T, c *counter) {
	edge := b.placed["edge-envoy"].Inbound[8080]
	if got := tries(t, 3, edge, "/limited/a"); !slices.Equal(got, []int{200, 200, 429}) {
		t.Errorf("the route that is limited: %v", got)
	}
	if got := tries(t, 3, edge, "/rest", "x-plan", "1"); !slices.Equal(got, []int{200, 200, 200}) || len(c.last()) != 0 {
		t.Errorf("a route that is not: %v", got)
	}
	tries(t, 1, edge, "/limited", "x-plan", "1")
	if got, want := c.last(), []string{"shop: plan=basic, of=shop"}; !slices.Equal(got, want) {
		t.Errorf("asked %q, want %q", got, want)
	}
}
