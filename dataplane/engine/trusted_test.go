package engine

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/meshc/meshc/dataplane/snapshot"
)

// The client is who the last of the trusted proxies says it is; what stands
// before that is for everybody to claim.
func TestTrustedHops(t *testing.T) {
	app := backend(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get("X-Forwarded-For"), " ", r.Header.Get("X-Forwarded-Proto"))
	})
	m := newMesh(app)
	m.chain.HTTP.UseRemoteAddress = true
	records := withLog(t, m)
	m.chain.HTTP.AccessLogs[0].JSONFormat["client"] = "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"
	e := start(t, m, oneLoop) // lines are in the order of requests
	cases := []struct {
		hops                     int
		fields, want, wantClient string
	}{
		{0, "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n", "192.0.2.1,127.0.0.1 http", "127.0.0.1"},
		{1, "X-Forwarded-For: 192.0.2.9, 192.0.2.1\r\nX-Forwarded-Proto: https\r\n", "192.0.2.9, 192.0.2.1,127.0.0.1 https", "192.0.2.1"},
		{2, "X-Forwarded-For: 192.0.2.9, 192.0.2.1\r\n", "192.0.2.9, 192.0.2.1,127.0.0.1 http", "192.0.2.9"},
		{3, "X-Forwarded-For: 192.0.2.9, 192.0.2.1\r\n", "192.0.2.9, 192.0.2.1,127.0.0.1 http", "127.0.0.1"},
		{2, "X-Forwarded-For: 192.0.2.9\r\nX-Forwarded-For: 192.0.2.1\r\n", "", "192.0.2.9"},
		{1, "X-Forwarded-For: 192.0.2.9, nonsense\r\n", "192.0.2.9, nonsense,127.0.0.1 http", "127.0.0.1"},
		{1, "X-Forwarded-For: 2001:db8::1\r\nX-Forwarded-Proto: gopher\r\n", "2001:db8::1,127.0.0.1 gopher", "2001:db8::1"},
		{1, "X_Forwarded_Proto: https\r\nX-Envoy-Internal: true\r\n", "127.0.0.1 http", "127.0.0.1"},
	}
	for _, c := range cases {
		body := askedWith(t, e, m, c.fields, func(h *snapshot.HTTP) { h.TrustedHops = c.hops })
		if c.want != "" && body != c.want {
			t.Errorf("%d hops, %q: %q; want %q", c.hops, c.fields, body, c.want)
		}
	}
	for i, r := range records(e) {
		if r["client"] != cases[i].wantClient {
			t.Errorf("%d hops, %q: the log says %v, want %s", cases[i].hops, cases[i].fields, r["client"], cases[i].wantClient)
		}
	}
}

// askedWith gives the body of the answer to a request with such fields, once the
// chain of e is as change makes it.
func askedWith(t *testing.T, e *Engine, m *mesh, fields string, change func(*snapshot.HTTP)) string {
	t.Helper()
	next, ch, l := *m.config, *m.chain, *m.config.Listeners["in"]
	h := *ch.HTTP
	change(&h)
	ch.HTTP, l.Chains = &h, []*snapshot.Chain{&ch}
	next.Listeners = map[string]*snapshot.Listener{"in": &l}
	if err := e.Apply(&next); err != nil {
		t.Fatal(err)
	}
	conn := dial(t, addrOf(t, e, "in"))
	send(t, conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%s\r\n", fields)
	got, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := cutHead(string(got))
	return body
}

// Networks that are believed name the client by the last address that is none of
// them; what the client itself has written before is not looked at, and from other
// networks nothing is.
func TestTrustedNetworks(t *testing.T) {
	app := backend(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, strings.Join(r.Header["X-Forwarded-For"], "|"), " ", r.Header.Get("X-Forwarded-Proto"), " ", r.Header.Get("X-Envoy-Retry-On"))
	})
	m := newMesh(app)
	records := withLog(t, m)
	m.chain.HTTP.AccessLogs[0].JSONFormat["client"] = "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"
	e := start(t, m, oneLoop) // lines are in the order of requests
	many := "X-Forwarded-For: 192.0.2.1" + strings.Repeat(", 127.0.0.2", 3000) + "\r\n"
	cases := []struct{ networks, fields, want, wantClient string }{
		{"127.0.0.0/8 203.0.113.0/24", "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n", "192.0.2.1,127.0.0.1 https ", "192.0.2.1"},
		{"127.0.0.0/8 203.0.113.0/24", "X-Forwarded-For: 192.0.2.9, 192.0.2.1 ,203.0.113.5\r\n", "192.0.2.9, 192.0.2.1 ,203.0.113.5,127.0.0.1 http ", "192.0.2.1"},
		{"127.0.0.0/8 203.0.113.0/24", "X-Forwarded-For: 203.0.113.6\r\nX-Forwarded-For: 203.0.113.5\r\n", "", "203.0.113.6"},
		{"127.0.0.0/8 203.0.113.0/24", "X-Forwarded-For: 192.0.2.1, nonsense, 203.0.113.5\r\n", "192.0.2.1, nonsense, 203.0.113.5,127.0.0.1 http ", "127.0.0.1"},
		{"127.0.0.0/8", "X-Forwarded-For: 192.0.2.1, nonsense\r\n", "192.0.2.1, nonsense,127.0.0.1 http ", "127.0.0.1"},
		{"127.0.0.0/8", "X-Envoy-Retry-On: 5xx\r\n", "127.0.0.1 http ", "127.0.0.1"},
		{"127.0.0.0/8", many, "", "192.0.2.1"},
		{"10.0.0.0/8", "X-Forwarded-For: 192.0.2.1\r\n", "", "127.0.0.1"},
		{"127.0.0.0/8", "X-Forwarded-For: 2001:db8::1%7\r\n", "", "2001:db8::1"},
		{"127.0.0.0/8 fd00::/8", "X-Forwarded-For: 192.0.2.1, fd00::5%7\r\n", "", "192.0.2.1"},
		{"127.0.0.0/8 fd00::/8", "X-Forwarded-For: 192.0.2.1, fd00::5%eth0\r\n", "", "127.0.0.1"},
	}
	for _, c := range cases {
		body := askedWith(t, e, m, c.fields, func(h *snapshot.HTTP) {
			h.Trusted = nil
			for _, n := range strings.Fields(c.networks) {
				h.Trusted = append(h.Trusted, netip.MustParsePrefix(n))
			}
		})
		if c.want != "" && body != c.want {
			t.Errorf("%s, %.90q: %q; want %q", c.networks, c.fields, body, c.want)
		}
	}
	for i, r := range records(e) {
		if r["client"] != cases[i].wantClient {
			t.Errorf("%s, %.90q: the log says %v, want %s", cases[i].networks, cases[i].fields, r["client"], cases[i].wantClient)
		}
	}
}

