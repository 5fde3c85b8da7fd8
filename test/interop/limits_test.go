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

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
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
			if e.GetValue() == "told" {
				out.ResponseHeadersToAdd = []*corev3.HeaderValue{{Key: "X-Left", Value: "some"}}
				out.RequestHeadersToAdd = []*corev3.HeaderValue{{Key: "x-counted", Value: "yes"}}
			}
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

// limitBed has callers on Envoy, and a gateway and what they call on k.
func limitBed(t *testing.T, k kind) (b *bed, c *counter, s *grpc.Server) {
	b = newBed(t, compileFS(t, os.DirFS("testdata/limits")))
	c, s, at := serveLimits(t, b)
	b.application(ref("limiter"), "v1", "limiter-v1", at)
	b.sidecar(ref("shop"), string(k), k, b.backends.start(t, "shop/"+string(k), nil))
	b.sidecar(ref("web"), "v1", envoy, "")
	b.sidecar(ref("batch"), "v1", envoy, "")
	b.gateway(ref("edge"), k)
	b.run()
	return b, c, s
}

// TestRateLimits holds meshc-proxy to what Envoy does.
func TestRateLimits(t *testing.T) {
	counted := map[kind]map[string]string{}
	for _, k := range []kind{envoy, meshc} {
		t.Run(string(k), func(t *testing.T) { counted[k] = rateLimits(t, k) })
	}
	sameCounts(t, counted)
}

// limitCounts are what x counts of those that it asks about limits. How Envoy writes
// them for Prometheus goes by the tags of its bootstrap, which do not know them.
func limitCounts(x *proxy) map[string]string {
	out := map[string]string{}
	if x.kind == envoy {
		for name, n := range x.stats("ratelimit.meshc") {
			if _, what, _ := strings.Cut(name, ".ratelimit."); n != "0" {
				out[strings.ReplaceAll(what, ".", "_")] = n
			}
		}
		return out
	}
	for _, s := range x.scraped() {
		if what, ok := strings.CutPrefix(s.name, "envoy_cluster_ratelimit_"); ok && s.value != "0" {
			out[what] = s.value
		}
	}
	return out
}

func rateLimits(t *testing.T, k kind) (counted map[string]string) {
	b, c, s := limitBed(t, k)
	caller := func(name string) string {
		return b.placed[name+"-envoy"].Outbound[model.OutboundKey(ref("shop"), meshPort)]
	}
	t.Run("local", func(t *testing.T) { b.localLimits(t, k, caller) })
	t.Run("global", func(t *testing.T) { globalLimits(t, k, c, caller) })
	t.Run("gateway", func(t *testing.T) { b.gatewayLimits(t, k, c) })
	for _, x := range b.all() {
		x.refusedNothing()
	}
	t.Run("nobody counts", func(t *testing.T) {
		s.Stop()
		if got := tries(t, 1, caller("web"), "/global", "x-to", string(k), "x-user", "over"); got[0] != 200 {
			t.Errorf("failing open: %v", got)
		}
		counted = limitCounts(b.proxies["shop-"+string(k)])
		for _, l := range b.mesh.Service(ref("shop")).RateLimits {
			if l.Server != nil {
				l.Server.FailOpen = false
			}
		}
		b.plane.programmed(b.plane.set(b.mesh, b.workloads), b.all()...)
		eventually(t, "requests are refused, once connections to the former listener have gone", func() bool {
			return tries(t, 1, caller("web"), "/global", "x-to", string(k), "x-user", "low")[0] == 503
		})
	})
	return counted
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

func globalLimits(t *testing.T, k kind, c *counter, caller func(string) string) {
	c.last()
	resp := try(t, caller("web"), "/global/a", "x-to", string(k), "x-user", "low")
	if h := resp.Header; resp.StatusCode != 200 || h.Get("x-ratelimit-limit") != "7, 7;w=60" || h.Get("x-ratelimit-remaining") != "0" || h.Get("x-ratelimit-reset") != "0" {
		t.Errorf("within the limit: %d, %v", resp.StatusCode, resp.Header)
	}
	want := []string{"shop: limit=default/shop/global, header.x-user=low, caller=" + model.SPIFFEID(domain, "default", "web")}
	if got := c.last(); !slices.Equal(got, want) {
		t.Errorf("asked %q, want %q", got, want)
	}
	over := try(t, caller("batch"), "/global/a", "x-to", string(k), "x-user", "over")
	if h := over.Header; over.StatusCode != 429 || h.Get("x-envoy-ratelimited") != "true" || h.Get("x-ratelimit-limit") != "7, 7;w=60" {
		t.Errorf("over the limit: %d, %v", over.StatusCode, h)
	}
	told := try(t, caller("web"), "/global/a", "x-to", string(k), "x-user", "told")
	if h := told.Header; told.StatusCode != 200 || h.Get("x-left") != "some" {
		t.Errorf("with headers of the service: %d, %v", told.StatusCode, h)
	}
	c.last()
	if tries(t, 1, caller("web"), "/else", "x-to", string(k), "x-user", "over"); len(c.last()) != 0 {
		t.Error("it is asked about requests that do not count")
	}
}

func (b *bed) gatewayLimits(t *testing.T, k kind, c *counter) {
	edge := b.placed["edge-"+string(k)].Inbound[8080]
	if got := tries(t, 3, edge, "/limited/a", "x-to", string(k)); !slices.Equal(got, []int{200, 200, 429}) {
		t.Errorf("the route that is limited: %v", got)
	}
	if got := tries(t, 3, edge, "/rest", "x-to", string(k), "x-plan", "1"); !slices.Equal(got, []int{200, 200, 200}) || len(c.last()) != 0 {
		t.Errorf("a route that is not: %v", got)
	}
	tries(t, 1, edge, "/limited", "x-to", string(k), "x-plan", "1")
	if got, want := c.last(), []string{"shop: plan=basic, of=shop"}; !slices.Equal(got, want) {
		t.Errorf("asked %q, want %q", got, want)
	}
}
