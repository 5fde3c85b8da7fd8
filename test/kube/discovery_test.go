package kube

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/reconciler/api"
	"github.com/meshc/meshc/reconciler/status"
	"github.com/meshc/meshc/test/apiserver"
)

// edgeCUE is a gateway in front of api, in a namespace. Callers speak to api without
// TLS, so that its applications answer themselves.
func edgeCUE(namespace string) string {
	return `package mesh

gateway: ingress: {
	namespace: "` + namespace + `"
	listeners: web: {port: 80, protocol: "http"}
	routes: all: to: "` + namespace + `/api"
}

service: api: {
	namespace: "` + namespace + `"
	owner:     "team"
	ports: http: {number: 80, protocol: "http"}
	versions: {v1: {}, v2: {}}
	routes: rest: to: {v1: 100, v2: 0}
	security: mtls: "disable"
}
`
}

// edge is a gateway with pods behind it, which the controller has to find out about.
type edge struct {
	*world
	net *network
}

func newEdge(t *testing.T, host func(*world) string) *edge {
	t.Helper()
	w := newWorld(t)
	w.discover()
	e := &edge{w, newNetwork(t)}
	w.put(nodes, "Node", &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "one", Labels: map[string]string{
		corev1.LabelTopologyRegion: "r", corev1.LabelTopologyZone: "a",
	}}})
	w.service("ingress", 80)
	w.service("api", 80)
	w.pod("ingress-0", "ingress", "", "")
	w.slice("ingress-1", "ingress", 8080, end{pod: "ingress-0", address: address(2)})
	e.net.IP("addr", "add", address(2)+"/32", "dev", "lo")
	commit := w.repo.commit("cue.mod/module.cue", moduleCUE, "mesh.cue", rootCUE, "shop/edge.cue", edgeCUE(w.namespace))
	w.start(host(w))
	w.follow(nil)
	w.untilServing(commit)
	gateway := &model.Workload{ID: "ingress-0", Role: model.RoleGateway, Service: model.Ref{Namespace: w.namespace, Name: "ingress"}}
	launchIn(t, e.net.Enter, "meshc-proxy", w.proxyArgs(gateway, e.net.bring(15010, w.ads), e.net.bring(15012, w.ca))...)
	return e
}

// runs makes a pod of api with an application.
func (e *edge) runs(number int, version string) end {
	name := fmt.Sprintf("api-%d", number)
	e.net.IP("addr", "add", address(number)+"/32", "dev", "lo")
	e.net.serve(number, 9090, name)
	e.pod(name, "api", version, "api/"+version)
	return end{pod: name, address: address(number)}
}

// answers are what some requests by way of the gateway get.
func (e *edge) answers() map[string]bool {
	out := map[string]bool{}
	for range 12 {
		out[e.ask()] = true
	}
	return out
}

func (e *edge) ask() string {
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(_ context.Context, _, at string) (net.Conn, error) {
		return e.net.Dial(at)
	}}}
	resp, err := client.Get("http://" + address(2) + ":8080/")
	if err != nil {
		return "error"
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "error"
	}
	if resp.StatusCode != 200 {
		return resp.Status
	}
	return string(body)
}

// wantAnswers waits until requests get these answers, each of them, and no other, and
// gives how long that took.
func (e *edge) wantAnswers(want ...string) time.Duration {
	e.t.Helper()
	began := time.Now()
	for {
		got := e.answers()
		same := len(got) == len(want)
		for _, w := range want {
			same = same && got[w]
		}
		if same {
			return time.Since(began)
		}
		if time.Since(began) > patience {
			e.t.Fatalf("requests get %v, want %v; %s", got, want, e.discovered())
		}
	}
}

func (e *edge) discovered() string {
	c, _ := e.mesh().Status.Condition(status.Discovered)
	return fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message)
}

func (e *edge) untilDiscovered(is status.ConditionStatus, parts ...string) {
	e.t.Helper()
	e.until(fmt.Sprintf("Discovered %s %q", is, parts), func(s *api.MeshStatus) bool {
		c, _ := s.Condition(status.Discovered)
		for _, p := range parts {
			if !strings.Contains(c.Message, p) {
				return false
			}
		}
		return c.Status == is
	})
}

