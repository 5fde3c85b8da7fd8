package federation

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	spiffe "github.com/spiffe/go-spiffe/v2/federation"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"go.uber.org/goleak"

	"github.com/meshc/meshc/ca"
	"github.com/meshc/meshc/ca/bundle"
	"github.com/meshc/meshc/ca/validate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	own   = spiffeid.RequireTrustDomainFromString("a.example")
	other = spiffeid.RequireTrustDomainFromString("b.example")
)

const patience = time.Minute

func authority(t testing.TB, td spiffeid.TrustDomain) *ca.Authority {
	t.Helper()
	a, err := ca.Open(ca.Config{Dir: filepath.Join(t.TempDir(), "ca"), TrustDomain: td.Name(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// endpoint serves h with the certificate of a's controller, as profile https_spiffe.
func endpoint(t testing.TB, a *ca.Authority, h http.Handler) string {
	t.Helper()
	return withCertificate(t, h, func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return a.ControllerCertificate() })
}

func withCertificate(t testing.TB, h http.Handler, get func(*tls.ClientHelloInfo) (*tls.Certificate, error)) string {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.TLS = &tls.Config{GetCertificate: get}
	srv.StartTLS()
	srv.TLS.Certificates = nil // httptest adds its own
	t.Cleanup(srv.Close)
	return srv.URL + "/"
}

// handOver writes what a says of itself to a file.
func handOver(t testing.TB, a *ca.Authority) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bundle")
	if err := os.WriteFile(path, a.BundlePEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// open opens a follower of one peer, and gives what it tells.
func open(t testing.TB, p Peer, dir string) (*Follower, chan bundle.Content, error) {
	t.Helper()
	return openAt(t, p, dir, time.Now)
}

func openAt(t testing.TB, p Peer, dir string, now func() time.Time) (*Follower, chan bundle.Content, error) {
	t.Helper()
	told := make(chan bundle.Content, 100)
	f, err := Open(own, []Peer{p}, Options{Dir: dir, Interval: 20 * time.Millisecond, Now: now, Log: slog.New(slog.DiscardHandler), Changed: func(all map[spiffeid.TrustDomain]bundle.Content) {
		told <- all[p.TrustDomain]
	}})
	return f, told, err
}

func run(t testing.TB, f *Follower) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); f.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return func() { cancel(); <-done }
}

func until(t *testing.T, told chan bundle.Content, what string, is func(bundle.Content) bool) bundle.Content {
	t.Helper()
	late := time.After(patience)
	for {
		select {
		case c := <-told:
			if is(c) {
				return c
			}
		case <-late:
			t.Fatalf("never: %s", what)
		}
	}
}

// Our endpoint, as go-spiffe's client sees it.
func TestEndpointAsGoSpiffeReadsIt(t *testing.T) {
	b := authority(t, other)
	url := endpoint(t, b, Handler(b.BundleDocument))
	roots := x509bundle.FromX509Authorities(other, b.Bundle().Roots)
	got, err := spiffe.FetchBundle(t.Context(), other, url, spiffe.WithSPIFFEAuth(roots, validate.ControllerID(other)))
	if err != nil {
		t.Fatal(err)
	}
	seq, ok := got.SequenceNumber()
	if _, hinted := got.RefreshHint(); !ok || !hinted || seq != b.Bundle().Sequence || !got.HasX509Authority(b.Bundle().Roots[0]) || len(got.JWTAuthorities()) != 1 {
		t.Errorf("it says sequence %d, %d roots, %d keys", seq, len(got.X509Authorities()), len(got.JWTAuthorities()))
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	for _, c := range []struct {
		method, path string
		want         int
	}{{http.MethodPost, "", 405}, {http.MethodGet, "x", 404}, {http.MethodHead, "", 200}} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, url+c.path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != c.want {
			t.Errorf("%s /%s: %d", c.method, c.path, resp.StatusCode)
		}
	}
}

// A rotation of the other's root is followed until the root before is gone, and known
// after a restart without the other, whose first root is worth nothing by then.
func TestRotationOfAnotherTrustDomainIsFollowed(t *testing.T) {
	clock := newClock()
	b, err := ca.Open(ca.Config{Dir: filepath.Join(t.TempDir(), "ca"), TrustDomain: other.Name(), Log: slog.New(slog.DiscardHandler), Now: clock.now})
	if err != nil {
		t.Fatal(err)
	}
	first := b.Bundle().Roots[0]
	p := Peer{TrustDomain: other, URL: endpoint(t, b, Handler(b.BundleDocument)), Bundle: handOver(t, b), Endpoint: validate.ControllerID(other)}
	dir := filepath.Join(t.TempDir(), "f")
	f, told, err := openAt(t, p, dir, clock.now)
	if err != nil {
		t.Fatal(err)
	}
	if c := <-told; len(c.Roots) != 1 || len(c.Keys) != 0 {
		t.Fatalf("at first: %+v", c)
	}
	stop := run(t, f)
	until(t, told, "its keys of tokens", func(c bundle.Content) bool { return len(c.Keys) == 1 })
	if err := b.Rotate("root"); err != nil {
		t.Fatal(err)
	}
	until(t, told, "the next root", func(c bundle.Content) bool { return len(c.Roots) == 2 })
	for len(b.Bundle().Roots) != 1 || b.Bundle().Roots[0].Equal(first) {
		clock.add(2 * time.Hour)
		if _, err := b.ControllerCertificate(); err != nil { // takes the steps that are due
			t.Fatal(err)
		}
	}
	last := until(t, told, "the next root alone", func(c bundle.Content) bool { return len(c.Roots) == 1 && !c.Roots[0].Equal(first) })
	stop()
	again, told, err := openAt(t, p, dir, clock.now)
	if err != nil {
		t.Fatal(err)
	}
	if c := <-told; !c.Equal(&last) {
		t.Errorf("after a restart: %+v", again.Status())
	}
}

// go-spiffe's handler, whose bundle has another encoder, by Web PKI.
func TestFollowsAnEndpointOfGoSpiffe(t *testing.T) {
	b := authority(t, other)
	document, err := b.BundleDocument()
	if err != nil {
		t.Fatal(err)
	}
	said, err := spiffebundle.Parse(other, document)
	if err != nil {
		t.Fatal(err)
	}
	h, err := spiffe.NewHandler(other, said)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewTLSServer(h)
	defer srv.Close()
	web := filepath.Join(t.TempDir(), "web.pem")
	if err := os.WriteFile(web, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	f, told, err := open(t, Peer{TrustDomain: other, URL: srv.URL, WebRoots: web}, filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	if c := <-told; len(c.Roots) != 0 {
		t.Fatalf("it knows %+v already", c)
	}
	run(t, f)
	want := b.Bundle()
	until(t, told, "its bundle", func(c bundle.Content) bool { return c.Equal(&want) })
}

// What an endpoint does that changes nothing of what is known.
func TestEndpointsThatAreNotBelieved(t *testing.T) {
	b, stranger := authority(t, other), authority(t, other)
	known := handOver(t, b)
	document := func(a *ca.Authority) http.Handler { return Handler(a.BundleDocument) }
	says := func(text string) http.Handler {
		return Handler(func() ([]byte, error) { return []byte(text), nil })
	}
	workload := certificateOf(t, b, "spiffe://b.example/ns/x/sa/y")
	lower := func() ([]byte, error) {
		doc := spiffebundle.FromX509Authorities(other, b.Bundle().Roots)
		doc.SetSequenceNumber(3)
		return doc.Marshal()
	}
	for name, c := range map[string]struct {
		url  string
		want string
	}{
		"a server of another authority": {endpoint(t, stranger, document(stranger)), "bundle endpoint"},
		"a server of another name": {withCertificate(t, document(b), func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return workload, nil
		}), "not \"spiffe://b.example/ns/meshc-system"},
		"a redirection": {endpoint(t, b, http.RedirectHandler("https://127.0.0.1:1/", http.StatusFound)), "leads elsewhere"},
		"an error":      {endpoint(t, b, http.NotFoundHandler()), "404"},
		"no bundle":     {endpoint(t, b, says("hello")), "JWKS"},
		"no keys":       {endpoint(t, b, says(`{"keys": []}`)), "without roots"},
		"a large body":  {endpoint(t, b, says(`{"keys": [`+strings.Repeat(" ", maxDocument)+`]}`)), "more than"},
		"our roots":     {endpoint(t, b, document(authority(t, own))), "not of"},
		"nobody":        {"https://127.0.0.1:1/", "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			f, told, err := open(t, Peer{TrustDomain: other, URL: c.url, Bundle: known, Endpoint: validate.ControllerID(other)}, filepath.Join(t.TempDir(), "f"))
			if err != nil {
				t.Fatal(err)
			}
			before := <-told
			err = f.look(t.Context(), f.peers[0])
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if after := f.bundles()[other]; !after.Equal(&before) || len(after.Roots) != 1 {
				t.Errorf("it knows %+v", after)
			}
			if s := f.Status()[0]; s.Error == "" || !s.FetchedAt.IsZero() {
				t.Errorf("status %+v", s)
			}
		})
	}
	t.Run("a bundle of before", func(t *testing.T) {
		f, _, err := open(t, Peer{TrustDomain: other, URL: endpoint(t, b, Handler(lower)), Bundle: known, Endpoint: validate.ControllerID(other)}, filepath.Join(t.TempDir(), "f"))
		if err != nil {
			t.Fatal(err)
		}
		f.peers[0].known.Sequence = 4
		if err := f.look(t.Context(), f.peers[0]); err == nil || !strings.Contains(err.Error(), "sequence number 3, after 4") {
			t.Error(err)
		}
	})
}

// A file that was handed over anew counts for more than what was fetched after the last
// one.
func TestAnotherFileIsBelieved(t *testing.T) {
	b, anew := authority(t, other), authority(t, other)
	p := Peer{TrustDomain: other, URL: endpoint(t, b, Handler(b.BundleDocument)), Bundle: handOver(t, b), Endpoint: validate.ControllerID(other)}
	dir := filepath.Join(t.TempDir(), "f")
	f, _, err := open(t, p, dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.look(t.Context(), f.peers[0]); err != nil {
		t.Fatal(err)
	}
	p.Bundle = handOver(t, anew)
	_, told, err := open(t, p, dir)
	if err != nil {
		t.Fatal(err)
	}
	if c := <-told; !c.Roots[0].Equal(anew.Bundle().Roots[0]) {
		t.Error("the old bundle is believed")
	}
}

// A kept bundle that is damaged takes nobody else away, and what was handed over before it
// is not believed again by itself: its roots may have been let go of.
func TestAKeptBundleThatIsDamaged(t *testing.T) {
	b := authority(t, other)
	p := Peer{TrustDomain: other, URL: endpoint(t, b, Handler(b.BundleDocument)), Bundle: handOver(t, b), Endpoint: validate.ControllerID(other)}
	dir := filepath.Join(t.TempDir(), "f")
	f, _, err := open(t, p, dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.look(t.Context(), f.peers[0]); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.file(&p), []byte(`{"bundle": {"keys"`), 0o600); err != nil {
		t.Fatal(err)
	}
	again, told, err := open(t, p, dir)
	if err != nil {
		t.Fatal(err)
	}
	if c := <-told; len(c.Roots) != 0 {
		t.Errorf("it knows %+v", c)
	}
	if err := again.look(t.Context(), again.peers[0]); err == nil || !strings.Contains(err.Error(), "remove "+f.file(&p)) {
		t.Error(err)
	}
	if s := again.Status()[0]; s.Error == "" || s.Roots != 0 {
		t.Errorf("status %+v", s)
	}
	if err := os.Remove(f.file(&p)); err != nil {
		t.Fatal(err)
	}
	if _, told, err = open(t, p, dir); err != nil {
		t.Fatal(err)
	}
	if c := <-told; len(c.Roots) != 1 {
		t.Errorf("it knows %+v", c)
	}
}

// The size of another's root is what each handshake with its workloads costs here.
func TestLargeKeysOfRootsAreRefused(t *testing.T) {
	for bits, fails := range map[uint]bool{8191: false, 8192: true} {
		n := new(big.Int).Lsh(big.NewInt(1), bits)
		for n.SetBit(n, 0, 1); validate.PublicKey(&rsa.PublicKey{N: n, E: 65537}) != nil && !fails; n.Add(n, big.NewInt(2)) {
			continue // to one without a small factor
		}
		if err := checkRootKey(&rsa.PublicKey{N: n, E: 65537}); (err != nil) != fails {
			t.Errorf("%d bits: %v", bits+1, err)
		}
	}
	if checkRootKey(nil) == nil {
		t.Error("no key is taken")
	}
}

func TestOpenRefuses(t *testing.T) {
	b := authority(t, other)
	good := Peer{TrustDomain: other, URL: "https://127.0.0.1:1/", Bundle: handOver(t, b), Endpoint: validate.ControllerID(other)}
	leaf := certificateOf(t, b, "spiffe://b.example/ns/x/sa/y").Leaf
	write := func(text string) string {
		path := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	with := func(change func(*Peer)) []Peer { p := good; change(&p); return []Peer{p} }
	for name, c := range map[string]struct {
		peers []Peer
		want  string
	}{
		"two of one name":      {[]Peer{good, good}, "twice"},
		"the own trust domain": {with(func(p *Peer) { p.TrustDomain = own }), "own"},
		"no such file":         {with(func(p *Peer) { p.Bundle = "/nowhere" }), "no such file"},
		"an empty file":        {with(func(p *Peer) { p.Bundle = write("") }), "without roots"},
		"what is no bundle":    {with(func(p *Peer) { p.Bundle = write("x") }), "neither"},
		"roots of another":     {with(func(p *Peer) { p.Bundle = handOver(t, authority(t, own)) }), "not of"},
		"what is no root": {with(func(p *Peer) {
			p.Bundle = write(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw})))
		}), "CA:TRUE"},
		"no roots for the web":  {[]Peer{{TrustDomain: other, URL: good.URL, WebRoots: write("x")}}, "no PEM certificate"},
		"too many trust domain": {make([]Peer, maxPeers+1), "more than"},
	} {
		if _, err := Open(own, c.peers, Options{Dir: filepath.Join(t.TempDir(), "f"), Changed: func(map[spiffeid.TrustDomain]bundle.Content) {}}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// All bundles go to each workload in one message: a peer does not make it as long as it
// likes by the IDs of its keys.
func TestLongKeyIDsAreRefused(t *testing.T) {
	a := authority(t, other)
	c := a.Bundle()
	for _, key := range c.Keys {
		for n, fails := range map[int]bool{maxKeyID: false, maxKeyID + 1: true} {
			c := bundle.Content{Roots: c.Roots, Keys: map[string]crypto.PublicKey{strings.Repeat("k", n): key}}
			document, err := bundle.New(other, c).Document(time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := decode(other, document); (err != nil) != fails {
				t.Errorf("an ID of %d bytes: %v", n, err)
			}
		}
		return
	}
	t.Fatal("the authority has no key of tokens")
}

func TestParsePeer(t *testing.T) {
	p, err := ParsePeer("domain=b.example,url=https://b:8443/x,bundle=f.pem")
	if err != nil || p.TrustDomain != other || p.URL != "https://b:8443/x" || p.Bundle != "f.pem" || p.Endpoint != validate.ControllerID(other) {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err = ParsePeer("domain=b.example,url=https://b/,web=yes,roots=r.pem"); err != nil || p.spiffe() || p.WebRoots != "r.pem" {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err = ParsePeer("domain=b.example,url=https://b/,bundle=f,id=spiffe://b.example/spire/server"); err != nil || p.Endpoint.Path() != "/spire/server" {
		t.Errorf("%+v, %v", p, err)
	}
	for text, want := range map[string]string{
		"":                                 "NAME=VALUE",
		"domain=b.example":                 "scheme",
		"domain=B,url=https://b/,bundle=f": "domain=",
		"domain=b.example,url=http://b/,bundle=f":                          "https",
		"domain=b.example,url=https:///,bundle=f":                          "host",
		"domain=b.example,url=https://u@b/,bundle=f":                       "user",
		"domain=b.example,url=https://b/#x,bundle=f":                       "fragment",
		"domain=b.example,url=https://b/":                                  "want bundle=",
		"domain=b.example,url=https://b/,bundle=f,web=yes":                 "want bundle=",
		"domain=b.example,url=https://b/,web=no":                           "want yes",
		"domain=b.example,url=https://b/,bundle=f,roots=r":                 "goes with",
		"domain=b.example,url=https://b/,web=yes,id=spiffe://b.example/x":  "goes with",
		"domain=b.example,url=https://b/,bundle=f,id=spiffe://c.example/x": "not of a server",
		"domain=b.example,url=https://b/,bundle=f,id=spiffe://b.example":   "not of a server",
		"domain=b.example,url=https://b/,bundle=f,id=x":                    "id=x",
		"domain=b.example,url=https://b/,bundle=f,x=y":                     "not one of",
		"domain=b.example,domain=c.example,url=https://b/,bundle=f":        "once",
	} {
		if _, err := ParsePeer(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func certificateOf(t testing.TB, a *ca.Authority, id string) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := a.Issue(id, key.Public(), 0)
	if err != nil {
		t.Fatal(err)
	}
	out := &tls.Certificate{PrivateKey: key, Leaf: chain[0]}
	for _, c := range chain {
		out.Certificate = append(out.Certificate, c.Raw)
	}
	return out
}

// Whatever an endpoint says: no panic, and what is taken says the same after it was
// written by us and read by go-spiffe.
func FuzzDecode(f *testing.F) {
	a := authority(f, other)
	document, err := a.BundleDocument()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(document)
	f.Add(a.BundlePEM())
	f.Add([]byte(`{"keys": [{"use": "jwt-svid", "kty": "oct", "k": "AA", "kid": "x"}]}`))
	f.Add([]byte(`{"keys": null, "spiffe_sequence": -1, "spiffe_refresh_hint": 1e99}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := decodeFile(other, data)
		if err != nil {
			return
		}
		for _, root := range c.Roots {
			if err := validate.Authority(root, other); err != nil {
				t.Error(err)
			}
		}
		h := bundle.New(other, c)
		written, err := h.Document(time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		again, _, err := decode(other, written)
		if err != nil || len(again.Roots) != len(x509Unique(c.Roots)) || len(again.Keys) != len(c.Keys) || again.Sequence != c.Sequence {
			t.Errorf("%v: %+v is written as %s", err, c, written)
		}
		if !json.Valid(written) {
			t.Errorf("%s is not JSON", written)
		}
	})
}

func x509Unique(all []*x509.Certificate) map[string]bool {
	out := map[string]bool{}
	for _, c := range all {
		out[string(c.Raw)] = true
	}
	return out
}
