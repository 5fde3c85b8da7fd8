package dataplane_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/meshc/meshc/ca"
	"github.com/meshc/meshc/ca/catest"
	"github.com/meshc/meshc/dataplane/identity"
	"github.com/meshc/meshc/dataplane/transport/verify"
	"github.com/meshc/meshc/test/soak"
)

// drill is an authority, two proxies that serve, two that call them, and workloads that
// call by themselves. All have identities.
type drill struct {
	t       *testing.T
	srv     *catest.Server
	dirs    []string // of identities
	ready   atomic.Bool
	servers []*member
	callers []*member
	taps    []*tap // between callers and servers
	loners  []*loner
	mimic   *mimic
	calls   atomic.Int64
	failed  sync.Map // text of each failure
}

// acknowledged counts, as an ADS server would, who has the bundle of the authority, by
// what they have kept.
func (d *drill) acknowledged(uint64) (done, live int) {
	if !d.ready.Load() {
		return 0, 1
	}
	want := d.srv.BundlePEM()
	for _, dir := range d.dirs {
		live++
		if kept, err := os.ReadFile(filepath.Join(dir, "bundle.pem")); err == nil && bytes.Equal(kept, want) {
			done++
		}
	}
	return done, live
}

// loner is a workload without a proxy, whose certificate of the beginning is stolen.
type loner struct {
	source   *identity.Source
	stolen   *identity.Identity
	sessions *sessions
	conns    []*watched
}

// sessions counts what could be resumed.
type sessions struct {
	tls.ClientSessionCache
	kept atomic.Int64
}

func (s *sessions) Put(key string, state *tls.ClientSessionState) {
	if state != nil {
		s.kept.Add(1)
	}
	s.ClientSessionCache.Put(key, state)
}

// config shows the stolen certificate, and takes any server: what is asked is whether
// the other side takes it.
func (l *loner) config(protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, NextProtos: protocols, ClientSessionCache: l.sessions, ServerName: "in",
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &l.stolen.Certificate, nil },
	}
}

// watched is a connection that says when it is over.
type watched struct {
	net.Conn
	over atomic.Bool
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if err != nil {
		w.over.Store(true)
	}
	return n, err
}

func (w *watched) Close() error { w.over.Store(true); return w.Conn.Close() }

// dial connects to an address, and has the connection watched.
func (l *loner) dial(addr string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		w := &watched{Conn: c}
		l.conns = append(l.conns, w)
		return w, nil
	}
}

// occupy makes connections to a server that stay: idle ones, one with an answer that
// does not end, and one of bytes.
func (l *loner) occupy(t *testing.T, server *member) {
	t.Helper()
	for _, protocol := range []string{"http/1.1", "h2"} {
		for _, path := range []string{"/x", "/stream"} {
			tr := &http.Transport{DialContext: l.dial(server.at(t, "in")), TLSClientConfig: l.config(protocol), ForceAttemptHTTP2: protocol == "h2"}
			t.Cleanup(tr.CloseIdleConnections)
			resp, err := (&http.Client{Transport: tr}).Get("https://in" + path)
			if err != nil {
				t.Fatal(err)
			}
			if path == "/stream" {
				t.Cleanup(func() { _ = resp.Body.Close() })
				go func() { _, _ = io.Copy(io.Discard, resp.Body) }()
				continue
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	}
	c, err := l.dial(server.at(t, "bytes"))(t.Context(), "tcp", "")
	if err != nil {
		t.Fatal(err)
	}
	secured := tls.Client(c, l.config())
	t.Cleanup(func() { _ = c.Close() })
	echo := make([]byte, 2)
	if _, err := secured.Write([]byte("hi")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(secured, echo); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, secured) }()
}

// over says whether all its connections are.
func (l *loner) over() bool {
	for _, c := range l.conns {
		if !c.over.Load() {
			return false
		}
	}
	return true
}

// accepted says whether a server takes the stolen certificate in a new handshake, or in
// one that resumes an old session.
func (l *loner) accepted(server *member, listener string) error {
	addr, _ := server.engine.Addr(listener)
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", addr.String(), l.config("http/1.1"))
	if err != nil {
		return nil
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if c.ConnectionState().DidResume {
		return errors.New("a session was resumed")
	}
	// In TLS 1.3 a client learns only now.
	if _, err := io.WriteString(c, "GET /x HTTP/1.1\r\nHost: in\r\n\r\n"); err != nil {
		return nil
	}
	if n, _ := c.Read(make([]byte, 1)); n > 0 {
		return fmt.Errorf("%s answers at %s", server.id, listener)
	}
	return nil
}

// mimic is a server with a stolen certificate, which never ends an answer.
type mimic struct {
	addr  string
	conns sync.Map // of *watched
}

func newMimic(t *testing.T, l *loner) *mimic {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &mimic{addr: ln.Addr().String()}
	s := httptest.NewUnstartedServer(http.HandlerFunc(stream))
	_ = s.Listener.Close()
	s.Listener = &watcher{ln, m}
	s.TLS = &tls.Config{Certificates: []tls.Certificate{l.stolen.Certificate}, ClientAuth: tls.RequireAnyClientCert}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return m
}

type watcher struct {
	net.Listener
	m *mimic
}

func (w *watcher) Accept() (net.Conn, error) {
	c, err := w.Listener.Accept()
	if err != nil {
		return nil, err
	}
	out := &watched{Conn: c}
	w.m.conns.Store(out, true)
	return out, nil
}

// open is how many connections to it there are.
func (m *mimic) open() (n int) {
	m.conns.Range(func(c, _ any) bool {
		if !c.(*watched).over.Load() {
			n++
		}
		return true
	})
	return n
}

// stream answers at once, or for ever.
func stream(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/stream" {
		_, _ = io.WriteString(w, "ok")
		return
	}
	for r.Context().Err() == nil {
		if _, err := io.WriteString(w, "more\n"); err != nil {
			return
		}
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func echoServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() { _ = l.Close(); cancel(); all.Wait() })
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				stop := context.AfterFunc(ctx, func() { _ = c.Close() })
				defer stop()
				_, _ = io.Copy(c, c)
			})
		}
	})
	return l.Addr().String()
}

