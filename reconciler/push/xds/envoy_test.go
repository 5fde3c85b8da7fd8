package xds

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	secretv3 "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/anypb"

	emitxds "github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/test/loopback"
	"github.com/meshc/meshc/test/stock"
)

// agent answers Envoy's requests for its own identity, as the agent beside it
// does.
type agent struct {
	secretv3.UnimplementedSecretDiscoveryServiceServer
	secrets map[string]*tlsv3.Secret
}

func (a *agent) StreamSecrets(s secretv3.SecretDiscoveryService_StreamSecretsServer) error {
	for {
		r, err := s.Recv()
		if err != nil {
			return nil
		}
		if r.GetResponseNonce() != "" {
			continue
		}
		out := &discoveryv3.DiscoveryResponse{TypeUrl: SDS.URL(), VersionInfo: "1", Nonce: "1"}
		for _, name := range r.GetResourceNames() {
			body, err := anypb.New(a.secrets[name])
			if err != nil {
				return err
			}
			out.Resources = append(out.Resources, body)
		}
		if err := s.Send(out); err != nil {
			return err
		}
	}
}

func startAgent(t *testing.T, ca *authority, id string) string {
	t.Helper()
	cert := ca.issue(id)
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	inline := func(kind string, der []byte) *corev3.DataSource {
		return &corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})}}
	}
	g := grpc.NewServer()
	secretv3.RegisterSecretDiscoveryServiceServer(g, &agent{secrets: map[string]*tlsv3.Secret{
		"default": {Name: "default", Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
			CertificateChain: inline("CERTIFICATE", cert.Certificate[0]), PrivateKey: inline("PRIVATE KEY", key),
		}}},
		"ROOTCA": {Name: "ROOTCA", Type: &tlsv3.Secret_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{
			TrustedCa: inline("CERTIFICATE", ca.cert.Raw),
		}}},
	}})
	path := filepath.Join(t.TempDir(), "agent.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	t.Cleanup(func() { g.Stop(); <-served })
	return path
}

// envoy is a stock Envoy led by a controller.
type envoy struct {
	t     *testing.T
	admin *http.Client
}

func startEnvoy(t *testing.T, c *controller, node, id string) *envoy {
	t.Helper()
	binary, dir := stock.Envoy(t), t.TempDir()
	socket := filepath.Join(dir, "admin.sock")
	boot, err := emitxds.Bootstrap(emitxds.BootstrapOptions{
		NodeID: node, Cluster: "test", AdminSocket: socket, AgentSocket: startAgent(t, c.ca, id),
		Controller: c.addr, ControllerID: spiffeID("meshc-controller"),
	})
	if err != nil {
		t.Fatal(err)
	}
	config, err := emitxds.JSON(boot)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "bootstrap.json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := exec.Command(binary, "-c", file, "--use-dynamic-base-id", "--concurrency", "1", "--log-level", "warning")
	cmd.Stderr = &log // the access log goes to stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	admin := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}
	t.Cleanup(func() {
		admin.CloseIdleConnections()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("envoy: %s", log.String())
		}
	})
	return &envoy{t: t, admin: &http.Client{Transport: admin, Timeout: patience}}
}

// stats gives the counters whose name ends so, as "name: value" lines.
func (e *envoy) stats(suffix string) []string {
	e.t.Helper()
	r, err := e.admin.Get("http://admin/stats?filter=" + suffix + "$")
	if err != nil {
		e.t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	return strings.Fields(strings.ReplaceAll(strings.TrimSpace(string(body)), ": ", ":"))
}

func (e *envoy) refusedNothing() {
	e.t.Helper()
	stats := e.stats("update_rejected")
	if len(stats) == 0 {
		e.t.Error("no update_rejected counter found")
	}
	for _, s := range stats {
		if !strings.HasSuffix(s, ":0") {
			e.t.Errorf("envoy refused an update: %s", s)
		}
	}
}

// versionServer is an instance of reviews: its sidecar and application in one.
func versionServer(t *testing.T, ca *authority, version string) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, version) }))
	s.TLS = ca.serverTLS(spiffeID("reviews"))
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// envoyShop is web → reviews, of which there is one version only.
func envoyShop(web *model.Workload, version, addr string) *Desired {
	d := shop()
	d.Mesh.Services[0] = service("reviews", model.HTTP, version)
	instance := &model.Workload{ID: "reviews-0", Role: model.RoleSidecar, Service: ref("reviews"), Version: version, Ready: true,
		Inbound: map[uint16]string{9080: addr}, App: map[uint16]string{9080: "127.0.0.1:9"}}
	d.Workloads = []*model.Workload{web, instance}
	return d
}

func newWeb(t *testing.T) *model.Workload {
	return &model.Workload{
		ID: "web.v1-0", Role: model.RoleSidecar, Service: ref("web"), Version: "v1", Ready: true,
		Inbound:  map[uint16]string{9080: loopback.Address(t)},
		App:      map[uint16]string{9080: "127.0.0.1:9"},
		Outbound: map[string]string{"default/reviews:9080": loopback.Address(t)},
	}
}

