package interop

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshc/meshc/dataplane/endpoint"
	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/route"
	"github.com/meshc/meshc/dataplane/snapshot"
	"github.com/meshc/meshc/test/stock"
)

// Keys lead to the endpoints that Envoy sends them to, under both policies.
func TestHashesAsEnvoy(t *testing.T) {
	binary := stock.Envoy(t)
	b := newBackends()
	c := &snapshot.Cluster{}
	names, endpoints := map[string]int{}, ""
	for i := range 5 {
		name := fmt.Sprintf("e%d", i)
		at := b.start(t, name, nil)
		names[name] = i
		addr := netip.MustParseAddrPort(at)
		c.Endpoints = append(c.Endpoints, snapshot.Endpoint{Addr: addr, Weight: uint32(i%3 + 1), Healthy: true})
		endpoints += fmt.Sprintf(`{"load_balancing_weight": %d, "endpoint": {"address": {"socket_address": {"address": %q, "port_value": %d}}}},`, i%3+1, addr.Addr(), addr.Port())
	}
	for lb, policy := range map[snapshot.LBPolicy]string{
		snapshot.RingHash: `"lb_policy": "RING_HASH", "ring_hash_lb_config": {"minimum_ring_size": 100}`,
		snapshot.Maglev:   `"lb_policy": "MAGLEV", "maglev_lb_config": {"table_size": 251}`,
	} {
		at := newPlace(t)
		startStatic(t, binary, at, policy, strings.TrimSuffix(endpoints, ","))
		c.LB, c.Balance = lb, snapshot.Balance{RingMin: 100, TableSize: 251}
		table := endpoint.NewTable(c, []int{0, 1, 2, 3, 4})
		keys := []route.HashKey{{From: route.HashHeader, Name: "x-key", Terminal: true}, {From: route.HashCookieValue, Name: "u"}, {From: route.HashQuery, Name: "q"}}
		for i := range 300 {
			req := &message.Request{Method: "GET", Target: "/"}
			switch i % 3 {
			case 0:
				req.Fields = append(req.Fields, message.Field{Name: "x-key", Value: fmt.Sprint("k", i)})
				if i%2 == 0 {
					req.Fields = append(req.Fields, message.Field{Name: "x-key", Value: "a"})
				}
			case 1:
				req.Fields = append(req.Fields, message.Field{Name: "cookie", Value: fmt.Sprintf("a=b; u=%d", i)})
				fallthrough
			default:
				req.Target = fmt.Sprintf("/?q=%%20%d", i)
			}
			hash, ok := route.Hash(keys, req, netip.Addr{}, nil)
			if !ok {
				t.Fatal("no hash")
			}
			if want, got := table.Lookup(hash, 0), names[servedBy(t, at, req)]; got != want {
				t.Errorf("%s, request %d %v %s: Envoy sends it to %d, we to %d", policy, i, req.Fields, req.Target, got, want)
			}
		}
	}
}

func servedBy(t *testing.T, at string, req *message.Request) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), req.Method, "http://"+at+req.Target, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range req.Fields {
		r.Header.Add(f.Name, f.Value)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.Header.Get("x-served")
}

// startStatic runs Envoy with one cluster, and waits until it listens.
func startStatic(t *testing.T, binary, at, policy, endpoints string) {
	t.Helper()
	addr := netip.MustParseAddrPort(at)
	config := fmt.Sprintf(`{"static_resources": {"listeners": [{"name": "l", "address": {"socket_address": {"address": %q, "port_value": %d}}, "filter_chains": [{"filters": [{
"name": "envoy.filters.network.http_connection_manager", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "l",
"http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}],
"route_config": {"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "c",
"hash_policy": [{"header": {"header_name": "x-key"}, "terminal": true}, {"cookie": {"name": "u"}}, {"query_parameter": {"name": "q"}}]}}]}]}}}]}]}],
"clusters": [{"name": "c", "type": "STATIC", %s, "load_assignment": {"cluster_name": "c", "endpoints": [{"lb_endpoints": [%s]}]}}]}}`, addr.Addr(), addr.Port(), policy, endpoints)
	file := filepath.Join(t.TempDir(), "envoy.json")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "-c", file, "--use-dynamic-base-id", "--concurrency", "1", "-l", "error")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	(&bed{t: t}).listening(at)
}
