package engine

import (
	"bufio"
	"io"
	"net/http"
	"testing"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/meshc/meshc/dataplane/route"
)

// What a substitution leaves of a client's path is a path, or the request goes
// nowhere: not an absolute URL of the client's, and not one that climbs.
func TestRewrittenPathsArePaths(t *testing.T) {
	rc := new(routev3.RouteConfiguration)
	if err := protojson.Unmarshal([]byte(`{"name": "r", "virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {
		"cluster": "`+clusterName+`", "regex_rewrite": {"pattern": {"regex": "^/old|gone"}, "substitution": ""}}}]}]}`), rc); err != nil {
		t.Fatal(err)
	}
	table, err := route.Compile(rc, nil)
	if err != nil {
		t.Fatal(err)
	}
	m := newMesh(backend(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Host+" "+r.RequestURI) }))
	m.chain.HTTP.Routes = table
	e := start(t, m)
	for target, want := range map[string]string{
		"/old/a?q":                  "a /a?q",
		"/b":                        "a /b",
		"/b?/old":                   "a /b?/old",
		"/old":                      "",
		"/old?q":                    "",
		"/olda":                     "",
		"/oldhttp://inner.test/adm": "",
		"/a/.gone./b":               "",
		"/a/gone..":                 "",
	} {
		c := dial(t, addrOf(t, e, "in"))
		send(t, c, "GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", target)
		resp, body := readResponse(t, bufio.NewReader(c), "GET")
		switch {
		case want == "" && (resp.StatusCode != 400 || body != ""):
			t.Errorf("%s: %d, upstream saw %q", target, resp.StatusCode, body)
		case want != "" && (resp.StatusCode != 200 || body != want):
			t.Errorf("%s: %d %q, want %q", target, resp.StatusCode, body, want)
		}
	}
}
