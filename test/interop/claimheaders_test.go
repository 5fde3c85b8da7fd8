package interop

import (
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/answer"
	"github.com/meshc/meshc/compiler/model"
)

// claimHeaderMesh has a gateway that puts claims into headers, by which its own
// routes and those of services choose.
const claimHeaderMesh = `package mesh

mesh: proxy: "envoy"
service: shop: {
	ports: http: {number: 9080, protocol: "http"}
	versions: {v1: {}, v2: {}}
	routes: {
		ann: {match: [{headers: "x-user": exact: "ann"}], to: v2: 100}
		rest: to: v1: 100
	}
}
service: staff: {
	ports: http: {number: 9080, protocol: "http"}
	versions: v1: {}
}
gateway: edge: {
	listeners: web: {port: 8080, protocol: "http"}
	security: jwt: {
		one: {issuer: "https://one.test", jwks: file: "FILES/one.json", required: false, claimHeaders: {"x-role": "role", "x-user": "sub"}}
		two: {issuer: "https://two.test", jwks: file: "FILES/two.json", required: false, claimHeaders: "x-level": "level"}
	}
	routes: {
		staff: {match: [{headers: "x-role": exact: "staff"}], to: "staff"}
		level: {match: [{headers: "x-level": exact: "9"}], to: "staff", after: ["staff"]}
		rest: {to: "shop", after: ["staff", "level"]}
	}
}
`

// TestClaimHeaders holds routes to the claims in headers: what a client says
// under their names chooses nothing.
func TestClaimHeaders(t *testing.T) {
	for _, k := range tokenKinds {
		t.Run(string(k), func(t *testing.T) { claimsInHeaders(t, k) })
	}
}

func claimsInHeaders(t *testing.T, k kind) {
	x := startTokens(t, claimHeaderMesh)
	for _, s := range []string{"shop/v1", "shop/v2", "staff/v1"} {
		name, version, _ := strings.Cut(s, "/")
		as := envoy
		if version == "v2" {
			as = meshc
		}
		x.sidecar(ref(name), version, as, x.backends.start(t, s, nil))
	}
	gate := x.gateway(ref("edge"), k).Inbound[8080]
	x.run()
	type claims = map[string]any
	for _, c := range []struct {
		name    string
		claims  claims // of one; nil: no token
		headers []string
		want    string
	}{
		{"nothing", nil, nil, "shop/v1"},
		{"a forged role", nil, []string{"x-role: staff"}, "shop/v1"},
		{"a forged role of nobody's token", nil, []string{"x-level: 9"}, "shop/v1"},
		{"a forged role beside a token", claims{"sub": "bob"}, []string{"x-role: staff"}, "shop/v1"},
		{"a forged level beside another's token", claims{"sub": "bob"}, []string{"x-level: 9"}, "shop/v1"},
		{"a role", claims{"role": "staff"}, nil, "staff/v1"},
		{"a role, and another said", claims{"role": "staff"}, []string{"x-role: user"}, "staff/v1"},
		{"a forged user", nil, []string{"x-user: ann"}, "shop/v1"},
		{"a user", claims{"sub": "ann"}, nil, "shop/v2"},
		{"another user", claims{"sub": "bob"}, []string{"x-user: ann"}, "shop/v1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			headers := c.headers
			if c.claims != nil {
				headers = append(x.one.bearer(c.claims), headers...)
			}
			got := x.ask(gate, "GET", "/", headers...)
			if got.status != 200 || got.uri != c.want+"/" {
				t.Errorf("%d by %q, want %s", got.status, got.uri, c.want)
			}
			if want := x.chosen(c.claims, c.headers); want != c.want {
				t.Errorf("the model says %s", want)
			}
		})
	}
	for _, p := range x.all() {
		p.refusedNothing()
	}
}

// chosen is the service and version that the model says.
func (x *tokens) chosen(claims map[string]any, headers []string) string {
	req := &answer.Request{Method: "GET", Host: "shop.test", Port: 8080, Target: "/"}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Headers = append(req.Headers, model.Header{Name: name, Value: value})
	}
	if claims != nil {
		req.Claims = append(req.Claims, model.Header{Name: "one", Value: ""})
	}
	for name, v := range claims {
		req.Claims = append(req.Claims, claimValues("one."+name, v)...)
	}
	said, _ := answer.Ask(x.mesh, ref("edge"), req, now)
	if said.Outcome != answer.Allowed || said.Service == nil || len(said.Route.Split) != 1 {
		return string(said.Outcome)
	}
	return said.Service.Name + "/" + said.Route.Split[0].Version
}
