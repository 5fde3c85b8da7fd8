package route_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/route"
	"github.com/meshc/meshc/test/stock"
)

// conditions are matches that the differential test judges every probe by.
var conditions = []string{
	`{"prefix": "/a"}`,
	`{"prefix": "/A", "case_sensitive": false}`,
	`{"path": "/a"}`,
	`{"path": "/A/B", "case_sensitive": false}`,
	`{"path_separated_prefix": "/a"}`,
	`{"safe_regex": {"regex": "/a|/b/.*"}}`,
	`{"safe_regex": {"regex": "/[a-z]+"}}`,
	`{"prefix": "/", "headers": [{"name": "x", "string_match": {"exact": "a,b"}}]}`,
	`{"prefix": "/", "headers": [{"name": "x", "string_match": {"exact": "a"}}]}`,
	`{"prefix": "/", "headers": [{"name": "x", "string_match": {"prefix": "A", "ignore_case": true}}]}`,
	`{"prefix": "/", "headers": [{"name": "x", "string_match": {"suffix": "b"}}]}`,
	`{"prefix": "/", "headers": [{"name": "x", "string_match": {"contains": "B", "ignore_case": true}}]}`,
	`{"prefix": "/", "headers": [{"name": "x", "string_match": {"safe_regex": {"regex": "[ab]"}}}]}`,
	`{"prefix": "/", "headers": [{"name": "x", "string_match": {"exact": "a"}, "invert_match": true}]}`,
	`{"prefix": "/", "headers": [{"name": "x", "string_match": {"exact": "a"}, "invert_match": true, "treat_missing_header_as_empty": true}]}`,
	`{"prefix": "/", "headers": [{"name": "x", "string_match": {"safe_regex": {"regex": "^$"}}, "treat_missing_header_as_empty": true}]}`,
	`{"prefix": "/", "headers": [{"name": "x", "present_match": true}]}`,
	`{"prefix": "/", "headers": [{"name": "x", "present_match": true, "invert_match": true}]}`,
	`{"prefix": "/", "headers": [{"name": "x", "present_match": false}]}`,
	`{"prefix": "/", "headers": [{"name": "x", "present_match": false, "invert_match": true}]}`,
	`{"prefix": "/", "headers": [{"name": "x"}]}`,
	`{"prefix": "/", "headers": [{"name": "x", "range_match": {"start": "-5", "end": "7"}}]}`,
	`{"prefix": "/", "headers": [{"name": "x", "range_match": {"start": "-5", "end": "7"}, "invert_match": true}]}`,
	`{"prefix": "/", "headers": [{"name": ":method", "string_match": {"exact": "POST"}}]}`,
	`{"prefix": "/", "headers": [{"name": ":path", "string_match": {"suffix": "?q=1"}}]}`,
	`{"prefix": "/", "headers": [{"name": ":authority", "string_match": {"suffix": ".test"}}]}`,
	`{"prefix": "/", "headers": [{"name": "host", "string_match": {"suffix": ".test"}}]}`,
	`{"prefix": "/", "headers": [{"name": ":scheme", "string_match": {"exact": "http"}}]}`,
	`{"prefix": "/", "headers": [{"name": "x", "string_match": {"safe_regex": {"regex": "."}}}]}`,
	`{"prefix": "/", "headers": [{"name": "x", "string_match": {"safe_regex": {"regex": "é"}}}]}`,
	`{"prefix": "/", "headers": [{"name": "x", "string_match": {"safe_regex": {"regex": "\\PL+"}}}]}`,
	`{"prefix": "/", "headers": [{"name": "x", "string_match": {"safe_regex": {"regex": "[\\x80-\\xff]+"}}}]}`,
	`{"prefix": "/", "headers": [{"name": "user-agent", "string_match": {"exact": "a"}}]}`,
	`{"prefix": "/", "headers": [{"name": "user-agent", "string_match": {"exact": "a,b"}}]}`,
	`{"prefix": "/", "headers": [{"name": "user-agent", "string_match": {"exact": "a"}, "invert_match": true}]}`,
	`{"prefix": "/", "headers": [{"name": "accept-language", "string_match": {"exact": "a"}}]}`,
	`{"prefix": "/", "query_parameters": [{"name": "q", "string_match": {"exact": "1"}}]}`,
	`{"prefix": "/", "query_parameters": [{"name": "q", "string_match": {"exact": "a b"}}]}`,
	`{"prefix": "/", "query_parameters": [{"name": "q", "string_match": {"prefix": "A", "ignore_case": true}}]}`,
	`{"prefix": "/", "query_parameters": [{"name": "q", "present_match": true}]}`,
	`{"prefix": "/", "query_parameters": [{"name": "q", "present_match": false}]}`,
	`{"prefix": "/", "query_parameters": [{"name": "q"}]}`,
	`{"prefix": "/", "cookies": [{"name": "u", "string_match": {"exact": "j"}}]}`,
	`{"prefix": "/", "cookies": [{"name": "u", "string_match": {"exact": "j"}, "invert_match": true}]}`,
	`{"prefix": "/", "cookies": [{"name": "u", "string_match": {"safe_regex": {"regex": ".*"}}, "invert_match": true}]}`,
	`{"prefix": "/", "cookies": [{"name": "u", "string_match": {"exact": "\"j\""}}]}`,
}

