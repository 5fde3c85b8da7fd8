package xds

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"go.uber.org/goleak"

	emitxds "github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/model"
)

func TestMain(m *testing.M) {
	// grpc-go v1.85 does not close the file watcher behind the "tls" channel
	// credentials of a bootstrap.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("google.golang.org/grpc/credentials/tls/certprovider/pemfile.(*watcher).run"))
}

const domain = "mesh.test"

// patience bounds what a test waits for; nothing should come near it.
const patience = 20 * time.Second

func ref(name string) model.Ref { return model.Ref{Namespace: "default", Name: name} }

func spiffeID(name string) string { return "spiffe://" + domain + "/ns/default/sa/" + name }

func service(name string, protocol model.Protocol, versions ...string) *model.Service {
	s := &model.Service{
		Ref:            ref(name),
		Host:           name + ".default.svc.cluster.local",
		ServiceAccount: name,
		SPIFFEID:       spiffeID(name),
		Ports:          []model.Port{{Name: "main", Number: 9080, Protocol: protocol}},
		MTLS:           model.MTLSStrict,
		Allow:          []model.Rule{{Authenticated: true}},
	}
	for _, v := range versions {
		s.Versions = append(s.Versions, model.Version{Name: v, Labels: map[string]string{"version": v}})
	}
	s.Routes = []*model.Route{route("all", model.Split{Version: versions[0], BasisPoints: model.BasisPointsWhole})}
	return s
}

func route(name string, split ...model.Split) *model.Route {
	r := &model.Route{Name: name, Ports: []uint16{9080}, Split: split, Timeout: 15 * time.Second}
	r.Origin.File, r.Origin.Start.Line = "mesh.cue", 7
	return r
}

// eachEmitted emits every workload and hands over what came of it.
func eachEmitted(visit func(*model.Workload, *emitxds.Resources) error) EmitFunc {
	return func(m *model.Mesh, all []*model.Workload, o emitxds.Options) (emission, error) {
		return emission{emit: func(w *model.Workload) (*emitxds.Resources, error) {
			out, err := emitxds.Emit(m, w, all, o)
			if err != nil {
				return nil, err
			}
			return out, visit(w, out)
		}}, nil
	}
}

// shop is web → reviews (v1, v2), and vault, which web does not use.
func shop() *Desired {
	web, reviews, vault := service("web", model.HTTP, "v1"), service("reviews", model.HTTP, "v1", "v2"), service("vault", model.HTTP, "v1")
	web.Uses = []model.Ref{ref("reviews")}
	m := &model.Mesh{Name: "shop", TrustDomain: domain, Services: []*model.Service{reviews, vault, web}}
	return &Desired{Mesh: m, Workloads: emitxds.DefaultWorkloads(m)}
}

const (
	webNode     = "sidecar~default/web.v1-0"
	vaultNode   = "sidecar~default/vault.v1-0"
	webRoute    = "outbound|9080||reviews.default.svc.cluster.local"
	reviewsV1   = "outbound|9080|v1|reviews.default.svc.cluster.local"
	reviewsV2   = "outbound|9080|v2|reviews.default.svc.cluster.local"
	meshBundle  = "bundle|" + domain
	vaultInward = "inbound|9080"
)

// authority is a CA as small as a test needs.
type authority struct {
	t    testing.TB
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	next int64
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{t: t, key: newKey(t), next: 2}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test root"},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// issue signs a leaf with URI SANs that also serves 127.0.0.1 and localhost.
func (a *authority) issue(uris ...string) tls.Certificate {
	a.t.Helper()
	key := newKey(a.t)
	a.next++
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(a.next), NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	for _, s := range uris {
		u, err := url.Parse(s)
		if err != nil {
			a.t.Fatal(err)
		}
		tmpl.URIs = append(tmpl.URIs, u)
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// files writes a certificate, its key and the root, as PEM.
func (a *authority) files(c tls.Certificate) (cert, key, root string) {
	a.t.Helper()
	dir := a.t.TempDir()
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		a.t.Fatal(err)
	}
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			a.t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})),
		write("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		write("root.pem", a.pem())
}

func (a *authority) serverTLS(id string) *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{a.issue(id)},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    a.pool(),
	}
}

// controller is a server on a loopback port.
type controller struct {
	*Server
	t    testing.TB
	ca   *authority
	addr string
}

func startController(t testing.TB, o Options) *controller {
	t.Helper()
	c := &controller{Server: New(o), t: t, ca: newAuthority(t)}
	if err := c.SetBundle(domain, c.ca.pem()); err != nil {
		t.Fatal(err)
	}
	g, err := c.NewGRPC(c.ca.serverTLS(spiffeID("meshc-controller")))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.addr = l.Addr().String()
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	t.Cleanup(func() { g.Stop(); <-served })
	return c
}

func (c *controller) set(commit string, d *Desired) {
	c.t.Helper()
	if err := c.SetDesired(commit, d); err != nil {
		c.t.Fatal(err)
	}
}

// dial connects with a client certificate.
func (c *controller) dial(cert ...tls.Certificate) *grpc.ClientConn {
	c.t.Helper()
	creds := credentials.NewTLS(&tls.Config{RootCAs: c.ca.pool(), Certificates: cert, ServerName: "localhost"})
	conn, err := grpc.NewClient(c.addr, grpc.WithTransportCredentials(creds))
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { conn.Close() })
	return conn
}

// await blocks until what status says satisfies a condition.
func (c *controller) await(what string, ok func() bool) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	for {
		changed := c.Changed()
		if ok() {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			c.t.Fatalf("never: %s; status %+v", what, c.Status())
		}
	}
}

func (c *controller) awaitProgrammed(commit string, want int) {
	c.t.Helper()
	c.await("programmed "+commit, func() bool { n, _ := c.Programmed(commit); return n == want })
}

func (c *controller) node(id string) NodeStatus {
	c.t.Helper()
	for _, n := range c.Status() {
		if n.Node == id {
			return n
		}
	}
	c.t.Fatalf("no node %q in status", id)
	return NodeStatus{}
}

func workloadOf(name string) func(*model.Workload) bool {
	return func(w *model.Workload) bool { return w.Service == ref(name) }
}
