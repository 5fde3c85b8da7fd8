package sds

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/meshc/meshc/ca"
	"github.com/meshc/meshc/ca/catest"
	"github.com/meshc/meshc/test/stock"
)

const shop = "spiffe://mesh.example/ns/shop/sa/shop"

// tlsPart is the common TLS context of both sides: everything from the agent.
func tlsPart(peer string) string {
	const sds = `sds_config: {resource_api_version: V3, api_config_source: {api_type: GRPC, transport_api_version: V3, grpc_services: [{envoy_grpc: {cluster_name: meshc-agent}}]}}`
	return fmt.Sprintf(`common_tls_context: {alpn_protocols: [http/1.1],
            tls_certificate_sds_secret_configs: [{name: default, %s}],
            combined_validation_context: {
              default_validation_context: {match_typed_subject_alt_names: [{san_type: URI, matcher: {exact: %q}}]},
              validation_context_sds_secret_config: {name: ROOTCA, %s}}}`, sds, peer, sds)
}

const bootstrap = `
node: {id: sidecar~shop/%[1]s, cluster: %[1]s}
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
static_resources:
  listeners:
  - name: in
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          route_config:
            name: r
            response_headers_to_add: %[2]s
            virtual_hosts: [{name: v, domains: ["*"], routes: [{match: {prefix: /}, %[3]s}]}]
          http_filters: [{name: envoy.filters.http.router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]
%[4]s
  clusters:
  - name: meshc-agent
    type: STATIC
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {}}
    load_assignment: {cluster_name: meshc-agent, endpoints: [{lb_endpoints: [{endpoint: {address: {pipe: {path: %[5]q}}}}]}]}
%[6]s
`

// serverBootstrap answers over mTLS with what it knows of the client.
func serverBootstrap(socket string) string {
	headers := `[{header: {key: x-peer, value: "%DOWNSTREAM_PEER_URI_SAN%"}}, {header: {key: x-serial, value: "%DOWNSTREAM_PEER_SERIAL%"}}]`
	socketPart := `      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          require_client_certificate: true
          ` + tlsPart(shop)
	return fmt.Sprintf(bootstrap, "cart", headers, `direct_response: {status: 200, body: {inline_string: hello}}`, socketPart, socket, "")
}

// clientBootstrap takes plaintext and forwards over mTLS. Every upstream
// connection serves one request only, so each request is a handshake.
func clientBootstrap(socket, upstream string) string {
	host, port, _ := net.SplitHostPort(upstream)
	cluster := fmt.Sprintf(`  - name: cart
    type: STATIC
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        common_http_protocol_options: {max_requests_per_connection: 1}
        explicit_http_config: {http_protocol_options: {}}
    load_assignment: {cluster_name: cart, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: %s, port_value: %s}}}}]}]}
    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        max_session_keys: 0
        %s`, host, port, tlsPart(cart))
	return fmt.Sprintf(bootstrap, "shop", "[]", `route: {cluster: cart}`, "", socket, cluster)
}

// envoy is a running Envoy.
type envoy struct{ admin, listener string }

func startEnvoy(t *testing.T, bin, config string) *envoy {
	t.Helper()
	dir := t.TempDir()
	file, adminFile := filepath.Join(dir, "bootstrap.yaml"), filepath.Join(dir, "admin")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := exec.Command(bin, "-c", file, "--use-dynamic-base-id", "--concurrency", "1", "--admin-address-path", adminFile, "-l", "warning")
	cmd.Stderr = &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s", log.String())
		}
	})
	e := &envoy{}
	e.admin = poll(t, func() string {
		b, _ := os.ReadFile(adminFile)
		return string(b)
	})
	poll(t, func() string {
		if e.get("/ready") != "LIVE\n" {
			return ""
		}
		return "ready"
	})
	e.listener = poll(t, func() string {
		_, addr, _ := strings.Cut(strings.TrimSpace(e.get("/listeners?format=text")), "::")
		return addr
	})
	return e
}

func (e *envoy) get(path string) string {
	resp, err := http.Get("http://" + e.admin + path)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return string(b)
}

// poll asks until there is an answer; Envoy announces its start in no other
// way.
func poll(t *testing.T, ask func() string) string {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for time.Now().Before(deadline) {
		if s := ask(); s != "" {
			return s
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("no answer in 60 s")
	return ""
}

// TestEnvoysRotateUnderLoad: two stock Envoys, each with its own agent, speak
// mutual TLS while their certificates are renewed several times. Each request
// is a new handshake; none fails.
func TestEnvoysRotateUnderLoad(t *testing.T) {
	bin := stock.Envoy(t)
	srv := catest.Run(t, ca.Config{TTL: 6 * time.Second})
	dir := socketDir(t)
	startAgent(t, srv, cart, filepath.Join(dir, "cart.sock"))
	startAgent(t, srv, shop, filepath.Join(dir, "shop.sock"))
	server := startEnvoy(t, bin, serverBootstrap(filepath.Join(dir, "cart.sock")))
	client := startEnvoy(t, bin, clientBootstrap(filepath.Join(dir, "shop.sock"), server.listener))

	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	hc := &http.Client{Transport: &http.Transport{}}
	defer hc.CloseIdleConnections()
	serials := map[string]bool{}
	requests := 0
	for len(serials) < 5 || requests < 100 {
		peer, serial := ask(t, ctx, hc, "http://"+client.listener)
		if peer != shop {
			t.Fatalf("the server saw %q", peer)
		}
		serials[serial] = true
		requests++
	}
	_, handshakes, _ := strings.Cut(strings.TrimSpace(client.get("/stats?filter=cluster.cart.ssl.handshake")), ": ")
	if n, err := strconv.Atoi(handshakes); err != nil || n < requests {
		t.Errorf("%q handshakes for %d requests", handshakes, requests)
	}
	for _, e := range []*envoy{server, client} {
		for _, line := range strings.Split(e.get("/stats?filter=update_rejected|ssl.*fail|ssl.connection_error"), "\n") {
			if name, value, ok := strings.Cut(line, ": "); ok && value != "0" {
				t.Errorf("%s is %s", name, value)
			}
		}
	}
	t.Logf("%d requests, %d client certificates, no failure", requests, len(serials))
}

// TestEnvoyRefusesAnotherWorkload: with valid certificates of the same
// authority, but of another workload, the server's Envoy lets nobody in.
func TestEnvoyRefusesAnotherWorkload(t *testing.T) {
	bin := stock.Envoy(t)
	srv := catest.Run(t, ca.Config{})
	dir := socketDir(t)
	startAgent(t, srv, cart, filepath.Join(dir, "cart.sock"))
	startAgent(t, srv, "spiffe://mesh.example/ns/shop/sa/thief", filepath.Join(dir, "thief.sock"))
	server := startEnvoy(t, bin, serverBootstrap(filepath.Join(dir, "cart.sock")))
	client := startEnvoy(t, bin, clientBootstrap(filepath.Join(dir, "thief.sock"), server.listener))
	resp, err := http.Get("http://" + client.listener)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("status %d", resp.StatusCode)
	}
	if !strings.Contains(server.get("/stats?filter=ssl.fail_verify_san"), "fail_verify_san: 1") {
		t.Error("the server did not refuse the client by its SAN")
	}
	http.DefaultClient.CloseIdleConnections()
}

func ask(t *testing.T, ctx context.Context, hc *http.Client, url string) (peer, serial string) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := hc.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d, %v: %s", resp.StatusCode, err, body)
	}
	return resp.Header.Get("x-peer"), resp.Header.Get("x-serial")
}