// fields are names whose values Envoy joins, and some whose values it does not.
var fields = strings.Fields(`accept accept-encoding access-control-request-headers access-control-request-method
	access-control-request-private-network authorization cache-control cdn-loop content-encoding content-type expect
	grpc-accept-encoding grpc-timeout if-match if-modified-since if-none-match if-range if-unmodified-since origin pragma
	proxy-status referer user-agent via x-client-trace-id x-envoy-attempt-count x-envoy-decorator-operation
	x-envoy-downstream-service-cluster x-envoy-downstream-service-node x-envoy-external-address x-envoy-original-host
	x-envoy-original-path x-forwarded-for x-forwarded-host x-forwarded-port x-forwarded-proto x-request-id
	accept-charset accept-language content-language forwarded from grpc-encoding priority range traceparent tracestate
	warning x-b3-traceid x-custom x-real-ip`)

// probe is one request; fields are written as they are.
type probe struct {
	method, target string
	fields         []string // name, value, …
}

func probes() []probe {
	var out []probe
	for _, target := range []string{
		"/", "/a", "/A", "/a/", "/a/b", "/A/B", "/ab", "/b/x", "/a?q=1", "/a?Q=1", "/?q", "/?q=", "/?q=2&q=1", "/?x=2&q=1", "/?q=a%20b", "/?q=a+b",
		"/?q=abc", "/?qq=1", "/?&q=1", "/?q=1=2", "/a?/a", "/%61", "/a;x",
	} {
		out = append(out, probe{"GET", target, nil}, probe{"POST", target, []string{"content-length", "0"}})
	}
	for _, fields := range [][]string{
		{"x", ""}, {"x", "a"}, {"x", "A"}, {"x", "b"}, {"x", "ab"}, {"x", "a", "x", "b"}, {"x", "a", "y", "z", "X", "b"}, {"x", "a,b"}, {"x", "a, b"},
		{"x", "6"}, {"x", "7"}, {"x", "-5"}, {"x", "+6"}, {"x", "6.0"}, {"x", "06"}, {"x", "99999999999999999999"}, {"x", "", "x", ""},
		{"x", "b", "x", "a"}, {"x", "9", "x", "6"}, {"x", "6", "x", "9"}, {"x", "q", "x", ""}, {"x", "AB", "x", "q"},
		{"x", "\x80"}, {"x", "\xff"}, {"x", "é"}, {"x", "a\x80a"}, {"x", "\xc3"},
		{"user-agent", "a"}, {"user-agent", "a", "user-agent", "b"}, {"user-agent", "a", "x", "q", "User-Agent", "a"},
		{"accept-language", "b", "accept-language", "a"},
		{"cookie", "u=j"}, {"cookie", "a=b; u=j"}, {"cookie", "a=b;u=j"}, {"cookie", `u="j"`}, {"cookie", "u=j2"}, {"cookie", "u=k; u=j"}, {"cookie", "u=j; u=k"},
		{"cookie", "U=j"}, {"cookie", "u"}, {"cookie", "u="}, {"cookie", "a=u=j"}, {"cookie", "a=b", "cookie", "u=j"}, {"cookie", "u = j"}, {"cookie", "u=j "},
	} {
		out = append(out, probe{"GET", "/", fields})
	}
	return out
}

var authorities = []string{
	"a.exact.test", "A.Exact.TEST", "a.exact.test:80", "x.suffix.test", ".suffix.test", "y.x.suffix.test", "prefix.a.b", "prefix.x", "prefix.", "PREFIX.q", "other", "x-dash.test", "-dash.test",
}

var domains = []string{"a.exact.test", "*.suffix.test", "*.x.suffix.test", "prefix.*", "prefix.a.*", "*-dash.test", "*"}

// configuration has one virtual host per condition (m0.test, …) and one per
// domain, each answering 200 with its own name.
func configuration() string {
	var hosts []string
	host := func(domain, match, body string) {
		raw, _ := json.Marshal(domain)
		hosts = append(hosts, fmt.Sprintf(`{"name": %[1]s, "domains": [%[1]s], "routes": [{"match": %s, "direct_response": {"status": 200, "body": {"inline_string": "%s"}}}]}`, raw, match, body))
	}
	for i, c := range conditions {
		host(fmt.Sprintf("m%d.test", i), c, "yes")
	}
	for i, name := range fields {
		host(fmt.Sprintf("f%d.test", i), fmt.Sprintf(`{"prefix": "/", "headers": [{"name": %q, "string_match": {"exact": "a,b"}}]}`, name), "yes")
	}
	for i, d := range domains {
		host(d, `{"prefix": "/"}`, fmt.Sprintf("domain %d", i))
	}
	return `{"name": "r", "virtual_hosts": [` + strings.Join(hosts, ",") + `]}`
}

