package interop

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/meshc/meshc/compiler/answer"
	"github.com/meshc/meshc/compiler/model"
)

// issuer signs tokens with one key, which it serves.
type issuer struct {
	t      *testing.T
	name   string
	signer jose.Signer
	keys   []byte // a JWKS
}

func newIssuer(t *testing.T, name string, alg jose.SignatureAlgorithm) *issuer {
	t.Helper()
	var private, public any
	switch alg {
	case jose.RS256:
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		private, public = k, &k.PublicKey
	case jose.ES256:
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		private, public = k, &k.PublicKey
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: private, KeyID: "k1"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: public, KeyID: "k1", Algorithm: string(alg), Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	return &issuer{t: t, name: name, signer: signer, keys: keys}
}

// token has the claims, and what it needs to be valid for another hour for
// "shop", unless they say otherwise.
func (i *issuer) token(claims map[string]any) string {
	i.t.Helper()
	all := map[string]any{"iss": i.name, "aud": "shop", "exp": time.Now().Add(time.Hour).Unix()}
	for k, v := range claims {
		all[k] = v
	}
	raw, err := json.Marshal(all)
	if err != nil {
		i.t.Fatal(err)
	}
	signed, err := i.signer.Sign(raw)
	if err != nil {
		i.t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		i.t.Fatal(err)
	}
	return text
}

func (i *issuer) bearer(claims map[string]any) []string {
	return []string{"authorization: Bearer " + i.token(claims)}
}

// tokenMesh has services that verify tokens in several ways.
const tokenMesh = `package mesh

mesh: proxy: "envoy"
external: keys: {
	host: "example.com"
	ports: https: {number: 443, protocol: "http"}
	tls: ca: file: "CA"
}
service: web: {
	versions: v1: {}
	uses: {strict: {}, lenient: {}, several: {}, optional: {}}
}
service: strict: {
	ports: http: {number: 9080, protocol: "http"}
	versions: v1: {}
	uses: keys: {}
	security: {
		jwt: one: {issuer: "https://one.test", audiences: ["shop"], jwks: {external: "keys", path: "/one"}, required: true}
		public: [{paths: [{exact: "/healthz"}]}, {methods: ["OPTIONS"], paths: [{prefix: "/pre"}]}]
	}
}
service: lenient: {
	ports: http: {number: 9080, protocol: "http"}
	versions: v1: {}
	uses: keys: {}
	security: {
		jwt: one: {
			issuer: "https://one.test", jwks: {external: "keys", path: "/one"}, required: false, forward: true
			from: [{header: "x-token"}, {query: "token"}, {cookie: "token"}]
			claimHeaders: {"x-user": "sub", "x-team": "/org/team"}
		}
		public: [{paths: [{exact: "/healthz"}]}]
	}
}
service: several: {
	ports: http: {number: 9080, protocol: "http"}
	versions: v1: {}
	security: jwt: {
		one: {issuer: "https://one.test", jwks: file: "FILES/one.json", required: true, claimHeaders: "x-one": "sub"}
		two: {issuer: "https://two.test", jwks: file: "FILES/two.json", required: true, claimHeaders: "x-two": "sub"}
	}
}
service: optional: {
	ports: http: {number: 9080, protocol: "http"}
	versions: v1: {}
	security: jwt: {
		two: {issuer: "https://two.test", jwks: file: "FILES/two.json", required: false, claimHeaders: "x-two": "sub"}
		more: {issuer: "https://more.test", jwks: file: "FILES/more.json", required: false, from: [{header: "x-more"}], claimHeaders: "x-claim-more": "sub"}
	}
}
`

// tokens is a bed with the issuers of its tokens.
type tokens struct {
	*bed
	one, two, more *issuer
	rogue          *issuer // that says it is one
}

func startTokens(t *testing.T, text string) *tokens {
	t.Helper()
	x := &tokens{
		one: newIssuer(t, "https://one.test", jose.RS256), two: newIssuer(t, "https://two.test", jose.ES256),
		more: newIssuer(t, "https://more.test", jose.ES256), rogue: newIssuer(t, "https://one.test", jose.RS256),
	}
	dir := t.TempDir()
	for name, content := range map[string][]byte{"one.json": x.one.keys, "two.json": x.two.keys, "more.json": x.more.keys} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	addr, ca := serveTLS(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "example.com" || r.URL.Path != "/one" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(x.one.keys)
	}))
	text = strings.NewReplacer("CA", filepath.Base(ca), "FILES", dir).Replace(text)
	x.bed = newBed(t, compileFS(t, fstest.MapFS{
		"cue.mod/module.cue": {Data: []byte("module: \"mesh.test\"\nlanguage: version: \"v0.17.0\"\n")},
		"mesh.cue":           {Data: []byte("package mesh\n\nimport m \"meshc.dev/mesh\"\n\nmesh: m.#Config\nservice: m.#Services\ngateway: m.#Gateways\nexternal: m.#Externals\n")},
		"a.cue":              {Data: []byte(text)},
	}))
	authority, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	x.plane.secret(filepath.Base(ca), authority)
	if keys := x.mesh.External(ref("keys")); keys != nil {
		keys.Endpoints = []string{addr}
	}
	return x
}

