package route_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"testing"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/route"
)

// keyed has a split for a header and one for a cookie.
const keyed = `{"name": "r", "validate_clusters": false, "virtual_hosts": [{"name": "h", "domains": ["*"], "routes": [
 {"match": {"prefix": "/header"}, "route": {"hash_policy": [{"header": {"header_name": "x-user"}}], ` + split + `}},
 {"match": {"prefix": "/cookie"}, "route": {"hash_policy": [{"cookie": {"name": "user"}}], ` + split + `}}]}]}`

const split = `"weighted_clusters": {"use_hash_policy": true, "clusters": [
 {"name": "v1", "weight": 3006367000, "response_headers_to_add": [{"header": {"key": "x-version", "value": "v1"}}]},
 {"name": "v2", "weight": 1288443000, "response_headers_to_add": [{"header": {"key": "x-version", "value": "v2"}}]}]}`

// Envoy is the oracle of which version a key is with.
func TestKeysAreWhereEnvoyHasThem(t *testing.T) {
	if testing.Short() {
		t.Skip("runs Envoy")
	}
	rc := new(routev3.RouteConfiguration)
	if err := protojson.Unmarshal([]byte(keyed), rc); err != nil {
		t.Fatal(err)
	}
	table, err := route.Compile(rc, nil)
	if err != nil {
		t.Fatal(err)
	}
	envoy := startEnvoy(t, keyed)
	seen := map[string]int{}
	for i := range 100 {
		for _, f := range []message.Field{{Name: "x-user", Value: fmt.Sprint("u", i)}, {Name: "cookie", Value: fmt.Sprint("a=b; user=u", i)}} {
			target := "/header"
			if f.Name == "cookie" {
				target = "/cookie"
			}
			own := &message.Request{Method: "GET", Scheme: "http", Authority: "h", Target: target, Fields: []message.Field{f}}
			e := table.Route(own, 0)
			hash, ok := route.Hash(e.Hash, own, netip.Addr{}, nil)
			if want, got := envoyVersion(t, envoy, target, f), e.Pick(hash).Name; !ok || !e.Keyed || got != want {
				t.Errorf("%s %v: Envoy says %q, the table %q", target, f, want, got)
			}
			seen[e.Pick(hash).Name]++
		}
	}
	if len(seen) != 2 {
		t.Errorf("every key is with one version: %v", seen)
	}
}

func envoyVersion(t *testing.T, envoy *envoyProcess, target string, f message.Field) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+envoy.addr+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(f.Name, f.Value)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.Header.Get("x-version")
}
