package engine

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/route"
	"github.com/meshc/meshc/dataplane/snapshot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// mesh is a small configuration under construction.
type mesh struct {
	config *snapshot.Config
	chain  *snapshot.Chain
	entry  *route.Entry
}

const clusterName = "outbound|80|v1|app"

// newMesh is one plaintext listener whose only route goes to the endpoints.
func newMesh(endpoints ...string) *mesh {
	m := &mesh{entry: &route.Entry{
		Name: "all", Total: 1,
		Clusters: []route.WeightedCluster{{Name: clusterName, Weight: 1}},
	}}
	m.chain = &snapshot.Chain{Name: "plain", HTTP: &snapshot.HTTP{
		StatPrefix: "test", Routes: tableOf(m.entry), GenerateRequestID: true,
	}}
	m.config = &snapshot.Config{
		Listeners: map[string]*snapshot.Listener{"in": {
			Name: "in", Addr: netip.MustParseAddrPort("127.0.0.1:0"), Chains: []*snapshot.Chain{m.chain},
		}},
		Clusters: map[string]*snapshot.Cluster{clusterName: {Name: clusterName, Digest: "1"}},
	}
	m.cluster().Endpoints = endpointsOf(endpoints...)
	return m
}

func (m *mesh) cluster() *snapshot.Cluster { return m.config.Clusters[clusterName] }

func endpointsOf(addrs ...string) (eps []snapshot.Endpoint) {
	for _, a := range addrs {
		eps = append(eps, snapshot.Endpoint{Addr: netip.MustParseAddrPort(a), Weight: 1, Healthy: true})
	}
	return eps
}

// tableOf sends everything to entry; nil matches nothing.
func tableOf(entry *route.Entry) *route.Table {
	vh := &route.VirtualHost{Name: "all", Domains: []string{"*"}}
	if entry != nil {
		vh.Routes = []*route.Route{{Entry: entry, Matches: func(*message.Request, uint64) bool { return true }}}
	}
	t, err := route.NewTable("test", []*route.VirtualHost{vh})
	if err != nil {
		panic(err)
	}
	return t
}

// start runs an engine on the mesh until the test ends.
func start(t *testing.T, m *mesh, opts ...func(*Options)) *Engine {
	t.Helper()
	o := Options{Workers: 2, Log: slog.New(slog.NewTextHandler(testWriter{t}, nil))}
	for _, f := range opts {
		f(&o)
	}
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if n := e.Connections(); n != 0 {
			t.Errorf("%d connections left after Close", n)
		}
	})
	if err := e.Apply(m.config); err != nil {
		t.Fatal(err)
	}
	return e
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(string(bytes.TrimSpace(p)))
	return len(p), nil
}

func addrOf(t *testing.T, e *Engine, listener string) string {
	t.Helper()
	a, ok := e.Addr(listener)
	if !ok {
		t.Fatalf("no listener %q", listener)
	}
	return a.String()
}

// backend runs h until the test ends and gives its address.
func backend(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// client is an HTTP client with its own connections.
func client(t *testing.T) *http.Client {
	tr := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func get(t *testing.T, c *http.Client, url string) (int, string) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// rawBackend accepts connections and hands each to serve, in a goroutine.
func rawBackend(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		var all []chan struct{}
		for {
			c, err := l.Accept()
			if err != nil {
				break
			}
			ended := make(chan struct{})
			all = append(all, ended)
			stop := context.AfterFunc(ctx, func() { c.Close() })
			go func() { defer close(ended); defer stop(); defer c.Close(); serve(c) }()
		}
		for _, ended := range all {
			<-ended
		}
	}()
	t.Cleanup(func() { l.Close(); cancel(); <-done })
	return l.Addr().String()
}

// dial opens a raw connection that the test's end closes.
func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return c
}

func send(t *testing.T, c net.Conn, format string, args ...any) {
	t.Helper()
	if _, err := fmt.Fprintf(c, format, args...); err != nil {
		t.Fatal(err)
	}
}

// withLog makes the mesh write an access log and gives a function that closes
// the engine and reads it.
func withLog(t *testing.T, m *mesh) func(*Engine) []map[string]any {
	path := filepath.Join(t.TempDir(), "access.log")
	m.chain.HTTP.AccessLogs = []snapshot.AccessLog{{Path: path, JSONFormat: map[string]string{
		"code": "%RESPONSE_CODE%", "flags": "%RESPONSE_FLAGS%", "details": "%RESPONSE_CODE_DETAILS%", "path": "%REQ(:PATH)%",
		"host": "%UPSTREAM_HOST%", "cluster": "%UPSTREAM_CLUSTER%", "peer": "%DOWNSTREAM_PEER_URI_SAN%", "route": "%ROUTE_NAME%",
		"received": "%BYTES_RECEIVED%", "sent": "%BYTES_SENT%", "kind": "%RESP(CONTENT-TYPE)%", "agent": "%REQ(USER-AGENT)%",
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

// metric is the sum of a counter over its labels.
func metric(t *testing.T, e *Engine, name string) (sum float64) {
	t.Helper()
	var b bytes.Buffer
	if err := e.Telemetry().WritePrometheus(&b); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if rest, ok := strings.CutPrefix(line, name); ok && (rest[0] == '{' || rest[0] == ' ') {
			v, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]), 64)
			if err != nil {
				t.Fatal(err)
			}
			sum += v
		}
	}
	return sum
}

// eventually waits for something that another goroutine or loop brings about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if ok() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("timed out waiting until", what)
}

// readResponse reads one response from a raw connection.
func readResponse(t *testing.T, r *bufio.Reader, method string) (*http.Response, string) {
	t.Helper()
	resp, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

// readRequestHead reads up to the empty line.
func readRequestHead(r *bufio.Reader) (string, error) {
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		b.WriteString(line)
		if err != nil || line == "\r\n" {
			return b.String(), err
		}
	}
}