// serveTLS serves example.com until the test ends; ca is the file with its
// authority.
func serveTLS(t *testing.T, h http.Handler) (addr, ca string) {
	t.Helper()
	s := httptest.NewTLSServer(h)
	t.Cleanup(s.Close)
	ca = filepath.Join(t.TempDir(), "ca.pem")
	raw := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(ca, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return s.Listener.Addr().String(), ca
}

// came is what became of one request: the status, and the headers that the
// application got, nil if it got nothing.
type came struct {
	status int
	got    map[string][]string
	uri    string
}

// lastAsk is the id of the last exchange of ask.
func (b *bed) lastAsk() string { return fmt.Sprintf("ask-%d", b.asks) }

func (b *bed) ask(addr, method, target string, headers ...string) came {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, "http://"+addr+target, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	b.asks++
	id := b.lastAsk()
	req.Header.Set(caseHeader, id)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "host" {
			req.Host = value
			continue
		}
		req.Header.Add(name, value)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	out := came{status: resp.StatusCode}
	if got := b.backends.got(id); len(got) > 0 {
		out.got, out.uri = got[0].Header, got[0].Backend+got[0].URI
	}
	return out
}

// tokenKinds verify tokens.
var tokenKinds = []kind{envoy, meshc}

func TestTokens(t *testing.T) {
	for _, k := range tokenKinds {
		t.Run(string(k), func(t *testing.T) { verifiedTokens(t, k) })
	}
}

func verifiedTokens(t *testing.T, k kind) {
	x := startTokens(t, tokenMesh)
	web := x.sidecar(ref("web"), "v1", envoy, "")
	for _, s := range []string{"strict", "lenient", "several", "optional"} {
		x.sidecar(ref(s), "v1", k, x.backends.start(t, s, nil))
	}
	x.run()
	at := func(service string) string { return web.Outbound[model.OutboundKey(ref(service), meshPort)] }
	past := map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}
	for _, c := range []struct {
		name, service, method, target string
		headers                       []string
		status                        int
		got                           string // a header and what it holds
	}{
		{"a valid token", "strict", "GET", "/", x.one.bearer(nil), 200, "authorization="},
		{"no token", "strict", "GET", "/", nil, 401, ""},
		{"an expired token", "strict", "GET", "/", x.one.bearer(past), 401, ""},
		{"within the clock skew", "strict", "GET", "/", x.one.bearer(map[string]any{"exp": time.Now().Add(-30 * time.Second).Unix()}), 200, ""},
		{"for another audience", "strict", "GET", "/", x.one.bearer(map[string]any{"aud": "bank"}), 403, ""},
		{"for several audiences", "strict", "GET", "/", x.one.bearer(map[string]any{"aud": []string{"bank", "shop"}}), 200, ""},
		{"of another issuer", "strict", "GET", "/", x.two.bearer(nil), 401, ""},
		{"signed by another key", "strict", "GET", "/", x.rogue.bearer(nil), 401, ""},
		{"no token at all in the header", "strict", "GET", "/", []string{"authorization: Bearer x"}, 401, ""},
		{"of another scheme", "strict", "GET", "/", []string{"authorization: Basic eDp5"}, 401, ""},
		{"in a place that is not looked at", "strict", "GET", "/?access_token=" + x.one.token(nil), nil, 401, ""},
		{"public without a token", "strict", "GET", "/healthz", nil, 200, ""},
		{"public with an expired token", "strict", "GET", "/healthz", x.one.bearer(past), 200, ""},
		{"public by its method", "strict", "OPTIONS", "/pre/x", nil, 200, ""},
		{"not public by its method", "strict", "GET", "/pre/x", nil, 401, ""},

		{"nothing is required", "lenient", "GET", "/", nil, 200, "x-user="},
		{"and nothing is forged", "lenient", "GET", "/", []string{"x-user: root"}, 200, "x-user="},
		{"nor where it is public", "lenient", "GET", "/healthz", []string{"x-user: root"}, 200, "x-user="},
		{"nor beside a bad token", "lenient", "GET", "/healthz", append(x.one.bearer(past), "x-user: root", "x-token: bad"), 200, "x-user="},
		{"public with claims", "lenient", "GET", "/healthz", []string{"x-token: " + x.one.token(map[string]any{"sub": "ann"})}, 200, "x-user=ann"},
		{"by header", "lenient", "GET", "/", []string{"x-token: " + x.one.token(map[string]any{"sub": "ann"}), "x-user: root"}, 200, "x-user=ann"},
		{"a claim inside of another", "lenient", "GET", "/", []string{"x-token: " + x.one.token(map[string]any{"org": map[string]any{"team": "blue"}})}, 200, "x-team=blue"},
		{"by query", "lenient", "GET", "/?token=" + x.one.token(map[string]any{"sub": "ann"}), nil, 200, "x-user=ann"},
		{"by cookie", "lenient", "GET", "/", []string{"cookie: a=b; token=" + x.one.token(map[string]any{"sub": "ann"})}, 200, "x-user=ann"},
		{"invalid by header", "lenient", "GET", "/", []string{"x-token: " + x.one.token(past)}, 401, ""},
		{"invalid by cookie", "lenient", "GET", "/", []string{"cookie: token=" + x.rogue.token(nil)}, 401, ""},
		{"one good, one bad", "lenient", "GET", "/?token=" + x.rogue.token(nil), []string{"x-token: " + x.one.token(nil)}, 200, ""},

		{"the first of several", "several", "GET", "/", x.one.bearer(map[string]any{"sub": "ann"}), 200, "x-one=ann"},
		{"the second of several", "several", "GET", "/", x.two.bearer(map[string]any{"sub": "bob"}), 200, "x-two=bob"},
		{"the first of several, and a claim of the second forged", "several", "GET", "/", append(x.one.bearer(map[string]any{"sub": "ann"}), "x-two: root"), 200, "x-two="},
		{"the second of several, and a claim of the first forged", "several", "GET", "/", append(x.two.bearer(map[string]any{"sub": "bob"}), "x-one: root"), 200, "x-one="},
		{"none of several", "several", "GET", "/", nil, 401, ""},
		{"a bad one of several", "several", "GET", "/", x.two.bearer(past), 401, ""},

		{"none", "optional", "GET", "/", []string{"x-two: root", "x-claim-more: root"}, 200, "x-two="},
		{"one of two", "optional", "GET", "/", x.two.bearer(map[string]any{"sub": "bob"}), 200, "x-two=bob"},
		{"both", "optional", "GET", "/", append(x.two.bearer(map[string]any{"sub": "bob"}), "x-more: "+x.more.token(map[string]any{"sub": "cy"})), 200, "x-claim-more=cy"},
		{"a bad one", "optional", "GET", "/", []string{"x-more: " + x.more.token(past)}, 401, ""},
		{"in the place of another", "optional", "GET", "/", []string{"x-more: " + x.two.token(nil)}, 401, ""},
	} {
		t.Run(c.service+"/"+c.name, func(t *testing.T) {
			got := x.ask(at(c.service), c.method, c.target, c.headers...)
			if got.status != c.status || (got.got != nil) != (c.status == 200) {
				t.Errorf("%d, application reached: %v; want %d", got.status, got.got != nil, c.status)
			}
			if name, want, ok := strings.Cut(c.got, "="); ok && strings.Join(got.got[name], ",") != want {
				t.Errorf("%s: %q, want %q", name, got.got[name], want)
			}
		})
	}
	for _, p := range x.all() {
		p.refusedNothing()
	}
}

