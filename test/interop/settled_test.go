package interop

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/model"
)

// settledMesh has gateways whose routes are chosen anew once a token is verified,
// and filters behind that which some of the routes do without.
const settledMesh = `package mesh

mesh: proxy: "envoy"
service: shop: {
	ports: http: {number: 9080, protocol: "http"}
	versions: v1: {}
	security: {mtls: "disable", allow: [{from: ["*"]}]}
}
let Gate = {
	listeners: web: {port: 8080, protocol: "http"}
	security: jwt: one: {issuer: "https://one.test", jwks: file: "FILES/one.json", required: false}
	routes: {
		staff: {match: [{claims: one: role: exact: "staff"}], to: "shop"}
		rest: {to: "shop", after: ["staff"]}
	}
}
gateway: limited: Gate & {
	rateLimits: {
		few: {on: ["rest"], local: {requests: 1, per: "1h"}, status: 503}
		more: {on: ["rest"], local: {requests: 2, per: "1h"}, status: 429}
	}
}
gateway: held: Gate & {buffer: {maxBytes: 8, except: ["rest"]}}
gateway: free: Gate & {buffer: {maxBytes: 8, except: ["rest"]}}
`

// TestRoutesSettleFiltersOnce: which filters a request meets is settled by the route
// that it has when it comes. A route that a filter chooses anew changes their
// configuration, and neither brings filters nor takes them away: as in Envoy, whose
// chain is made once (FilterManager::createFilterChain).
func TestRoutesSettleFiltersOnce(t *testing.T) {
	for _, k := range tokenKinds {
		t.Run(string(k), func(t *testing.T) { settledOnce(t, k) })
	}
}

func settledOnce(t *testing.T, k kind) {
	x := startTokens(t, settledMesh)
	x.application(ref("shop"), "v1", "shop-v1", x.backends.start(t, "shop", nil))
	// The compiler refuses what routes of claims cannot settle (MSH3055): this is why.
	staffOnly := []string{"staff"}
	x.mesh.Gateway(ref("limited")).RateLimits[0].Routes = staffOnly
	x.mesh.Gateway(ref("free")).Buffer.Except = staffOnly
	gates := map[string]*model.Workload{}
	for _, name := range []string{"limited", "held", "free"} {
		gates[name] = x.gateway(ref(name), k)
	}
	x.run()
	staff := strings.TrimPrefix(x.one.bearer(map[string]any{"role": "staff"})[0], "authorization: ")
	ask := func(gate, token, body string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+gates[gate].Inbound[8080]+"/", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			req.Header.Set("authorization", token)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	var got []int
	for range 4 {
		got = append(got, ask("limited", staff, ""))
	}
	if want := []int{200, 200, 429, 429}; !slices.Equal(got, want) {
		t.Errorf("requests of staff: %v, want %v: they come by the route for the rest, and meet its limit", got, want)
	}
	long := strings.Repeat("x", 100)
	for _, c := range []struct {
		gate, token string
		want        int
	}{{"held", "", 200}, {"held", staff, 200}, {"free", "", 413}, {"free", staff, 413}} {
		if got := ask(c.gate, c.token, long); got != c.want {
			t.Errorf("gateway %q, token %v: %d, want %d", c.gate, c.token != "", got, c.want)
		}
	}
	for _, p := range x.all() {
		p.refusedNothing()
	}
}
