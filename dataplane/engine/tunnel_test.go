package engine

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/snapshot"
)

// bytesMesh is a listener that hands what comes to the endpoints.
func bytesMesh(endpoints ...string) *mesh {
	m := newMesh(endpoints...)
	m.chain.HTTP = nil
	m.chain.TCP = &snapshot.TCP{StatPrefix: "bytes", Total: 1, Clusters: []snapshot.WeightedTCP{{Name: clusterName, Weight: 1}}}
	return m
}

// guard lets some identities in and counts who asks.
type guard struct {
	allow func(id string) bool
	asked atomic.Int64
}

func (g *guard) OnConnection(c *filter.Connection) string {
	g.asked.Add(1)
	if g.allow(c.Peer.SPIFFEID) {
		c.Audited = "who"
		return ""
	}
	return "no"
}

func only(ids ...string) *guard {
	return &guard{allow: func(id string) bool { return slices.Contains(ids, id) }}
}

// tunnelLog gives the lines of the access log once the engine is closed.
func tunnelLog(t *testing.T, m *mesh) func(*Engine) []map[string]any {
	path := filepath.Join(t.TempDir(), "bytes.log")
	m.chain.TCP.AccessLogs = []snapshot.AccessLog{{Path: path, JSONFormat: map[string]string{
		"flags": "%RESPONSE_FLAGS%", "received": "%BYTES_RECEIVED%", "sent": "%BYTES_SENT%", "host": "%UPSTREAM_HOST%", "cluster": "%UPSTREAM_CLUSTER%",
		"peer": "%DOWNSTREAM_PEER_URI_SAN%", "path": "%REQ(:PATH)%", "code": "%RESPONSE_CODE%", "protocol": "%PROTOCOL%", "route": "%ROUTE_NAME%", "kind": "%RESP(A)%",
		"audit": "%DYNAMIC_METADATA(envoy.filters.network.rbac:audit_shadow_effective_policy_id)%",
	}}}
	return func(e *Engine) (records []map[string]any) {
		t.Helper()
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(raw)) {
			var r map[string]any
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			records = append(records, r)
		}
		return records
	}
}

type closeWriter interface {
	net.Conn
	CloseWrite() error
}

// echoServer says what it hears and ends when its client has.
func echoServer(t *testing.T, conf *tls.Config) string {
	return rawBackend(t, func(c net.Conn) {
		both := c.(closeWriter)
		if conf != nil {
			both = tls.Server(c, conf)
		}
		_, _ = io.Copy(both, both)
		_ = both.CloseWrite()
		_, _ = io.Copy(io.Discard, c)
	})
}

// echoes sends n bytes in pieces of random size, says that this is all, and wants
// them back to the end.
func echoes(t *testing.T, c closeWriter, n int) {
	t.Helper()
	want := make([]byte, n)
	_, _ = io.ReadFull(pattern{}, want)
	sent := make(chan error, 1)
	go func() {
		var err error
		for rest := want; len(rest) > 0 && err == nil; {
			k := min(1+rand.IntN(100_000), len(rest))
			_, err = c.Write(rest[:k])
			rest = rest[k:]
		}
		sent <- errors.Join(err, c.CloseWrite())
	}()
	got, err := io.ReadAll(c)
	if err := errors.Join(err, <-sent); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d of %d bytes came back: %v", len(got), n, err)
	}
}

