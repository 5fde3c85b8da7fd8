package route_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/route"
)

// redirects are actions whose Location is compared.
var redirects = []string{
	`{"scheme_redirect": "https"}`,
	`{"https_redirect": true}`,
	`{"scheme_redirect": "https", "port_redirect": 8443}`,
	`{"host_redirect": "other.test"}`,
	`{"host_redirect": "other.test", "port_redirect": 81}`,
	`{"port_redirect": 81}`,
	`{"path_redirect": "/new"}`,
	`{"path_redirect": "/new", "strip_query": true}`,
	`{"path_redirect": "/new?own=1"}`,
	`{"strip_query": true, "host_redirect": "other.test"}`,
	`{"regex_rewrite": {"pattern": {"regex": "^/a"}, "substitution": "/b"}}`,
	`{"regex_rewrite": {"pattern": {"regex": "^/a/?"}, "substitution": "/"}, "strip_query": true}`,
	`{"regex_rewrite": {"pattern": {"regex": "([a-z])/([a-z])"}, "substitution": "\\2-\\1$1\\\\\\0"}}`,
	`{"regex_rewrite": {"pattern": {"regex": "x*"}, "substitution": "_"}}`,
	`{"host_redirect": "other.test", "response_code": "FOUND"}`,
	`{"host_redirect": "other.test", "response_code": "SEE_OTHER"}`,
	`{"host_redirect": "other.test", "response_code": "TEMPORARY_REDIRECT"}`,
	`{"host_redirect": "other.test", "response_code": "PERMANENT_REDIRECT"}`,
}

// Envoy is the oracle of where redirects lead.
func TestRedirectsAsEnvoyDoes(t *testing.T) {
	if testing.Short() {
		t.Skip("runs Envoy")
	}
	var hosts []string
	for i, r := range redirects {
		hosts = append(hosts, fmt.Sprintf(`{"name": "h%[1]d", "domains": ["r%[1]d.test", "r%[1]d.test:*"], "routes": [{"match": {"prefix": "/"}, "redirect": %[2]s}]}`, i, r))
	}
	config := `{"name": "r", "virtual_hosts": [` + strings.Join(hosts, ",") + `]}`
	rc := new(routev3.RouteConfiguration)
	if err := protojson.Unmarshal([]byte(config), rc); err != nil {
		t.Fatal(err)
	}
	table, err := route.Compile(rc, nil)
	if err != nil {
		t.Fatal(err)
	}
	envoy := startEnvoy(t, config)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for i, r := range redirects {
		for _, port := range []string{"", ":80", ":443", ":8080"} {
			for _, target := range []string{"/", "/a", "/a/b", "/a/b?q=1", "/xx/a?a/b", "/ab?"} {
				for _, proto := range []string{"http", "https"} {
					authority := fmt.Sprintf("r%d.test%s", i, port)
					req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+envoy.addr+target, nil)
					if err != nil {
						t.Fatal(err)
					}
					req.Host = authority
					req.Header.Set("x-forwarded-proto", proto)
					resp, err := client.Do(req)
					if err != nil {
						t.Fatal(err)
					}
					resp.Body.Close()
					own := &message.Request{Method: "GET", Scheme: proto, Authority: authority, Target: target}
					e := table.Route(own, 0)
					if want, got := resp.Header.Get("location"), e.Redirect.Location(own); want != got || resp.StatusCode != e.Direct.Status {
						t.Errorf("%s: %s %s%s: Envoy says %d %q, the table %d %q", r, proto, authority, target, resp.StatusCode, want, e.Direct.Status, got)
					}
				}
			}
		}
	}
}