// traffic asks through a proxy without a pause until it is stopped.
type traffic struct {
	seen   atomic.Pointer[string]
	ok     atomic.Int64
	failed atomic.Pointer[string]
	stop   context.CancelFunc
	done   chan struct{}
}

func startTraffic(t *testing.T, addr string) *traffic {
	ctx, cancel := context.WithCancel(t.Context())
	f := &traffic{stop: cancel, done: make(chan struct{})}
	transport := &http.Transport{}
	go func() {
		defer close(f.done)
		defer transport.CloseIdleConnections()
		for ctx.Err() == nil {
			body, err := get(ctx, transport, addr)
			switch {
			case err == nil:
				f.seen.Store(&body)
				f.ok.Add(1)
			case ctx.Err() == nil:
				text := err.Error()
				f.failed.CompareAndSwap(nil, &text)
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-f.done })
	return f
}

func get(ctx context.Context, transport *http.Transport, addr string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/", nil)
	if err != nil {
		return "", err
	}
	answer, err := transport.RoundTrip(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if answer.StatusCode != http.StatusOK {
		err = errors.Join(err, fmt.Errorf("%s: %s", answer.Status, body))
	}
	return string(body), err
}

// TestEnvoyIsLedWithoutALostRequest replaces, commit by commit, the only
// version of a service: each brings a new cluster and takes the old one away,
// under traffic.
func TestEnvoyIsLedWithoutALostRequest(t *testing.T) {
	c := startController(t, Options{})
	web := newWeb(t)
	addrs := map[string]string{"v1": versionServer(t, c.ca, "v1"), "v2": versionServer(t, c.ca, "v2")}
	c.set("c0", envoyShop(web, "v1", addrs["v1"]))
	e := startEnvoy(t, c, webNode, spiffeID("web"))
	c.awaitProgrammed("c0", 1)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	deadline, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for { // the first listener binds a moment after it is confirmed
		if _, err := get(deadline, transport, web.Outbound["default/reviews:9080"]); err == nil {
			break
		} else if deadline.Err() != nil {
			t.Fatal(err)
		}
	}
	f := startTraffic(t, web.Outbound["default/reviews:9080"])
	for i := 1; i <= 20; i++ {
		version := []string{"v1", "v2"}[i%2]
		commit := fmt.Sprintf("c%d", i)
		c.set(commit, envoyShop(web, version, addrs[version]))
		c.awaitProgrammed(commit, 1)
		for from := f.ok.Load(); f.ok.Load() < from+20 && f.failed.Load() == nil; {
			if deadline.Err() != nil {
				t.Fatal("no traffic")
			}
		}
		if got := *f.seen.Load(); got != version {
			t.Errorf("%s: traffic reaches %s, want %s", commit, got, version)
		}
	}
	if why := f.failed.Load(); why != nil {
		t.Errorf("a request was lost: %s", *why)
	}
	e.refusedNothing()
	for _, s := range e.stats("cluster_manager.active_clusters") {
		t.Log(s, "requests:", f.ok.Load())
	}
}

// TestEnvoyRefusesAndRecovers: what Envoy refuses stays out of traffic's way.
func TestEnvoyRefusesAndRecovers(t *testing.T) {
	broken := atomic.Bool{}
	c := startController(t, Options{Emit: eachEmitted(func(_ *model.Workload, out *emitxds.Resources) error {
		if i := slices.IndexFunc(out.Routes, func(r *routev3.RouteConfiguration) bool { return r.Name == webRoute }); broken.Load() && i >= 0 {
			out.Routes[i].VirtualHosts[0].Routes[0].Match.PathSpecifier = &routev3.RouteMatch_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: "(unclosed"}}
		}
		return nil
	})})
	web := newWeb(t)
	addr := versionServer(t, c.ca, "v1")
	c.set("c0", envoyShop(web, "v1", addr))
	startEnvoy(t, c, webNode, spiffeID("web"))
	c.awaitProgrammed("c0", 1)
	broken.Store(true)
	c.set("bad", envoyShop(web, "v1", addr))
	c.await("a NACK", func() bool { return rejected(c.node(webNode), RDS) != nil })
	nack := rejected(c.node(webNode), RDS)
	if nack.Commit != "bad" || !slices.Equal(nack.Names, []string{webRoute}) || !strings.Contains(nack.Message, "unclosed") {
		t.Errorf("recorded as %+v", nack)
	}
	broken.Store(false)
	next := envoyShop(web, "v1", addr)
	next.Mesh.Services[0].Routes[0].Timeout *= 2
	c.set("good", next)
	c.awaitProgrammed("good", 1)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	if body, err := get(t.Context(), transport, web.Outbound["default/reviews:9080"]); err != nil || body != "v1" {
		t.Errorf("traffic: %q, %v", body, err)
	}
}