// claimMesh has a service whose rules ask for claims, and a gateway that
// chooses by them.
const claimMesh = `package mesh

mesh: proxy: "envoy"
external: keys: {
	host: "example.com"
	ports: https: {number: 443, protocol: "http"}
	tls: ca: file: "CA"
}
service: web: {
	versions: v1: {}
	uses: vault: {}
}
service: vault: {
	ports: http: {number: 9080, protocol: "http"}
	versions: v1: {}
	security: {
		jwt: one: {issuer: "https://one.test", jwks: file: "FILES/one.json", required: false}
		allow: [
			{from: ["web"], paths: [{prefix: "/role"}], claims: one: "/realm/roles": exact: "admin"},
			{from: ["web"], paths: [{prefix: "/mail"}], claims: one: {email: suffix: "@shop.test", email_verified: exact: "true"}},
			{from: ["web"], paths: [{prefix: "/scope"}], claims: one: scope: regex: "read|write"},
			{from: ["web"], paths: [{prefix: "/odd"}], claims: one: "https://shop.test/a.b": present: true},
			{from: ["web"], paths: [{prefix: "/not"}], claims: one: kind: {exact: "robot", not: true}},
			{from: ["web"], paths: [{prefix: "/none"}], claims: one: kind: present: false},
		]
		deny: [{claims: one: banned: exact: "true"}]
	}
}
service: beta: {
	ports: http: {number: 9080, protocol: "http"}
	versions: v1: {}
}
service: staff: {
	ports: http: {number: 9080, protocol: "http"}
	versions: v1: {}
}
service: rest: {
	ports: http: {number: 9080, protocol: "http"}
	versions: v1: {}
}
gateway: edge: {
	listeners: web: {port: 8080, protocol: "http"}
	security: {
		jwt: one: {issuer: "https://one.test", jwks: {external: "keys", path: "/one"}, required: false}
		deny: [{claims: one: banned: exact: "true"}]
	}
	routes: {
		beta: {match: [{claims: one: groups: exact: "beta"}], to: "beta"}
		staff: {match: [{path: prefix: "/", claims: one: {staff: exact: "true", name: {prefix: "x", not: true}}}], except: [{claims: one: level: exact: "0"}], to: "staff", after: ["beta"]}
		rest: {to: "rest", after: ["staff"]}
	}
}
`