// Proxies in networks that are believed may hand on what their client has written: of
// that nothing passes for a word of the mesh, in any spelling.
func TestTrustedNetworksSayNothingElse(t *testing.T) {
	got := make(chan http.Header, 1)
	m := newMesh(backend(t, func(_ http.ResponseWriter, r *http.Request) { got <- r.Header }))
	m.chain.HTTP.Trusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	e := start(t, m)
	sent := []string{"X_Forwarded_For", "x_forwarded-for", "X_Forwarded_Proto", "x-forwarded_proto", "X_Request_Id", "x_request-id", "x_envoy_retry_on"}
	for _, name := range []string{"internal", "external-address", "original-path", "attempt-count", "decorator-operation", "downstream-service-cluster", "peer-metadata", "retry-on"} {
		sent = append(sent, "X-Envoy-"+name, "X_Envoy_"+strings.ReplaceAll(name, "-", "_"), "x_envoy-"+name)
	}
	conn := dial(t, addrOf(t, e, "in"))
	send(t, conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Request-Id: 42\r\nX-Forwarded-Proto: https\r\nX_Custom: 1\r\n%s: 1\r\n\r\n", strings.Join(sent, ": 1\r\n"))
	if _, err := io.ReadAll(conn); err != nil {
		t.Fatal(err)
	}
	h := <-got
	for name, want := range map[string]string{"X-Request-Id": "42", "X-Forwarded-Proto": "https", "X-Forwarded-For": "127.0.0.1", "X_custom": "1"} {
		if got := strings.Join(h[name], "|"); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
		delete(h, name)
	}
	for name := range h {
		if plain := strings.ReplaceAll(strings.ToLower(name), "_", "-"); strings.HasPrefix(plain, "x-") {
			t.Errorf("%s has passed", name)
		}
	}
}

// An entry that is no address has every client pass for the proxy: it is counted, and
// told once.
func TestForwardedForThatIsNoAddress(t *testing.T) {
	var log lines
	m := newMesh(backend(t, func(http.ResponseWriter, *http.Request) {}))
	m.chain.HTTP.UseRemoteAddress, m.chain.HTTP.TrustedHops = true, 1
	e := start(t, m, oneLoop, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	for range 3 {
		conn := dial(t, addrOf(t, e, "in"))
		send(t, conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Forwarded-For: 192.0.2.1:4711\r\n\r\n")
		if _, err := io.ReadAll(conn); err != nil {
			t.Fatal(err)
		}
	}
	if n := log.n.Load(); n != 1 {
		t.Errorf("told %d times", n)
	}
	var text strings.Builder
	if err := e.reg.WritePrometheus(&text); err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^envoy_http_downstream_rq_xff_invalid\{.*\} 3$`).MatchString(text.String()) {
		t.Error("it is not counted")
	}
}