func TestBytesBothWays(t *testing.T) {
	a := newAuthority(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, sides := range []string{"plain to plain", "TLS to plain", "plain to TLS", "TLS to TLS"} {
			t.Run(tls.VersionName(version)+" "+sides, func(t *testing.T) {
				down, up, _ := strings.Cut(sides, " to ")
				var conf *tls.Config
				if up == "TLS" {
					conf = a.server(serverID)
					conf.MaxVersion = version
				}
				m := bytesMesh(echoServer(t, conf))
				if up == "TLS" {
					m.cluster().TLS = a.client(clientID)
				}
				m.chain.TCP.Guards = []filter.Network{only("")}
				id := ""
				if down == "TLS" {
					id = clientID
					m.chain.TLS = a.server(serverID)
					m.chain.TCP.Guards = []filter.Network{only(clientID)}
				}
				records := tunnelLog(t, m)
				e := start(t, m)
				sizes := []int{0, 1, 1000, 70_000, 3 << 20}
				for _, n := range sizes {
					c := dial(t, addrOf(t, e, "in")).(closeWriter)
					if down == "TLS" {
						secured := tls.Client(c, a.client(clientID))
						if err := secured.Handshake(); err != nil {
							t.Fatal(err)
						}
						c = secured
					}
					echoes(t, c, n)
				}
				eventually(t, "every connection has ended", func() bool { return e.Connections() == 0 })
				lines := records(e)
				if len(lines) != len(sizes) {
					t.Fatalf("%d lines of the log", len(lines))
				}
				for _, r := range lines {
					if !slices.Contains(sizes, int(r["sent"].(float64))) || r["sent"] != r["received"] || r["flags"] != "-" || r["cluster"] != clusterName ||
						r["host"] != m.cluster().Endpoints[0].Addr.String() || r["audit"] != "who" || r["path"] != nil || r["code"] != 0.0 || r["protocol"] != nil || id != "" && r["peer"] != id {
						t.Errorf("%v", r)
					}
				}
				if n := metric(t, e, "envoy_tcp_downstream_cx_rx_bytes_total"); n != float64(3<<20+71_001) {
					t.Errorf("%v bytes are counted", n)
				}
			})
		}
	}
}

// Who is refused gets nothing, not even what a server says first, and the server
// hears nothing of it.
func TestRefusedConnectionsReachNobody(t *testing.T) {
	var calls atomic.Int64
	server := rawBackend(t, func(c net.Conn) {
		calls.Add(1)
		_, _ = io.WriteString(c, "welcome")
	})
	a := newAuthority(t)
	m := bytesMesh(server)
	m.chain.TLS = a.server(serverID)
	m.chain.TCP.Guards = []filter.Network{&guard{allow: func(string) bool { return true }}, only(clientID)}
	records := tunnelLog(t, m)
	e := start(t, m)
	greeted := func(id string, say string) string {
		c := tls.Client(dial(t, addrOf(t, e, "in")), a.client(id))
		defer c.Close()
		_, _ = io.WriteString(c, say)
		got, _ := io.ReadAll(c)
		return string(got)
	}
	if got := greeted(clientID, ""); got != "welcome" {
		t.Errorf("the client reads %q", got)
	}
	for _, say := range []string{"", "hello", strings.Repeat("x", 100_000)} {
		if got := greeted("spiffe://mesh.test/ns/default/sa/other", say); got != "" {
			t.Errorf("who is refused reads %q", got)
		}
	}
	if n := calls.Load(); n != 1 {
		t.Errorf("the server has had %d connections", n)
	}
	if n := metric(t, e, "envoy_tcp_downstream_cx_denied"); n != 3 {
		t.Errorf("%v are counted as refused", n)
	}
	eventually(t, "every connection has ended", func() bool { return e.Connections() == 0 })
	if lines := records(e); len(lines) != 4 {
		t.Errorf("%d lines of the log: %v", len(lines), lines)
	}
}