// inMemory is a directory where fsync costs nothing, if there is one.
func inMemory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "meshc-drill-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func newDrill(t *testing.T, identities int) *drill {
	t.Helper()
	d := &drill{t: t}
	d.srv = catest.Run(t, ca.Config{Dir: filepath.Join(inMemory(t), "ca"), Rate: ca.Rate{PerSecond: 1e6, Burst: 1e6}, Acknowledged: d.acknowledged})
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	t.Cleanup(func() { cancel(); all.Wait() })
	all.Go(func() { d.srv.Run(ctx) })
	for i := range identities - 4 {
		dir := filepath.Join(inMemory(t), "id")
		s, err := identity.Open(identity.Config{
			CAAddress: d.srv.Addr, CARootFile: d.srv.RootFile, Dir: dir, Log: slog.New(slog.DiscardHandler),
			TokenFile: d.srv.TokenFile(t, fmt.Sprintf("spiffe://mesh.example/ns/lab/sa/loner%d", i)),
		})
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() { s.Run(ctx) })
		d.dirs = append(d.dirs, dir)
		d.loners = append(d.loners, &loner{source: s, sessions: &sessions{ClientSessionCache: tls.NewLRUClientSessionCache(8)}})
	}
	for _, l := range d.loners {
		wait, stop := context.WithTimeout(ctx, time.Minute)
		id, err := l.source.Wait(wait)
		stop()
		if err != nil {
			t.Fatal(err)
		}
		l.stolen = id
	}
	d.mimic = newMimic(t, d.loners[0])
	app := httptest.NewServer(http.HandlerFunc(stream))
	t.Cleanup(app.Close)
	echo := echoServer(t)
	for i := range 2 {
		s := join(t, d.srv, fmt.Sprintf("server%d", i), "  listeners:\n"+listenerOf("in", fmt.Sprintf(httpManager, "app"), true)+listenerOf("bytes", fmt.Sprintf(bytesProxy, "echo"), true)+
			"  clusters:\n"+clusterOf(t, "app", app.Listener.Addr().String(), "", "")+clusterOf(t, "echo", echo, "", ""), nil)
		in, through := newTap(t, s.at(t, "in")), newTap(t, s.at(t, "bytes"))
		d.taps = append(d.taps, in, through)
		c := join(t, d.srv, fmt.Sprintf("caller%d", i), "  listeners:\n"+listenerOf("h1", fmt.Sprintf(httpManager, "h1"), false)+listenerOf("h2", fmt.Sprintf(httpManager, "h2"), false)+
			listenerOf("bytes", fmt.Sprintf(bytesProxy, "bytes"), false)+listenerOf("mimic", fmt.Sprintf(httpManager, "mimic"), false)+
			"  clusters:\n"+clusterOf(t, "h1", in.addr, "http/1.1", "")+clusterOf(t, "h2", in.addr, "h2", overHTTP2)+clusterOf(t, "bytes", through.addr, "http/1.1", "")+
			clusterOf(t, "mimic", d.mimic.addr, "http/1.1", ""), nil)
		d.servers, d.callers = append(d.servers, s), append(d.callers, c)
		d.dirs = append(d.dirs, s.dir, c.dir)
	}
	d.ready.Store(true)
	return d
}

// occupy has connections of every kind between the proxies, and from others to them.
func (d *drill) occupy() {
	for i, l := range d.loners {
		l.occupy(d.t, d.servers[i%2])
	}
	hold := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, c := range d.callers {
		for _, listener := range []string{"h1", "h2", "mimic"} {
			resp, err := hold.Get("http://" + c.at(d.t, listener) + "/stream")
			if err != nil {
				d.t.Fatal(err)
			}
			if resp.StatusCode != 200 {
				d.t.Fatalf("%s: %d", listener, resp.StatusCode)
			}
			d.t.Cleanup(func() { _ = resp.Body.Close() })
			go func() { _, _ = io.Copy(io.Discard, resp.Body) }()
			if status, body := c.get(d.t, listener, "/x"); status != 200 { // stays in the pool
				d.t.Fatalf("%s: %d %q", listener, status, body)
			}
		}
		b, err := net.Dial("tcp", c.at(d.t, "bytes"))
		if err != nil {
			d.t.Fatal(err)
		}
		d.t.Cleanup(func() { _ = b.Close() })
		if _, err := b.Write([]byte("hi")); err != nil {
			d.t.Fatal(err)
		}
		if _, err := io.ReadFull(b, make([]byte, 2)); err != nil {
			d.t.Fatal(err)
		}
	}
}