func TestClaims(t *testing.T) {
	for _, k := range tokenKinds {
		t.Run(string(k), func(t *testing.T) { knownClaims(t, k) })
	}
}

func knownClaims(t *testing.T, k kind) {
	x := startTokens(t, claimMesh)
	web := x.sidecar(ref("web"), "v1", envoy, "")
	x.sidecar(ref("vault"), "v1", k, x.backends.start(t, "vault", nil))
	for _, s := range []string{"beta", "staff", "rest"} {
		x.sidecar(ref(s), "v1", envoy, x.backends.start(t, s, nil))
	}
	edge := x.gateway(ref("edge"), k)
	x.run()
	vault, gate := web.Outbound[model.OutboundKey(ref("vault"), meshPort)], edge.Inbound[8080]
	type claims = map[string]any
	for _, c := range []struct {
		name, at, target string
		claims           claims // nil: no token
		want             string // the application that got it, or the status
	}{
		{"one of a list", vault, "/role", claims{"realm": claims{"roles": []string{"user", "admin"}}}, "vault"},
		{"no list", vault, "/role", claims{"realm": claims{"roles": "admin"}}, "vault"},
		{"another list", vault, "/role", claims{"realm": claims{"roles": []string{"user"}}}, "403"},
		{"an empty list", vault, "/role", claims{"realm": claims{"roles": []string{}}}, "403"},
		{"by the name of the way", vault, "/role", claims{"/realm/roles": "admin"}, "403"},
		{"no claim", vault, "/role", claims{}, "403"},
		{"no token", vault, "/role", nil, "403"},
		{"two claims", vault, "/mail", claims{"email": "ann@shop.test", "email_verified": true}, "vault"},
		{"a truth as text", vault, "/mail", claims{"email": "ann@shop.test", "email_verified": "true"}, "vault"},
		{"not true", vault, "/mail", claims{"email": "ann@shop.test", "email_verified": false}, "403"},
		{"another suffix", vault, "/mail", claims{"email": "ann@shop.test.evil", "email_verified": true}, "403"},
		{"a scope of several", vault, "/scope", claims{"scope": "openid write"}, "vault"},
		{"a scope that begins like it", vault, "/scope", claims{"scope": "openid writer"}, "403"},
		{"a single scope", vault, "/scope", claims{"scope": "read"}, "vault"},
		{"a name with dots", vault, "/odd", claims{"https://shop.test/a.b": 7}, "vault"},
		{"a name that is not there", vault, "/odd", claims{"https://shop.test/a": claims{"b": 7}}, "403"},
		{"negated, another value", vault, "/not", claims{"kind": "human"}, "vault"},
		{"negated, one of a list", vault, "/not", claims{"kind": []string{"human", "robot"}}, "403"},
		{"negated, missing", vault, "/not", claims{}, "vault"},
		{"negated, no token", vault, "/not", nil, "vault"},
		{"absent", vault, "/none", claims{}, "vault"},
		{"absent, there", vault, "/none", claims{"kind": "x"}, "403"},
		{"denied", vault, "/none", claims{"banned": true}, "403"},

		{"by a group", gate, "/", claims{"groups": []string{"a", "beta"}}, "beta"},
		{"by no group", gate, "/", claims{"groups": []string{"a"}}, "rest"},
		{"by none at all", gate, "/", nil, "rest"},
		{"by a truth", gate, "/", claims{"staff": true}, "staff"},
		{"both hold", gate, "/", claims{"staff": true, "groups": "beta"}, "beta"},
		{"not by a name", gate, "/", claims{"staff": true, "name": "xavier"}, "rest"},
		{"an exception", gate, "/", claims{"staff": true, "level": "0"}, "rest"},
		{"another value than the exception's", gate, "/", claims{"staff": true, "level": "1"}, "staff"},
		{"denied at the gateway", gate, "/", claims{"banned": "true", "groups": "beta"}, "403"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var headers []string
			if c.claims != nil {
				headers = x.one.bearer(c.claims)
			}
			got := x.ask(c.at, "GET", c.target, headers...)
			served, _, _ := strings.Cut(got.uri, "/")
			if got.status != 200 {
				served = fmt.Sprint(got.status)
			}
			if served != c.want {
				t.Errorf("%s, want %s", served, c.want)
			}
			if want := x.predicted(c.at == gate, c.target, c.claims); want != c.want {
				t.Errorf("the model says %s, the proxy %s", want, c.want)
			}
		})
	}
	for _, p := range x.all() {
		p.refusedNothing()
	}
}