// What keeps a connection from its server is in the log, and the client is told by
// an end alone.
func TestUnreachable(t *testing.T) {
	gone := silent(t)
	for _, c := range []struct {
		name, flags, counter string
		change               func(*mesh)
	}{
		{"no such cluster", "NC", "envoy_tcp_downstream_cx_no_route", func(m *mesh) { m.chain.TCP.Clusters[0].Name = "nothing" }},
		{"no endpoint", "UH", "envoy_cluster_upstream_cx_none_healthy", func(m *mesh) { m.cluster().Endpoints = nil }},
		{"nobody listens", "UF,URX", "envoy_cluster_upstream_cx_connect_fail", func(m *mesh) { m.cluster().Endpoints = endpointsOf("127.0.0.1:1") }},
		{"no answer to a handshake", "UF,URX", "envoy_cluster_upstream_cx_connect_timeout", func(m *mesh) {
			m.cluster().TLS = &tls.Config{InsecureSkipVerify: true}
			m.cluster().ConnectTimeout = 20 * time.Millisecond
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := bytesMesh(gone)
			c.change(m)
			records := tunnelLog(t, m)
			e := start(t, m)
			for _, say := range []string{"", "hello"} {
				conn := dial(t, addrOf(t, e, "in"))
				_, _ = io.WriteString(conn, say)
				if got, _ := io.ReadAll(conn); len(got) > 0 {
					t.Errorf("the client reads %q", got)
				}
			}
			eventually(t, "every connection has ended", func() bool { return e.Connections() == 0 })
			if n := metric(t, e, c.counter); n != 2 {
				t.Errorf("%s is %v", c.counter, n)
			}
			for _, r := range records(e) {
				if r["flags"] != c.flags {
					t.Errorf("%v", r)
				}
			}
		})
	}
}

// A limit of connections turns away who comes then; who is there stays.
func TestConnectionsOfBytesAreLimited(t *testing.T) {
	m := bytesMesh(echoServer(t, nil))
	m.cluster().MaxConnections = 2
	e := start(t, m)
	talk := func(c net.Conn) bool {
		_, _ = io.WriteString(c, "a")
		_, err := io.ReadFull(c, make([]byte, 1))
		return err == nil
	}
	var in []net.Conn
	for range 2 {
		c := dial(t, addrOf(t, e, "in"))
		if !talk(c) {
			t.Fatal("no echo")
		}
		in = append(in, c)
	}
	if talk(dial(t, addrOf(t, e, "in"))) {
		t.Error("a third connection is let through")
	}
	if n := metric(t, e, "envoy_cluster_upstream_cx_overflow"); n != 1 {
		t.Errorf("%v overflows", n)
	}
	if !talk(in[0]) || !talk(in[1]) {
		t.Error("those that were there were disturbed")
	}
	in[0].Close()
	eventually(t, "there is room again", func() bool { return talk(dial(t, addrOf(t, e, "in"))) })
}

func TestIdleConnectionsOfBytesEnd(t *testing.T) {
	t.Parallel()
	m := bytesMesh(echoServer(t, nil))
	m.chain.TCP.IdleTimeout = 3 * time.Second
	e := start(t, m)
	c := dial(t, addrOf(t, e, "in"))
	for range 7 { // what moves is not idle
		time.Sleep(500 * time.Millisecond)
		if _, err := io.WriteString(c, "a"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.ReadAll(c); err != nil {
		t.Error(err)
	}
	if n := metric(t, e, "envoy_tcp_idle_timeout"); n != 1 {
		t.Errorf("%v idle timeouts", n)
	}
	eventually(t, "the server's side has ended, too", func() bool { return metric(t, e, "envoy_cluster_upstream_cx_active") == 0 })
}

// What breaks off on one side is not passed on as an end on the other, and what
// came before still arrives.
func TestBrokenConnections(t *testing.T) {
	a := newAuthority(t)
	const said = "all that there was"
	for name, server := range map[string]func(net.Conn){
		"reset": func(c net.Conn) {
			_, _ = io.WriteString(c, said)
			_, _ = io.ReadFull(c, make([]byte, 1))
			_ = c.(*net.TCPConn).SetLinger(0)
		},
		"cut": func(c net.Conn) { // no close_notify
			_, _ = io.WriteString(tls.Server(c, a.server(serverID)), said)
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := bytesMesh(rawBackend(t, server))
			if name == "cut" {
				m.cluster().TLS = a.client(clientID)
			}
			e := start(t, m)
			c := dial(t, addrOf(t, e, "in"))
			got := make([]byte, len(said))
			if _, err := io.ReadFull(c, got); err != nil || string(got) != said {
				t.Fatalf("%q, %v", got, err)
			}
			_, first := io.WriteString(c, "a")
			_, err := io.ReadAll(c)
			if err := errors.Join(first, err); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the client's end is %v", err)
			}
		})
	}
	t.Run("client", func(t *testing.T) {
		ended := make(chan error, 1)
		m := bytesMesh(rawBackend(t, func(c net.Conn) {
			_, err := io.ReadAll(c)
			ended <- err
		}))
		e := start(t, m)
		c := dial(t, addrOf(t, e, "in"))
		_, _ = io.WriteString(c, said)
		eventually(t, "the server has it", func() bool { return metric(t, e, "envoy_tcp_downstream_cx_rx_bytes_total") > 0 })
		_ = c.(*net.TCPConn).SetLinger(0)
		c.Close()
		if err := <-ended; !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the server's end is %v", err)
		}
	})
}

