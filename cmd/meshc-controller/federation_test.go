package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"

	"github.com/meshc/meshc/ca"
	"github.com/meshc/meshc/ca/keystore"
	"github.com/meshc/meshc/ca/sign"
	"github.com/meshc/meshc/ca/template"
	"github.com/meshc/meshc/dataplane/admin"
	"github.com/meshc/meshc/dataplane/identity"
	served "github.com/meshc/meshc/dataplane/identity/workloadapi"
	"github.com/meshc/meshc/test/loopback"
)

// domain is a trust domain with a controller of its own, as a process.
type domain struct {
	*rig
	name             string
	dir, root, bundl string // of its keys; its roots when it began; where it tells its bundle
	keys             *ca.Authority
}

func newDomain(t *testing.T, name string) *domain {
	t.Helper()
	dir, err := os.MkdirTemp("", "fed") // short: a socket address holds 108 bytes
	must(t, err)
	d := &domain{name: name, dir: filepath.Join(dir, "ca"), root: filepath.Join(dir, "root.pem"), bundl: loopback.Address(t)}
	d.rig = &rig{t: t, ca: loopback.Address(t), admin: filepath.Join(dir, "admin")}
	d.keys, err = ca.Open(ca.Config{Dir: d.dir, TrustDomain: name, Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	must(t, os.WriteFile(d.root, d.keys.BundlePEM(), 0o600))
	t.Cleanup(func() { d.kill(); _ = os.RemoveAll(dir) })
	return d
}

// federates starts the controller, which follows the bundle of other.
func (d *domain) federates(other *domain) {
	d.t.Helper()
	d.log = &bytes.Buffer{}
	d.cmd = exec.Command(os.Args[0], "--roles", "ca", "--ca-dir", d.dir, "--trust-domain", d.name, "--ca-address", d.ca, "--admin", d.admin, "--ca-ttl", "15s",
		"--bundle-address", d.bundl, "--federate", fmt.Sprintf("domain=%s,url=https://%s/,bundle=%s", other.name, other.bundl, other.root))
	d.cmd.Env = append(os.Environ(), asController+"=1")
	d.cmd.Stderr = d.log
	must(d.t, d.cmd.Start())
}

func (d *domain) id(workload string) spiffeid.ID {
	return spiffeid.RequireFromString("spiffe://" + d.name + "/ns/shop/sa/" + workload)
}

// application is what runs beside a sidecar of workload, of go-spiffe alone.
func (d *domain) application(workload string) (*workloadapi.X509Source, *workloadapi.JWTSource) {
	t := d.t
	t.Helper()
	dir, err := os.MkdirTemp("", "app")
	must(t, err)
	token, err := d.keys.CreateJoinToken(d.id(workload).String(), time.Hour)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "token"), []byte(token), 0o600))
	log := slog.New(slog.DiscardHandler)
	source, err := identity.Open(identity.Config{CAAddress: d.ca, CARootFile: d.root, TokenFile: filepath.Join(dir, "token"), Dir: filepath.Join(dir, "id"), Log: log})
	must(t, err)
	l, err := admin.ListenUnix(filepath.Join(dir, "s"), 0o600)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ran, ended := make(chan struct{}), make(chan error, 1)
	go func() { defer close(ran); source.Run(ctx) }()
	go func() { ended <- served.Serve(ctx, l, source, log) }()
	t.Cleanup(func() {
		cancel()
		<-ran
		must(t, <-ended)
		_ = os.RemoveAll(dir)
	})
	soon, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	at := workloadapi.WithClientOptions(workloadapi.WithAddr("unix://" + filepath.Join(dir, "s")))
	x, err := workloadapi.NewX509Source(soon, at)
	must(t, err)
	j, err := workloadapi.NewJWTSource(soon, at)
	must(t, err)
	t.Cleanup(func() { _, _ = x.Close(), j.Close() })
	return x, j
}

// answers serves who calls, if that is who; by source, or what another certificate says.
func answers(t *testing.T, svid x509svid.Source, source *workloadapi.X509Source, who spiffeid.ID) string {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", tlsconfig.MTLSServerConfig(svid, source, tlsconfig.AuthorizeID(who)))
	must(t, err)
	srv := &http.Server{ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, r.TLS.PeerCertificates[0].URIs[0])
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close(); <-done })
	return l.Addr().String()
}

func calls(svid x509svid.Source, source *workloadapi.X509Source, at string, server spiffeid.ID) (string, error) {
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: tlsconfig.MTLSClientConfig(svid, source, tlsconfig.AuthorizeID(server))}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport, Timeout: time.Minute}).Get("https://" + at)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

