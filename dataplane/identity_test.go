package dataplane_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meshc/meshc/ca"
	"github.com/meshc/meshc/ca/catest"
	"github.com/meshc/meshc/dataplane"
	"github.com/meshc/meshc/dataplane/identity"
	"github.com/meshc/meshc/deploy/alerts"
)

const agentSDS = `{api_config_source: {api_type: GRPC, grpc_services: [{envoy_grpc: {cluster_name: meshc-agent}}]}}`

// mutualTLS is the common part of both sides of a connection between proxies.
const mutualTLS = `common_tls_context: {alpn_protocols: [%s], tls_certificate_sds_secret_configs: [{name: default, sds_config: ` + agentSDS + `}],
        combined_validation_context: {default_validation_context: {match_typed_subject_alt_names: [{san_type: URI, matcher: {prefix: "spiffe://mesh.example/"}}]},
          validation_context_sds_secret_config: {name: ROOTCA, sds_config: ` + agentSDS + `}}}`

const httpManager = `{name: hcm, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager, stat_prefix: in,
        http_filters: [{name: r, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}],
        route_config: {name: r, virtual_hosts: [{name: v, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: %s, timeout: 0s}}]}]}}}`

const bytesProxy = `{name: t, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: t, cluster: %s}}`

func listenerOf(name, filter string, secured bool) string {
	text := fmt.Sprintf("  - name: %s\n    address: {socket_address: {address: 127.0.0.1, port_value: 0}}\n    filter_chains:\n    - filters: [%s]\n", name, filter)
	if secured {
		text += "      transport_socket: {name: tls, typed_config: {\"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext, require_client_certificate: true,\n        " +
			fmt.Sprintf(mutualTLS, "h2, http/1.1") + "}}\n"
	}
	return text
}

func clusterOf(t *testing.T, name, addr, alpn, more string) string {
	t.Helper()
	host, port := split(t, addr)
	text := fmt.Sprintf("  - name: %s\n    type: STATIC\n    load_assignment: {cluster_name: %s, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: %s, port_value: %s}}}}]}]}\n", name, name, host, port)
	if alpn != "" {
		text += "    transport_socket: {name: tls, typed_config: {\"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext,\n        " +
			fmt.Sprintf(mutualTLS, alpn) + "}}\n"
	}
	return text + more
}

const overHTTP2 = `    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {"@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, explicit_http_config: {http2_protocol_options: {}}}
`

// once has a connection carry one request.
const once = `    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {"@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, common_http_protocol_options: {max_requests_per_connection: 1}, explicit_http_config: {http_protocol_options: {}}}
`

// clock is moved by hand.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.at }

func (c *clock) add(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.at = c.at.Add(d) }

// journal keeps what is logged.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

func (j *journal) count(what string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.text.String(), what)
}

// member is a proxy with an identity.
type member struct {
	*running
	log   *journal
	token string // the file of its join token
	id    string
	dir   string // of its identity
}

func join(t *testing.T, srv *catest.Server, name, config string, now func() time.Time) *member {
	t.Helper()
	m := &member{log: &journal{}, dir: filepath.Join(t.TempDir(), "id"), id: "spiffe://mesh.example/ns/lab/sa/" + name}
	m.token = srv.TokenFile(t, m.id)
	log := slog.New(slog.NewTextHandler(m.log, nil))
	m.running = start(t, dataplane.Options{Bootstrap: parse(t, "static_resources:\n"+config), Log: log, Identity: &identity.Config{
		CAAddress: srv.Addr, CARootFile: srv.RootFile, Dir: m.dir, TokenFile: m.token, Now: now, Log: log,
	}})
	return m
}

// notAfter is what the proxy says of its certificate.
func (m *member) notAfter(t *testing.T) int64 {
	t.Helper()
	return m.gauge(t, "meshc_identity_not_after_timestamp_seconds")
}

func (m *member) gauge(t *testing.T, name string) int64 {
	t.Helper()
	_, text := m.page(t, "/stats/prometheus")
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	return 0
}

func (m *member) at(t *testing.T, listener string) string {
	t.Helper()
	addr, ok := m.engine.Addr(listener)
	if !ok {
		t.Fatalf("no listener %q", listener)
	}
	return addr.String()
}

// inTime waits until something holds.
func inTime(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(4 * time.Minute); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 4 minutes", what)
		}
	}
}

// pair is two proxies: requests to "out" of the client go over mutual TLS to "in" of
// the server, and on to an application. Each request has connections of its own.
type pair struct{ client, server *member }

func newPair(t *testing.T, srv *catest.Server, client, server func() time.Time) *pair {
	t.Helper()
	app := backend(t, "app")
	p := &pair{}
	p.server = join(t, srv, "server", "  listeners:\n"+listenerOf("in", fmt.Sprintf(httpManager, "app"), true)+"  clusters:\n"+clusterOf(t, "app", app, "", ""), server)
	p.client = join(t, srv, "client", "  listeners:\n"+listenerOf("out", fmt.Sprintf(httpManager, "peer"), false)+"  clusters:\n"+
		clusterOf(t, "peer", p.server.at(t, "in"), "http/1.1", once), client)
	return p
}

