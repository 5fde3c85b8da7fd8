package interop

import (
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/answer"
	"github.com/meshc/meshc/compiler/model"
)

// valueMesh has a service with a rule a path, each about one claim, and one that
// requires a token of one of two providers.
const valueMesh = `package mesh

mesh: proxy: "envoy"
service: web: {
	versions: v1: {}
	uses: {vault: {}, both: {}}
}
service: vault: {
	ports: http: {number: 9080, protocol: "http"}
	versions: v1: {}
	security: {
		jwt: one: {issuer: "https://one.test", jwks: file: "FILES/one.json", required: false}
		allow: [
			{from: ["web"], paths: [{exact: "/seven"}], claims: one: c: exact: "7"},
			{from: ["web"], paths: [{exact: "/not-seven"}], claims: one: c: {exact: "7", not: true}},
			{from: ["web"], paths: [{exact: "/half"}], claims: one: c: exact: "-0.5"},
			{from: ["web"], paths: [{exact: "/any"}], claims: one: c: regex: "(?s).*"},
			{from: ["web"], paths: [{exact: "/word"}], claims: one: c: regex: "[a-z]+"},
			{from: ["web"], paths: [{exact: "/present"}], claims: one: c: present: true},
			{from: ["web"], paths: [{exact: "/absent"}], claims: one: c: present: false},
			{from: ["web"], paths: [{exact: "/true"}], claims: one: c: prefix: "tr"},
		]
	}
}
service: both: {
	ports: http: {number: 9080, protocol: "http"}
	versions: v1: {}
	security: {
		jwt: {
			one: {issuer: "https://one.test", jwks: file: "FILES/one.json", required: true, from: [{header: "x-one"}], claimHeaders: "x-sub-one": "sub"}
			two: {issuer: "https://two.test", jwks: file: "FILES/two.json", required: true, from: [{header: "x-two"}], claimHeaders: "x-sub-two": "sub"}
		}
		allow: [
			{from: ["web"], paths: [{exact: "/one"}, {exact: "/open/one"}], claims: one: sub: exact: "ann"},
			{from: ["web"], paths: [{exact: "/two"}, {exact: "/open/two"}], claims: two: sub: exact: "bob"},
			{from: ["web"], paths: [{exact: "/not-two"}, {exact: "/open/not-two"}], claims: two: sub: {exact: "bob", not: true}},
		]
		public: [{paths: [{segmentPrefix: "/open"}]}]
	}
}
`

// TestValuesOfClaims: proxies match values of claims of every type as the model
// says, and take the claims of the first required provider alone.
func TestValuesOfClaims(t *testing.T) {
	for _, k := range tokenKinds {
		t.Run(string(k), func(t *testing.T) { matchedValues(t, k) })
	}
}

// valueOf is a claim of each type, with the values that the model has of it.
var valuesOfClaims = []struct {
	name   string
	value  any // nil: no claim
	values []string
}{
	{"missing", nil, nil},
	{"null", (*int)(nil), nil},
	{"a whole number", 7, []string{"7"}},
	{"the same as a text", "7", []string{"7"}},
	{"the same with a fraction", jsonText("7.0"), []string{"7"}},
	{"the same with an exponent", jsonText("70e-1"), []string{"7"}},
	{"another number", 70, []string{"70"}},
	{"a fraction below nothing", -0.5, []string{"-0.5"}},
	{"a large number", 1e300, []string{"1" + strings.Repeat("0", 300)}},
	{"a text", "true", []string{"true"}},
	{"a truth", true, []string{"true"}},
	{"an untruth", false, []string{"false"}},
	{"an empty text", "", []string{""}},
	{"an empty list", []any{}, nil},
	{"a list with a number", []any{"x", 7}, []string{"x", "7"}},
	{"a list with nothing", []any{nil}, nil},
	{"a list in a list", []any{[]any{"7"}}, nil},
	{"a list of objects", []any{map[string]any{"c": "7"}}, nil},
	{"an empty object", map[string]any{}, nil},
	{"an object", map[string]any{"c": "7"}, nil},
}

// jsonText is a value of a claim to the byte.
type jsonText string

// MarshalJSON gives it as it is.
func (j jsonText) MarshalJSON() ([]byte, error) { return []byte(j), nil }

func matchedValues(t *testing.T, k kind) {
	x := startTokens(t, valueMesh)
	web := x.sidecar(ref("web"), "v1", envoy, "")
	x.sidecar(ref("vault"), "v1", k, x.backends.start(t, "vault", nil))
	x.sidecar(ref("both"), "v1", k, x.backends.start(t, "both", nil))
	x.run()
	at := func(service string) string { return web.Outbound[model.OutboundKey(ref(service), meshPort)] }
	asked := func(name, service, target string, claims []model.Header, headers []string) {
		said, _ := answer.Ask(x.mesh, ref("web"), &answer.Request{Method: "GET", Host: service, Port: meshPort, Target: target, Claims: claims}, now)
		want := map[answer.Outcome]int{answer.Allowed: 200, answer.Denied: 403, answer.Unknown: 401}[said.Outcome]
		if got := x.ask(at(service), "GET", target, headers...); got.status != want {
			t.Errorf("%s, %s%s: status %d, and the model says %d", name, service, target, got.status, want)
		}
	}
	for _, c := range valuesOfClaims {
		token := map[string]any{}
		claims := []model.Header{{Name: "one"}}
		if c.value != nil {
			token["c"] = c.value
		}
		for _, v := range c.values {
			claims = append(claims, model.Header{Name: "one.c", Value: v})
		}
		for _, path := range []string{"/seven", "/not-seven", "/half", "/any", "/word", "/present", "/absent", "/true"} {
			asked(c.name, "vault", path, claims, x.one.bearer(token))
		}
	}
	ann, bob := "x-one: "+x.one.token(map[string]any{"sub": "ann"}), "x-two: "+x.two.token(map[string]any{"sub": "bob"})
	one, two := []model.Header{{Name: "one.sub", Value: "ann"}}, []model.Header{{Name: "two.sub", Value: "bob"}}
	for _, c := range []struct {
		name    string
		claims  []model.Header
		headers []string
	}{
		{"nobody", nil, nil},
		{"one", one, []string{ann}},
		{"two", two, []string{bob}},
		{"both", append(one[:1:1], two...), []string{ann, bob}},
		{"one that is not valid, and two", two, []string{"x-one: " + x.rogue.token(nil), bob}},
		{"one, and two that is not valid", one, []string{ann, "x-two: " + x.rogue.token(nil)}},
	} {
		for _, path := range []string{"/one", "/two", "/not-two", "/open/one", "/open/two", "/open/not-two"} {
			asked(c.name, "both", path, c.claims, c.headers)
		}
	}
	for _, path := range []string{"/one", "/open/one"} {
		got := x.ask(at("both"), "GET", path, ann, bob, "x-sub-two: root")
		for _, h := range [][2]string{{"x-sub-one", "ann"}, {"x-sub-two", ""}} {
			if strings.Join(got.got[h[0]], ",") != h[1] {
				t.Errorf("%s: %s is %q of two tokens, want %q", path, h[0], got.got[h[0]], h[1])
			}
		}
	}
	for _, p := range x.all() {
		p.refusedNothing()
	}
}