// Envoy is the oracle: the same RouteConfiguration, the same requests, the same
// answers.
func TestRoutesAsEnvoyDoes(t *testing.T) {
	if testing.Short() {
		t.Skip("runs Envoy")
	}
	rc := new(routev3.RouteConfiguration)
	if err := protojson.Unmarshal([]byte(configuration()), rc); err != nil {
		t.Fatal(err)
	}
	table, err := route.Compile(rc, nil)
	if err != nil {
		t.Fatal(err)
	}
	envoy := startEnvoy(t, configuration())
	compared := 0
	compare := func(p probe, authority string) {
		compared++
		want, got := envoy.ask(t, p, authority), ours(table, p, authority)
		if want != got {
			t.Errorf("%s %s %s %q: Envoy answers %q, the table %q", authority, p.method, p.target, p.fields, want, got)
		}
	}
	for i, c := range conditions {
		failed := t.Failed()
		for _, p := range probes() {
			compare(p, fmt.Sprintf("m%d.test", i))
		}
		if t.Failed() && !failed {
			t.Logf("condition %s", c)
		}
	}
	for i, name := range fields {
		for _, values := range [][]string{{name, "a"}, {name, "a", name, "b"}} {
			compare(probe{"GET", "/", values}, fmt.Sprintf("f%d.test", i))
		}
	}
	for _, authority := range authorities {
		compare(probe{"GET", "/", nil}, authority)
	}
	t.Logf("%d answers compared", compared)
}

func ours(table *route.Table, p probe, authority string) string {
	req := &message.Request{Method: p.method, Scheme: "http", Authority: authority, Target: p.target}
	for i := 0; i+1 < len(p.fields); i += 2 {
		req.Fields = append(req.Fields, message.Field{Name: strings.ToLower(p.fields[i]), Value: strings.TrimRight(p.fields[i+1], " ")})
	}
	if e := table.Route(req, 0); e != nil {
		return e.Direct.Body
	}
	return ""
}

// envoyProcess is one Envoy and one connection to it.
type envoyProcess struct {
	addr string
	conn net.Conn
	read *bufio.Reader
}

func (e *envoyProcess) ask(t *testing.T, p probe, authority string) string {
	t.Helper()
	if e.conn == nil {
		conn, err := net.Dial("tcp", e.addr)
		if err != nil {
			t.Fatal(err)
		}
		e.conn, e.read = conn, bufio.NewReader(conn)
	}
	var head strings.Builder
	fmt.Fprintf(&head, "%s %s HTTP/1.1\r\nHost: %s\r\n", p.method, p.target, authority)
	for i := 0; i+1 < len(p.fields); i += 2 {
		fmt.Fprintf(&head, "%s: %s\r\n", p.fields[i], p.fields[i+1])
	}
	_ = e.conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(e.conn, head.String()+"\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(e.read, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Close {
		_ = e.conn.Close()
		e.conn = nil
	}
	if resp.StatusCode != 200 && resp.StatusCode != 404 {
		t.Errorf("%s %s: Envoy answers %d", authority, p.target, resp.StatusCode)
	}
	return string(body)
}

const envoyBootstrap = `{"static_resources": {"listeners": [{"name": "l", "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
 "filter_chains": [{"filters": [{"name": "hcm", "typed_config": {
  "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "s",
  "http_filters": [{"name": "router", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}],
  "route_config": %s}}]}]}]}, "admin": {"address": {"pipe": {"path": %q}}}}`

func startEnvoy(t *testing.T, routes string) *envoyProcess {
	t.Helper()
	binary, dir := stock.Envoy(t), t.TempDir()
	config, admin := filepath.Join(dir, "b.json"), filepath.Join(dir, "admin")
	if err := os.WriteFile(config, fmt.Appendf(nil, envoyBootstrap, routes, admin), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "-c", config, "--use-dynamic-base-id", "--concurrency", "1", "-l", "warning")
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		select {
		case <-ended:
			t.Fatalf("Envoy ended:\n%s", log.String())
		default:
		}
		if addr := listening(admin); addr != "" {
			return &envoyProcess{addr: addr}
		}
		if time.Now().After(deadline) {
			t.Fatal("Envoy does not listen")
		}
	}
}

// listening asks Envoy's admin endpoint for the address of its listener.
func listening(admin string) string {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", admin)
	}}}
	resp, err := client.Get("http://envoy/listeners")
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return ""
	}
	_, addr, _ := strings.Cut(strings.TrimSpace(string(raw)), "::")
	return addr
}