// predicted is what the model says of a request, as TestClaims writes it.
func (x *tokens) predicted(edge bool, target string, claims map[string]any) string {
	req := &answer.Request{Method: "GET", Host: "shop.test", Port: 8080, Target: target}
	from := ref("edge")
	if !edge {
		req.Host, req.Port, from = "vault", meshPort, ref("web")
	}
	if claims != nil {
		req.Claims = append(req.Claims, model.Header{Name: "one", Value: ""})
	}
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		as := name
		if strings.HasPrefix(name, "/") { // or it would be a JSON Pointer
			as = "/" + strings.ReplaceAll(name, "/", "~1")
		}
		req.Claims = append(req.Claims, claimValues("one."+as, claims[name])...)
	}
	said, _ := answer.Ask(x.mesh, from, req, now)
	switch said.Outcome {
	case answer.Allowed:
		return said.Service.Name
	case answer.Unknown:
		return "401"
	}
	return "403"
}

// claimValues are the coordinates that a claim of a token is.
func claimValues(name string, v any) []model.Header {
	var out []model.Header
	switch v := v.(type) {
	case map[string]any:
		for inner, value := range v {
			if provider, claim := model.SplitClaim(name); !strings.HasPrefix(claim, "/") {
				name = provider + "./" + claim
			}
			out = append(out, claimValues(name+"/"+inner, value)...)
		}
	case []string:
		for _, s := range v {
			out = append(out, model.Header{Name: name, Value: s})
		}
	case string:
		if strings.HasSuffix(name, ".scope") {
			for _, s := range strings.Fields(v) {
				out = append(out, model.Header{Name: name, Value: s})
			}
			return out
		}
		out = append(out, model.Header{Name: name, Value: v})
	default:
		out = append(out, model.Header{Name: name, Value: fmt.Sprint(v)})
	}
	return out
}