// eventually repeats what has to come true.
func (d *domain) eventually(what string, try func() error) {
	d.t.Helper()
	deadline := time.Now().Add(3 * time.Minute)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			d.kill()
			d.t.Fatalf("%s: %v\n%s", what, err, d.log)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Issue 7: two trust domains, each with its controller, exchange bundles by bundle
// endpoints. Applications of each call those of the other, and take tokens of it; what
// one authority signs for the other's names is refused; a new root is followed.
func TestTwoTrustDomainsFederate(t *testing.T) {
	a, b := newDomain(t, "a.example"), newDomain(t, "b.example")
	a.federates(b)
	b.federates(a)
	ax, aj := a.application("web")
	bx, bj := b.application("cart")
	atA, atB := answers(t, ax, ax, b.id("cart")), answers(t, bx, bx, a.id("web"))
	both := func() error {
		who, err := calls(ax, ax, atB, b.id("cart"))
		if err == nil && who != a.id("web").String() {
			err = fmt.Errorf("the server saw %q", who)
		}
		if err != nil {
			return fmt.Errorf("a calls b: %w", err)
		}
		if who, err = calls(bx, bx, atA, a.id("web")); err == nil && who != b.id("cart").String() {
			err = fmt.Errorf("the server saw %q", who)
		}
		if err != nil {
			return fmt.Errorf("b calls a: %w", err)
		}
		return nil
	}
	a.eventually("requests in both directions", both)
	a.eventually("a token of a at b", func() error {
		token, err := aj.FetchJWTSVID(t.Context(), jwtsvid.Params{Audience: "cart"})
		if err != nil {
			return err
		}
		got, err := jwtsvid.ParseAndValidate(token.Marshal(), bj, []string{"cart"})
		if err == nil && got.ID != a.id("web") {
			err = fmt.Errorf("it is of %q", got.ID)
		}
		return err
	})

	t.Run("a name of the other by the own root", func(t *testing.T) {
		forged := forge(t, a, b.id("cart"))
		if _, err := calls(forge(t, b, b.id("cart")), bx, atA, a.id("web")); err != nil {
			t.Fatalf("what b's own root has signed is refused too: %v", err)
		}
		if _, err := calls(forged, bx, atA, a.id("web")); err == nil {
			t.Error("a took a name of b that a's key has signed")
		}
		posing := answers(t, forged, bx, a.id("web"))
		if _, err := calls(ax, ax, posing, b.id("cart")); err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("a called a server with a name of b that a's key has signed: %v", err)
		}
	})
	t.Run("the other's certificate renews nothing here", func(t *testing.T) {
		svid, err := bx.GetX509SVID()
		must(t, err)
		conn, err := tls.Dial("tcp", a.ca, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}, Certificates: []tls.Certificate{{
			Certificate: [][]byte{svid.Certificates[0].Raw, svid.Certificates[1].Raw}, PrivateKey: svid.PrivateKey}}})
		if err == nil {
			defer conn.Close()
			_, err = conn.Read(make([]byte, 1)) // in TLS 1.3 the refusal comes after the handshake
			for n := 0; err == nil && n < 100; n++ {
				_, err = conn.Read(make([]byte, 256))
			}
		}
		var alert *net.OpError
		if !errors.As(err, &alert) || !strings.Contains(err.Error(), "bad certificate") {
			t.Errorf("a's authority took it: %v", err)
		}
	})

	before, err := spiffebundle.Load(spiffeid.RequireTrustDomainFromString(b.name), bundleFile(t, b))
	must(t, err)
	if code, body := b.ask(http.MethodPost, "/ca/rotate", url.Values{"kind": {"root"}}); code != http.StatusOK {
		t.Fatal(code, body)
	}
	// The root before goes when the last token that its key has signed may have ended, after
	// minutes; that is tested in ca/federation, by a clock that is set.
	b.eventually("b's applications have certificates of the new root, and a takes them", func() error {
		if err := both(); err != nil {
			b.kill()
			t.Fatalf("while b's root was replaced: %v\n%s", err, b.log)
		}
		svid, err := bx.GetX509SVID()
		must(t, err)
		if _, _, err := x509svid.Verify(svid.Certificates, before); err == nil {
			return errors.New("it is of the root before")
		}
		return both()
	})
	if code, body := a.ask(http.MethodGet, "/federation", nil); code != http.StatusOK || !strings.Contains(body, `"trustDomain":"b.example"`) || strings.Contains(body, `"error"`) {
		t.Errorf("%d %s", code, body)
	}
}

// bundleFile is what the controller tells at its admin endpoint.
func bundleFile(t *testing.T, d *domain) string {
	t.Helper()
	code, body := d.ask(http.MethodGet, "/bundle", nil)
	if code != http.StatusOK {
		t.Fatal(code, body)
	}
	path := filepath.Join(t.TempDir(), "bundle.json")
	must(t, os.WriteFile(path, []byte(body), 0o600))
	return path
}

// forge is a certificate of id that the root of d has signed, as only its owner or a
// thief could.
func forge(t *testing.T, d *domain, id spiffeid.ID) *x509svid.SVID {
	t.Helper()
	s, err := d.keys.Status()
	must(t, err)
	i := slices.IndexFunc(s.Keys, func(k ca.Key) bool { return k.Kind == "root" && k.State == "active" })
	keys, err := keystore.OpenFiles(filepath.Join(d.dir, "keys"), nil)
	must(t, err)
	root, err := keys.Open(s.Keys[i].Name)
	must(t, err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	issuer := d.keys.Bundle().Roots[0]
	says, err := template.Workload(id, issuer, time.Hour, time.Now())
	must(t, err)
	leaf, err := sign.Certificate(says, issuer, key.Public(), root)
	must(t, err)
	if _, err := x509svid.ParseRaw(leaf.Raw, mustPKCS8(t, key)); err != nil {
		t.Fatalf("the certificate is refused for another reason: %v", err)
	}
	return &x509svid.SVID{ID: id, Certificates: []*x509.Certificate{leaf}, PrivateKey: key}
}

func mustPKCS8(t *testing.T, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	return der
}
