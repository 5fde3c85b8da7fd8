// Package apiserver runs Kubernetes' own API server and etcd for tests, on
// loopback, with certificates of their own, a token for each user and RBAC on.
// There is no controller manager, no scheduler and no node: what is written
// stays as it is. It is for tests alone.
package apiserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

// Users of the token file. Only Admin may do anything before a test grants it.
const (
	Admin    = "admin"    // system:masters
	Meshc    = "meshc"    // the controller
	Stranger = "stranger" // somebody else's controller
)

var users = []string{Admin, Meshc, Stranger}

// Server is a running API server.
type Server struct {
	Host string // https://127.0.0.1:port
	dir  string
	etcd *process
	api  *process
}

var shared struct {
	sync.Mutex
	server *Server
	err    error
}

// Run runs the tests of a package and ends what Start started; TestMain exits
// with its result.
func Run(m *testing.M) int {
	defer Stop()
	return m.Run()
}

// Stop ends the server of this process, if it runs.
func Stop() {
	shared.Lock()
	defer shared.Unlock()
	if shared.server != nil {
		shared.server.stop()
		shared.server = nil
	}
}

// Start gives the API server of this test process; the first call starts it.
// TestMain of the package has to call Run or Stop. Where the programs are
// missing the test is skipped, loudly, and fails in CI.
func Start(t testing.TB) *Server {
	t.Helper()
	bin := binaries(t)
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil && shared.err == nil {
		shared.server, shared.err = start(bin)
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.server
}

// binaries gives the directory of etcd and kube-apiserver.
func binaries(t testing.TB) string {
	t.Helper()
	roots := []string{os.Getenv("MESHC_TOOLS")}
	if home, err := os.UserHomeDir(); err == nil {
		roots = append(roots, filepath.Join(home, ".cache/meshc/tools"))
	}
	for _, root := range roots {
		dir := filepath.Join(root, "kube")
		if _, err := os.Stat(filepath.Join(dir, "complete")); root != "" && err == nil {
			return dir
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("kube-apiserver is not installed: run make tools")
	}
	t.Skip("SKIPPED, NOT PASSED: kube-apiserver is not installed; run make tools")
	return ""
}

// tries is how often a start is tried: the port that was free may be taken by
// the time the server listens on it.
const tries = 3

func start(bin string) (*Server, error) {
	var err error
	for range tries {
		var s *Server
		if s, err = startOnce(bin); err == nil {
			return s, nil
		}
	}
	return nil, err
}

func startOnce(bin string) (*Server, error) {
	dir, err := os.MkdirTemp("", "meshc-kube-")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir}
	if err := s.begin(bin); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *Server) begin(bin string) error {
	if err := writeIdentities(s.dir); err != nil {
		return err
	}
	var err error
	socket := "unix://" + s.path("etcd.sock")
	s.etcd, err = launch(s.path("etcd.log"), filepath.Join(bin, "etcd"),
		"--data-dir", s.path("etcd"), "--unsafe-no-fsync", "--log-level", "warn",
		"--listen-client-urls", socket, "--advertise-client-urls", socket,
		"--listen-peer-urls", "unix://"+s.path("peer.sock"), "--initial-advertise-peer-urls", "unix://"+s.path("peer.sock"),
		"--initial-cluster", "default=unix://"+s.path("peer.sock"))
	if err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	s.Host = "https://127.0.0.1:" + port
	s.api, err = launch(s.path("apiserver.log"), filepath.Join(bin, "kube-apiserver"),
		"--etcd-servers", socket, "--bind-address", "127.0.0.1", "--secure-port", port, "--endpoint-reconciler-type", "none",
		"--tls-cert-file", s.path("serving.crt"), "--tls-private-key-file", s.path("serving.key"), "--cert-dir", s.path("certs"),
		"--service-account-issuer", "https://kubernetes.default.svc", "--api-audiences", "https://kubernetes.default.svc",
		"--service-account-key-file", s.path("account.key"), "--service-account-signing-key-file", s.path("account.key"),
		"--token-auth-file", s.path("tokens.csv"), "--authorization-mode", "RBAC", "--anonymous-auth=false",
		"--service-cluster-ip-range", "10.96.0.0/16", "--audit-policy-file", s.path("audit.yaml"), "--audit-log-path", s.path("audit.log"),
		"--audit-log-mode", "blocking-strict")
	if err != nil {
		return err
	}
	return s.awaitReady()
}

func (s *Server) path(name string) string { return filepath.Join(s.dir, name) }

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// readyTime bounds a start: it takes 5 s on two quiet cores.
const readyTime = 3 * time.Minute

func (s *Server) awaitReady() error {
	ctx, cancel := context.WithTimeout(context.Background(), readyTime)
	defer cancel()
	transport, err := rest.TransportFor(s.Config(Admin))
	if err != nil {
		return err
	}
	client := &http.Client{Transport: transport, Timeout: 5 * time.Second}
	for {
		resp, err := client.Get(s.Host + "/readyz")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-s.api.done:
			return fmt.Errorf("kube-apiserver ended: %s", tail(s.path("apiserver.log")))
		case <-s.etcd.done:
			return fmt.Errorf("etcd ended: %s", tail(s.path("etcd.log")))
		case <-ctx.Done():
			return errors.Join(errors.New("kube-apiserver is not ready: "+tail(s.path("apiserver.log"))), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// tail gives the end of a log.
func tail(file string) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-10):], []byte("\n")))
}

func (s *Server) stop() {
	for _, p := range []*process{s.api, s.etcd} {
		if p != nil {
			p.end()
		}
	}
	_ = os.RemoveAll(s.dir)
}

// Config is how a user reaches the server. It does not slow requests down: what
// a client should hold back with is for its own tests.
func (s *Server) Config(user string) *rest.Config {
	return &rest.Config{
		Host: s.Host, BearerToken: token(user), QPS: -1,
		TLSClientConfig: rest.TLSClientConfig{CAFile: s.path("ca.crt")},
	}
}

// Kubeconfig writes a file for a user that says how to reach the server by way
// of host ("": itself), which has a certificate of the same authority.
func (s *Server) Kubeconfig(t testing.TB, user, host string) string {
	t.Helper()
	if host == "" {
		host = s.Host
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: test
contexts: [{name: test, context: {cluster: test, user: test}}]
clusters: [{name: test, cluster: {server: %q, certificate-authority: %q}}]
users: [{name: test, user: {token: %q}}]
`, host, s.path("ca.crt"), token(user))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Audit gives the requests that were made so far, one JSON document a line.
func (s *Server) Audit(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile(s.path("audit.log"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Serving gives the files of a certificate for 127.0.0.1 that clients of the
// server trust, for what stands between them.
func (s *Server) Serving() (certificate, key string) {
	return s.path("serving.crt"), s.path("serving.key")
}

func token(user string) string { return "token-of-" + strings.ToLower(user) }