// Who does not read stops who writes: there is never more on the way than the
// kernel's buffers and one of ours per direction.
func TestBackPressure(t *testing.T) {
	release := make(chan struct{})
	const total = 64 << 20
	var got atomic.Int64
	m := bytesMesh(rawBackend(t, func(c net.Conn) {
		<-release
		n, _ := io.Copy(io.Discard, c)
		got.Store(n)
	}))
	e := start(t, m, func(o *Options) { o.Workers = 1 })
	c := dial(t, addrOf(t, e, "in")).(*net.TCPConn)
	done := make(chan error, 1)
	go func() {
		_, err := io.Copy(c, io.LimitReader(pattern{}, total))
		done <- errors.Join(err, c.CloseWrite())
	}()
	taken := func() float64 { return metric(t, e, "envoy_tcp_downstream_cx_rx_bytes_total") }
	last, since := -1.0, time.Now()
	eventually(t, "nothing moves any more", func() bool {
		if n := taken(); n != last {
			last, since = n, time.Now()
		}
		return last > 0 && time.Since(since) > 200*time.Millisecond
	})
	if last > total/2 {
		t.Errorf("%v bytes were read for a server that reads nothing", last)
	}
	close(release)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server has all of it", func() bool { return got.Load() == total })
}

func TestConnectionsAreSplitByWeight(t *testing.T) {
	var hits [2]atomic.Int64
	count := func(i int) string {
		return rawBackend(t, func(net.Conn) { hits[i].Add(1) })
	}
	m := bytesMesh(count(0))
	const other = "outbound|80|v2|app"
	m.config.Clusters[other] = &snapshot.Cluster{Name: other, Digest: "2", Endpoints: endpointsOf(count(1))}
	m.chain.TCP.Clusters = []snapshot.WeightedTCP{{Name: clusterName, Weight: 3}, {Name: other, Weight: 1}}
	m.chain.TCP.Total = 4
	e := start(t, m)
	for range 400 {
		c := dial(t, addrOf(t, e, "in"))
		_, _ = io.ReadAll(c)
		c.Close()
	}
	if a, b := hits[0].Load(), hits[1].Load(); a+b != 400 || b < 60 || b > 145 { // 100 ± 5σ
		t.Errorf("%d and %d", a, b)
	}
}