// load makes short requests through the proxies until the test ends.
func (d *drill) load() {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for _, c := range d.callers {
		for _, listener := range []string{"h1", "h2"} {
			url := "http://" + c.at(d.t, listener) + "/x"
			tr := &http.Transport{}
			d.t.Cleanup(tr.CloseIdleConnections)
			all.Go(func() {
				for ctx.Err() == nil {
					d.call(&http.Client{Transport: tr}, url)
					select {
					case <-ctx.Done():
					case <-time.After(20 * time.Millisecond):
					}
				}
			})
		}
	}
	d.t.Cleanup(func() { cancel(); all.Wait() })
}

func (d *drill) call(c *http.Client, url string) {
	d.calls.Add(1)
	resp, err := c.Get(url)
	if err != nil {
		d.failed.Store(err.Error(), true)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		d.failed.Store(fmt.Sprintf("%d %q %v", resp.StatusCode, body, err), true)
	}
}

// refused says whether everybody refuses what was stolen: by the bundle that they have,
// which is what decides in a handshake.
func (d *drill) refused() bool {
	chain := chainOf(d.t, d.loners[0].stolen)
	for _, l := range d.loners {
		id := l.source.Current()
		if id == nil {
			return false
		}
		if _, err := verify.Chain(chain, id.Bundle, x509.ExtKeyUsageClientAuth, time.Now()); err == nil {
			return false
		}
	}
	for _, s := range d.servers {
		if d.loners[0].accepted(s, "in") != nil {
			return false
		}
	}
	for _, c := range d.callers {
		if status, _ := c.get(d.t, "mimic", "/x"); status != 503 {
			return false
		}
	}
	return true
}

func chainOf(t *testing.T, id *identity.Identity) (chain []*x509.Certificate) {
	t.Helper()
	for _, der := range id.Certificate.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		chain = append(chain, c)
	}
	return chain
}

// over says whether every connection that was there at a time is gone.
func (d *drill) over(since time.Time) bool {
	for _, l := range d.loners {
		if !l.over() {
			return false
		}
	}
	for _, tp := range d.taps {
		if tp.openSince(since) > 0 {
			return false
		}
	}
	return d.mimic.open() == 0
}

// Issue 7: compromise drill. Within 60 s of a taint a certificate of the root that goes
// is refused everywhere, as a client's and as a server's, resumption included, and
// every connection that was made by one is closed, on both sides, whether it idles, has
// an answer that does not end, or carries bytes. No other request fails.
func TestConnectionsOfADroppedRootEnd(t *testing.T) {
	t.Parallel()
	identities, tries := 8, 400
	if soak.On() {
		identities, tries = 200, 10_000
	}
	d := newDrill(t, identities)
	t.Cleanup(func() {
		if t.Failed() {
			for _, m := range append(append([]*member{}, d.servers...), d.callers...) {
				t.Logf("log of %s:\n%s", m.id, m.log.String())
			}
		}
	})
	d.occupy()
	d.load()
	s, err := d.srv.Status()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for _, k := range s.Keys {
		if k.Kind == "issuer" {
			err = d.srv.Taint(k.Name, "a drill")
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	open := 0
	for _, tp := range d.taps {
		open += tp.openSince(began)
	}
	if open < 8 || d.mimic.open() < 2 {
		t.Fatalf("%d connections between proxies, %d to the server with a stolen certificate", open, d.mimic.open())
	}
	inTime(t, "the stolen certificate is refused everywhere", d.refused)
	refused := time.Since(began)
	inTime(t, "every connection of the old root is over", func() bool { return d.over(began) })
	took := time.Since(began)
	t.Logf("%d identities: refused everywhere after %s; %d connections between proxies and %d to them closed after %s", identities, refused, open, 5*len(d.loners), took)
	if soak.On() && took > time.Minute { // a short run is beside others
		t.Errorf("it took %s", took)
	}
	handshakes := 0
	for _, l := range d.loners {
		for range max(1, tries/4/len(d.loners)) {
			for _, s := range d.servers {
				for _, listener := range []string{"in", "bytes"} {
					handshakes++
					if err := l.accepted(s, listener); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		if n := l.sessions.kept.Load(); n != 0 {
			t.Errorf("%d sessions could be resumed", n)
		}
	}
	t.Logf("the stolen certificates were refused in each of %d handshakes; %d requests beside", handshakes, d.calls.Load())
	d.failed.Range(func(what, _ any) bool { t.Errorf("a request failed: %s", what); return true })
}
