package sds

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/ca"
	"github.com/meshc/meshc/ca/catest"
	"github.com/meshc/meshc/test/stock"
)

// named writes a new self-signed certificate for name where a secret of the
// name shop is looked for.
func (a *agent) named(t *testing.T, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(a.secrets, "shop")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{"tls.crt": {Type: "CERTIFICATE", Bytes: der}, "tls.key": {Type: "PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a.files.Reload()
}

// TestEnvoyShowsNamedCertificates: stock Envoy gets a certificate that the mesh
// names from the agent, and the next one when the files change.
func TestEnvoyShowsNamedCertificates(t *testing.T) {
	bin := stock.Envoy(t)
	srv := catest.Run(t, ca.Config{})
	socket := filepath.Join(socketDir(t), "edge.sock")
	a := startAgent(t, srv, cart, socket)
	a.named(t, "first.example")
	tlsContext := `      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context: {tls_certificate_sds_secret_configs: [{name: "certificate|secret|shop", sds_config: {resource_api_version: V3, api_config_source: {api_type: GRPC, transport_api_version: V3, grpc_services: [{envoy_grpc: {cluster_name: meshc-agent}}]}}}]}`
	edge := startEnvoy(t, bin, fmt.Sprintf(bootstrap, "cart", "[]", `direct_response: {status: 200, body: {inline_string: hello}}`, tlsContext, socket, ""))
	shown := func() string {
		conn, err := tls.Dial("tcp", edge.listener, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			return ""
		}
		defer conn.Close()
		return strings.Join(conn.ConnectionState().PeerCertificates[0].DNSNames, ",")
	}
	if got := poll(t, shown); got != "first.example" {
		t.Fatalf("shows %s", got)
	}
	a.named(t, "second.example")
	poll(t, func() string {
		if got := shown(); got == "second.example" {
			return got
		}
		return ""
	})
}