// serves makes requests, each with a handshake between the proxies.
func (p *pair) serves(t *testing.T, when string) {
	t.Helper()
	for range 5 {
		if status, body := p.client.get(t, "out", "/x"); status != 200 || body != "app /x " {
			t.Fatalf("%s: %d %q", when, status, body)
		}
	}
	for _, m := range []*member{p.client, p.server} {
		if status, body := m.page(t, "/ready"); status != 200 {
			t.Errorf("%s: %s is not ready: %s", when, m.id, body)
		}
	}
}

// Issue 7: an authority that is away until half of the life that remains, when a
// renewal is due, is over, is noticed by no request.
func TestAuthorityAwayUntilHalfOfTheRemainingLife(t *testing.T) {
	t.Parallel()
	c := &clock{at: time.Now()}
	srv := catest.Run(t, ca.Config{TTL: 10 * time.Second, Now: c.now})
	p := newPair(t, srv, c.now, c.now)
	p.serves(t, "all is well")
	before := p.client.notAfter(t)
	srv.Stop()
	c.add(7500 * time.Millisecond)
	for _, m := range []*member{p.client, p.server} {
		inTime(t, "a renewal fails", func() bool { return m.log.count("identity not renewed") > 0 })
		inTime(t, "the alarm", func() bool { return m.log.count("nears its end") == 1 })
	}
	p.serves(t, "the authority is away")
	srv.Start(t)
	for _, m := range []*member{p.client, p.server} {
		inTime(t, "renewed", func() bool { return m.notAfter(t) > before })
		inTime(t, "the alarm ends", func() bool { return m.log.count("renewed after all") == 1 })
	}
	p.serves(t, "the authority is back")
}

// Issue 7: clocks that differ by five minutes, of the authority and of proxies, either
// way, change nothing; nor does a clock that is set while all runs.
func TestClocksFiveMinutesApart(t *testing.T) {
	t.Parallel()
	off := func(d time.Duration) func() time.Time { return func() time.Time { return time.Now().Add(d) } }
	for name, skew := range map[string][3]time.Duration{ // authority, client, server
		"authority ahead":   {5 * time.Minute, 0, 0},
		"authority behind":  {-5 * time.Minute, 0, 0},
		"proxies apart":     {0, 5 * time.Minute, -5 * time.Minute},
		"all of them apart": {5 * time.Minute, -5 * time.Minute, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := catest.Run(t, ca.Config{Now: off(skew[0])})
			newPair(t, srv, off(skew[1]), off(skew[2])).serves(t, name)
		})
	}
	t.Run("set while all runs", func(t *testing.T) {
		t.Parallel()
		srv := catest.Run(t, ca.Config{})
		client, server := &clock{at: time.Now()}, &clock{at: time.Now()}
		p := newPair(t, srv, client.now, server.now)
		before := [2]int64{p.client.notAfter(t), p.server.notAfter(t)}
		for _, d := range []time.Duration{5 * time.Minute, -10 * time.Minute} {
			client.add(d)
			server.add(-d)
			p.serves(t, "set by "+d.String())
		}
		if after := [2]int64{p.client.notAfter(t), p.server.notAfter(t)}; after != before {
			t.Errorf("a clock that was set made somebody renew: %v, then %v", before, after)
		}
	})
}

// Issue 7: with an identity that has expired nothing is let in or out, nothing goes
// out in plaintext, and the proxy is not ready; there was an alarm before. A new token
// ends that.
func TestExpiredFailsClosed(t *testing.T) {
	t.Parallel()
	c := &clock{at: time.Now()}
	srv := catest.Run(t, ca.Config{TTL: 10 * time.Second, Now: c.now})
	p := newPair(t, srv, c.now, c.now)
	tap := newTap(t, p.server.at(t, "in"))
	spy := join(t, srv, "spy", "  listeners:\n"+listenerOf("out", fmt.Sprintf(httpManager, "peer"), false)+"  clusters:\n"+clusterOf(t, "peer", tap.addr, "http/1.1", once), c.now)
	if status, _ := spy.get(t, "out", "/x"); status != 200 {
		t.Fatalf("before: %d", status)
	}
	p.serves(t, "before")
	srv.Stop()
	members := []*member{p.client, p.server, spy}
	for _, at := range []time.Duration{7600 * time.Millisecond, 1500 * time.Millisecond} { // 76 and 91 % of a life
		c.add(at)
		inTime(t, "an alarm on each", func() bool {
			said := true
			for _, m := range members {
				want := "lifePassedPercent=75"
				if at < 5*time.Second {
					want = "lifePassedPercent=90"
				}
				said = said && m.log.count(want) == 1
			}
			return said
		})
	}
	for _, m := range members {
		if left := m.notAfter(t) - c.now().Unix(); left < 0 || left > 2 {
			t.Errorf("%s: the metric says that %d s are left", m.id, left)
		}
	}
	p.serves(t, "after the alarms")

	c.add(2 * time.Second)
	for _, m := range members {
		inTime(t, "the expiry is said", func() bool { return m.log.count("the identity has expired") == 1 })
		if status, body := m.page(t, "/ready"); status != 503 || !strings.Contains(body, "expired") {
			t.Errorf("%s: ready says %d %q", m.id, status, body)
		}
	}
	asked := p.server.gauge(t, `envoy_http_downstream_rq_total{envoy_http_conn_manager_prefix="in"}`)
	for _, m := range []*member{p.client, spy} {
		for range 5 {
			if status, body := m.get(t, "out", "/x"); status != 503 {
				t.Errorf("%s: expired, and %d %q", m.id, status, body)
			}
		}
	}
	if n := p.server.gauge(t, `envoy_http_downstream_rq_total{envoy_http_conn_manager_prefix="in"}`); n != asked {
		t.Errorf("%d requests came through", n-asked)
	}
	plain := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	if resp, err := plain.Get("http://" + p.server.at(t, "in") + "/x"); err == nil {
		_ = resp.Body.Close()
		t.Errorf("a request in plaintext was answered %d", resp.StatusCode)
	}
	tap.check(t)

	srv.Start(t)
	for _, m := range members {
		token, err := srv.CreateJoinToken(m.id, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, m.token, token+"\n")
		inTime(t, "ready again", func() bool { status, _ := m.page(t, "/ready"); return status == 200 })
	}
	p.serves(t, "with a new token")
}