// TestTrafficFollowsEndpointSlices: Services, EndpointSlices and Pods of a real API
// server, a gateway, and where its requests go.
func TestTrafficFollowsEndpointSlices(t *testing.T) {
	e := newEdge(t, func(*world) string { return "" })
	three, four, five := e.runs(3, "v1"), e.runs(4, "v1"), e.runs(5, "v2")
	e.slice("api-1", "api", 9090, three, four, five)
	e.wantAnswers("api-3", "api-4")

	four.unready = true
	e.slice("api-1", "api", 9090, three, four, five)
	t.Logf("a pod that is not ready gets no requests after %v", e.wantAnswers("api-3"))
	six := e.runs(6, "v1")
	e.slice("api-2", "api", 9090, six)
	t.Logf("a pod of another slice gets requests after %v", e.wantAnswers("api-3", "api-6"))
	e.untilDiscovered(status.True)

	// What is wrong with some is said, and stops nobody else.
	e.pod("api-7", "api", "v9", "api/v9")
	e.pod("api-8", "api", "v1", "")
	four.unready = false
	e.slice("api-2", "api", 9090, six, end{pod: "api-7", address: address(7)}, end{pod: "api-8", address: address(8)}, end{address: "192.0.2.1"})
	e.slice("api-1", "api", 9090, three, four, five)
	e.wantAnswers("api-3", "api-4", "api-6")
	e.untilDiscovered(status.False, "api-7: it has the labels of no version of service api",
		"api-8: Service api selects it, and it has no proxy", "192.0.2.1 is of no pod")

	// Pods of another version, by their label.
	e.pod("api-3", "api", "v2", "api/v1")
	e.wantAnswers("api-4", "api-6")

	// What ends is left, unless nothing else is there.
	e.slice("api-2", "api", 9090)
	four.terminates = true
	e.slice("api-1", "api", 9090, three, four, five)
	e.wantAnswers("api-4")
	e.slice("api-2", "api", 9090, six)
	e.wantAnswers("api-6")
}

// sieve stands between a controller and the API server and refuses what it is told to.
type sieve struct {
	*httptest.Server
	refuse atomic.Pointer[string] // requests whose path holds it
}

func newSieve(w *world) *sieve {
	w.t.Helper()
	target, err := url.Parse(w.server.Host)
	must(w.t, err)
	roots, err := os.ReadFile(w.server.Config(apiserver.Admin).CAFile)
	must(w.t, err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(roots)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	w.t.Cleanup(transport.CloseIdleConnections)
	quiet := log.New(io.Discard, "", 0)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: transport, FlushInterval: -1, ErrorLog: quiet}
	s := &sieve{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if p := s.refuse.Load(); p != nil && strings.Contains(r.URL.Path, *p) {
			http.Error(rw, "it is not the time", http.StatusServiceUnavailable)
			return
		}
		proxy.ServeHTTP(rw, r)
	}))
	pair, err := tls.LoadX509KeyPair(w.server.Serving())
	must(w.t, err)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	s.Config.ErrorLog = quiet
	s.StartTLS()
	w.t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s
}

// cut refuses what path says from now on, and ends what is under way.
func (s *sieve) cut(path string) {
	s.refuse.Store(&path)
	s.CloseClientConnections()
}

// TestACutWatchTakesNothingAway: without an answer of the API server the last
// endpoints stay, what is wrong is said where that can be, and what has changed
// meanwhile comes when it answers again.
func TestACutWatchTakesNothingAway(t *testing.T) {
	var s *sieve
	e := newEdge(t, func(w *world) string {
		s = newSieve(w)
		return s.URL
	})
	three, four := e.runs(3, "v1"), e.runs(4, "v1")
	e.slice("api-1", "api", 9090, three)
	e.wantAnswers("api-3")
	for _, path := range []string{"/endpointslices", "/api/v1/pods", "/"} {
		s.cut(path)
		if path != "/" { // the status comes by way of the server too
			e.untilDiscovered(status.False, "the last good workloads serve", strings.TrimPrefix(strings.TrimPrefix(path, "/api/v1"), "/"))
		}
		e.slice("api-1", "api", 9090, three, four)
		for range 5 {
			if got := e.ask(); got != "api-3" && got != "api-4" { // pods alone are cut
				t.Fatalf("without %s: %s", path, got)
			}
		}
		s.refuse.Store(nil)
		e.wantAnswers("api-3", "api-4")
		e.untilDiscovered(status.True)
		e.slice("api-1", "api", 9090, three)
		e.wantAnswers("api-3")
	}
}
