package apiserver

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// Fault is what becomes of a request: one of its fields but RetryAfter and Then.
type Fault struct {
	Status     int    // answer this as an API server does, and do not forward
	RetryAfter int    // seconds, with Status
	Drop       bool   // cut the connection, and do not forward
	Hang       bool   // neither forward nor answer, as long as the client waits
	Lose       bool   // forward, and cut the connection in place of the reply
	Cut        bool   // forward, and cut the connection after the first bytes of the reply
	Expired    bool   // answer a watch: too old resource version
	Then       func() // called when it has reached the API server, with Lose
}

// Proxy stands between clients and the API server, and does to requests what the
// test says.
type Proxy struct {
	URL    string
	server *Server
	cut    func()

	mu    sync.Mutex
	fault func(*http.Request) *Fault
	ended chan struct{}

	// Requests that came, and Faulted that were not just forwarded.
	Requests, Faulted atomic.Int64
}

// Proxy starts one that forwards everything; it ends with the test.
func (s *Server) Proxy(t testing.TB) *Proxy {
	t.Helper()
	target, err := url.Parse(s.Host)
	if err != nil {
		t.Fatal(err)
	}
	roots, err := os.ReadFile(s.path("ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(roots)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: transport, FlushInterval: -1,
		ErrorLog: log.New(io.Discard, "", 0), // of requests that end with their client
	}
	pair, err := tls.LoadX509KeyPair(s.path("serving.crt"), s.path("serving.key"))
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{server: s, ended: make(chan struct{})}
	listener := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.serve(forward, w, r) }))
	listener.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	listener.Config.ErrorLog = log.New(io.Discard, "", 0)
	listener.StartTLS()
	p.URL, p.cut = listener.URL, listener.CloseClientConnections
	t.Cleanup(func() {
		close(p.ended)
		listener.CloseClientConnections()
		listener.Close()
	})
	return p
}

// Config is how a user reaches the server by way of the proxy.
func (p *Proxy) Config(user string) *rest.Config {
	c := p.server.Config(user)
	c.Host = p.URL
	return c
}

// Do has requests treated as f says from now on; f is called by one goroutine at a
// time. nil forwards a request.
func (p *Proxy) Do(f func(*http.Request) *Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
}

// Disconnect cuts all connections, with the watches on them.
func (p *Proxy) Disconnect() { p.cut() }

// IsWatch says whether a request is a watch.
func IsWatch(r *http.Request) bool { return r.URL.Query().Get("watch") == "true" }

// Of says whether a request is about a resource ("meshes", "leases"), or with a
// subresource about that ("meshes/status").
func Of(r *http.Request, resource string) bool {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/") // apis group version namespaces namespace resource name subresource
	if len(parts) < 6 {
		return false
	}
	sub := ""
	if len(parts) > 7 {
		sub = "/" + parts[7]
	}
	return parts[5]+sub == resource
}

func (p *Proxy) serve(forward http.Handler, w http.ResponseWriter, r *http.Request) {
	p.Requests.Add(1)
	p.mu.Lock()
	var f *Fault
	if p.fault != nil {
		f = p.fault(r)
	}
	p.mu.Unlock()
	if f == nil {
		forward.ServeHTTP(w, r)
		return
	}
	p.Faulted.Add(1)
	switch {
	case f.Status != 0:
		refuse(w, f.Status, f.RetryAfter)
	case f.Expired:
		w.Header().Set("Content-Type", "application/json")
		expired := metav1.Status{Status: metav1.StatusFailure, Reason: metav1.StatusReasonExpired, Code: http.StatusGone, Message: "too old resource version"}
		expired.APIVersion, expired.Kind = "v1", "Status"
		_ = json.NewEncoder(w).Encode(map[string]any{"type": "ERROR", "object": expired}) // the client may have gone
	case f.Drop:
		panic(http.ErrAbortHandler)
	case f.Hang:
		_, _ = io.Copy(io.Discard, r.Body) // only then is it noticed that the client has gone
		select {
		case <-r.Context().Done():
		case <-p.ended:
		}
		panic(http.ErrAbortHandler)
	case f.Lose:
		forward.ServeHTTP(httptest.NewRecorder(), r)
		if f.Then != nil {
			f.Then()
		}
		panic(http.ErrAbortHandler)
	case f.Cut:
		forward.ServeHTTP(&cutWriter{ResponseWriter: w, left: 1000}, r)
	}
}

// refuse answers as an API server does.
func refuse(w http.ResponseWriter, code, retryAfter int) {
	s := metav1.Status{Status: metav1.StatusFailure, Code: int32(code), Message: fmt.Sprintf("a fault of the test: %d", code)}
	s.APIVersion, s.Kind = "v1", "Status"
	switch code {
	case http.StatusConflict:
		s.Reason = metav1.StatusReasonConflict
	case http.StatusTooManyRequests:
		s.Reason = metav1.StatusReasonTooManyRequests
	case http.StatusServiceUnavailable:
		s.Reason = metav1.StatusReasonServiceUnavailable
	case http.StatusForbidden:
		s.Reason = metav1.StatusReasonForbidden
	default:
		s.Reason = metav1.StatusReasonInternalError
	}
	w.Header().Set("Content-Type", "application/json")
	if retryAfter > 0 {
		w.Header().Set("Retry-After", fmt.Sprint(retryAfter))
	}
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(s) // the client may have gone
}

// cutWriter lets the first bytes of a reply through.
type cutWriter struct {
	http.ResponseWriter
	left int
}

func (c *cutWriter) Write(p []byte) (int, error) {
	n := min(len(p), c.left)
	c.left -= n
	if _, err := c.ResponseWriter.Write(p[:n]); err != nil {
		return n, err
	}
	if n < len(p) {
		_ = http.NewResponseController(c.ResponseWriter).Flush() // so that they arrive
		panic(http.ErrAbortHandler)
	}
	return n, nil
}

// Unwrap has the reply flushed.
func (c *cutWriter) Unwrap() http.ResponseWriter { return c.ResponseWriter }
