package behave_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// TestNobodyIsKeptOutWithoutAProxy: where no proxy judges, nothing may be
// concluded from the rules that one would have.
func TestNobodyIsKeptOutWithoutAProxy(t *testing.T) {
	at := func(name string) model.Ref { return model.Ref{Namespace: "default", Name: name} }
	mesh := func(protocol model.Protocol, off bool) *model.Mesh {
		id := "spiffe://cluster.local/ns/default/sa/web"
		return &model.Mesh{TrustDomain: "cluster.local", Services: []*model.Service{
			{
				Ref: at("api"), Host: "api", SPIFFEID: "spiffe://cluster.local/ns/default/sa/api", MTLS: model.MTLSStrict,
				Ports: []model.Port{{Name: "p", Number: 80, Protocol: protocol}}, Versions: []model.Version{{Name: "v1"}},
				Allow: []model.Rule{{Principals: []string{id}}}, Injection: model.Injection{Off: off},
			},
			{Ref: at("web"), Host: "web", SPIFFEID: id, MTLS: model.MTLSStrict, Uses: []model.Ref{at("api")}},
		}}
	}
	for _, c := range []struct {
		name string
		mesh *model.Mesh
		want string // of what is unknown; "" for nothing
	}{
		{"with a proxy", mesh(model.HTTP, false), ""},
		{"an application that reads xDS", mesh(model.GRPC, false), "no proxy: its application reads xDS"},
		{"pods without", mesh(model.HTTP, true), "`workload.inject: false`"},
	} {
		proof, err := behave.Prove(c.mesh, behave.Claim{
			Of: behave.Name{Kind: behave.ServiceKind, Ref: at("api")}, Port: 80, Direct: true, When: reach.All(),
			Holds: func(*behave.Outcome) bool { return true },
		})
		if err != nil {
			t.Fatal(err)
		}
		for what, unknown := range map[string][]string{
			"a claim": proof.Unknown, "who reaches it": behave.WhoReaches(c.mesh, at("api")).Unknown,
			"what changes": behave.CompareAccess(c.mesh, mesh(model.HTTP, false), at("api")).Unknown,
		} {
			if some := slices.ContainsFunc(unknown, func(u string) bool { return strings.Contains(u, c.want) }); c.want == "" && len(unknown) > 0 || c.want != "" && !some {
				t.Errorf("%s, %s: unknown is %q, want %q", c.name, what, unknown, c.want)
			}
		}
	}
}