// tap is a relay that remembers how each connection to it began.
type tap struct {
	addr   string
	mu     sync.Mutex
	begins [][]byte
	open   map[net.Conn]time.Time // since when
}

// openSince is how many connections that were there at a time are there still.
func (tp *tap) openSince(at time.Time) (n int) {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	for _, since := range tp.open {
		if !since.After(at) {
			n++
		}
	}
	return n
}

func newTap(t *testing.T, to string) *tap {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tp := &tap{addr: l.Addr().String(), open: map[net.Conn]time.Time{}}
	var all sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() { _ = l.Close(); cancel(); all.Wait() })
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { tp.relay(ctx, c, to) })
		}
	})
	return tp
}

func (tp *tap) relay(ctx context.Context, c net.Conn, to string) {
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	defer func() { tp.mu.Lock(); defer tp.mu.Unlock(); delete(tp.open, c) }()
	begin := make([]byte, 3)
	n, err := io.ReadFull(c, begin)
	if n > 0 {
		tp.mu.Lock()
		tp.open[c] = time.Now()
		tp.begins = append(tp.begins, begin[:n])
		tp.mu.Unlock()
	}
	if err != nil {
		return
	}
	s, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer s.Close()
	if _, err := s.Write(begin); err != nil {
		return
	}
	done := make(chan struct{})
	go func() { defer close(done); _, _ = io.Copy(s, c); _ = s.(*net.TCPConn).CloseWrite() }()
	_, _ = io.Copy(c, s)
	_ = c.Close()
	<-done
}

// check: all that ever came began with a record of a TLS handshake.
func (tp *tap) check(t *testing.T) {
	t.Helper()
	tp.mu.Lock()
	defer tp.mu.Unlock()
	if len(tp.begins) < 2 {
		t.Errorf("%d connections were seen", len(tp.begins))
	}
	for _, b := range tp.begins {
		if len(b) < 2 || b[0] != 22 || b[1] != 3 {
			t.Errorf("a connection began with % x, which is no TLS", b)
		}
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// The metrics that the alerts go by are there, that of a certificate which the mesh
// names before anybody has asked for it.
func TestMetricsOfTheAlerts(t *testing.T) {
	t.Parallel()
	srv := catest.Run(t, ca.Config{})
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	end := time.Now().Add(48 * time.Hour).Truncate(time.Second)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: end, DNSNames: []string{"web.test"}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "web.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))+string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	listener := strings.Replace(listenerOf("in", fmt.Sprintf(httpManager, "app"), false), "    - filters", `    - transport_socket: {name: tls, typed_config: {"@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext,
        common_tls_context: {tls_certificate_sds_secret_configs: [{name: "certificate|file|web.pem", sds_config: `+agentSDS+`}]}}}
      filters`, 1)
	token := srv.TokenFile(t, "spiffe://mesh.example/ns/lab/sa/gateway")
	m := &member{running: start(t, dataplane.Options{
		Bootstrap: parse(t, "static_resources:\n  listeners:\n"+listener+"  clusters:\n"+clusterOf(t, "app", backend(t, "app"), "", "")), Secrets: dir,
		Identity: &identity.Config{CAAddress: srv.Addr, CARootFile: srv.RootFile, Dir: filepath.Join(t.TempDir(), "id"), TokenFile: token, Log: slog.New(slog.DiscardHandler)},
	})}
	inTime(t, "the end of the certificate", func() bool {
		return m.gauge(t, `meshc_secret_not_after_timestamp_seconds{secret="certificate|file|web.pem"}`) == end.Unix()
	})
	_, text := m.page(t, "/stats/prometheus")
	names, err := alerts.Metrics()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if alerts.OfProxy(name) && !strings.Contains(text, "# TYPE "+name+" ") {
			t.Errorf("there is no metric %s", name)
		}
	}
}