// Connections live on over changes that let them in, on the rules of now; others
// are cut; without a listener they have a while.
func TestConnectionsOfBytesAreJudgedAnew(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	m := bytesMesh(echoServer(t, nil))
	m.chain.TLS = a.server(serverID)
	e := start(t, m, func(o *Options) { o.DrainCap = 2 * time.Second })
	apply := func(change func(*snapshot.Chain)) {
		t.Helper()
		ch, l := *m.chain, *m.config.Listeners["in"]
		tcp := *ch.TCP
		ch.TCP = &tcp
		next := &snapshot.Config{Listeners: map[string]*snapshot.Listener{"in": &l}, Clusters: m.config.Clusters}
		if change == nil {
			delete(next.Listeners, "in")
		} else {
			change(&ch)
			l.Chains = []*snapshot.Chain{&ch}
		}
		if err := e.Apply(next); err != nil {
			t.Fatal(err)
		}
	}
	open := func() func() error {
		c := tls.Client(dial(t, addrOf(t, e, "in")), a.client(clientID))
		return func() error {
			if _, err := io.WriteString(c, "a"); err != nil {
				return err
			}
			_, err := io.ReadFull(c, make([]byte, 1))
			return err
		}
	}
	talk := open()
	for name, change := range map[string]func(*snapshot.Chain){
		"nothing":     func(*snapshot.Chain) {},
		"a guard":     func(c *snapshot.Chain) { c.TCP.Guards = []filter.Network{only(clientID)} },
		"certificate": func(c *snapshot.Chain) { c.TLS = a.server(serverID) },
	} {
		apply(change)
		if err := talk(); err != nil {
			t.Fatalf("%s has changed: %v", name, err)
		}
	}
	apply(func(c *snapshot.Chain) { c.TCP.Guards = []filter.Network{only(serverID)} })
	if err := talk(); err == nil {
		t.Error("a client that the guards refuse now goes on")
	}
	apply(func(*snapshot.Chain) {})
	talk = open()
	if err := talk(); err != nil {
		t.Fatal(err)
	}
	apply(func(c *snapshot.Chain) {
		c.TLS = a.server(serverID)
		c.TLS.VerifyConnection = func(tls.ConnectionState) error { return errors.New("not any more") }
	})
	if err := talk(); err == nil {
		t.Error("a client that the handshake would refuse now goes on")
	}
	apply(func(*snapshot.Chain) {})
	talk = open()
	if err := talk(); err != nil {
		t.Fatal(err)
	}
	apply(nil)
	if err := talk(); err != nil {
		t.Errorf("without its listener: %v", err)
	}
	eventually(t, "its time is over", func() bool { return e.Connections() == 0 })
	if err := talk(); err == nil {
		t.Error("it has outlived its time")
	}
}

// Drain leaves connections of bytes alone, and gives up in time.
func TestDrainLeavesBytesAlone(t *testing.T) {
	m := bytesMesh(echoServer(t, nil))
	e := start(t, m)
	c := dial(t, addrOf(t, e, "in")).(closeWriter)
	_, _ = io.WriteString(c, "a")
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := e.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	echoes(t, c, 1<<20)
	if err := e.Drain(t.Context()); err != nil {
		t.Error(err)
	}
}

// The server name leads through without the handshake being touched.
func TestPassthrough(t *testing.T) {
	a := newAuthority(t)
	m := bytesMesh(echoServer(t, a.server("spiffe://mesh.test/ns/default/sa/one")))
	const other = "outbound|80|v2|app"
	m.config.Clusters[other] = &snapshot.Cluster{Name: other, Digest: "2", Endpoints: endpointsOf(echoServer(t, a.server("spiffe://mesh.test/ns/default/sa/two")))}
	second := *m.chain
	tcp := *m.chain.TCP
	tcp.Clusters = []snapshot.WeightedTCP{{Name: other, Weight: 1}}
	second.TCP = &tcp
	m.chain.TransportProtocol, m.chain.ServerNames = "tls", []string{"one.example"}
	second.TransportProtocol, second.ServerNames = "tls", []string{"*.two.example"}
	l := m.config.Listeners["in"]
	l.InspectTLS, l.Chains = true, []*snapshot.Chain{m.chain, &second}
	e := start(t, m)
	for name, want := range map[string]string{"one.example": "one", "a.two.example": "two", "two.example": "", "three.example": ""} {
		conf := a.client(clientID)
		conf.ServerName, conf.InsecureSkipVerify = name, true
		c := tls.Client(dial(t, addrOf(t, e, "in")), conf)
		switch err := c.Handshake(); {
		case err != nil && want != "":
			t.Errorf("%s: %v", name, err)
		case err == nil && want == "":
			t.Errorf("%s is let in", name)
		case err == nil:
			if got := c.ConnectionState().PeerCertificates[0].URIs[0].String(); !strings.HasSuffix(got, "/"+want) {
				t.Errorf("%s has come to %s", name, got)
			}
			echoes(t, c, 100_000)
		}
	}
	c := dial(t, addrOf(t, e, "in"))
	_, _ = fmt.Fprintf(c, "GET / HTTP/1.1\r\n\r\n")
	if got, _ := io.ReadAll(c); len(got) > 0 {
		t.Errorf("plaintext gets %q", got)
	}
}
