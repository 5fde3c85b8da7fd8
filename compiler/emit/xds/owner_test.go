package xds_test

import (
	"testing"

	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/model"
)

// Who answers for a service is told to those who read a route.
func TestTheOwnerIsInTheMetadataOfRoutes(t *testing.T) {
	ref := func(n string) model.Ref { return model.Ref{Namespace: "shop", Name: n} }
	m := &model.Mesh{TrustDomain: "td", Services: []*model.Service{
		{Ref: ref("api"), Host: "api.shop", SPIFFEID: "spiffe://td/ns/shop/sa/api", Owner: "team-api", MTLS: model.MTLSStrict,
			Ports: []model.Port{{Name: "http", Number: 80, Protocol: model.HTTP}}, Versions: []model.Version{{Name: "v1"}},
			Routes: []*model.Route{{Name: "all", Ports: []uint16{80}, Split: []model.Split{{Version: "v1", BasisPoints: model.BasisPointsWhole}}}}},
		{Ref: ref("web"), Host: "web.shop", SPIFFEID: "spiffe://td/ns/shop/sa/web", MTLS: model.MTLSStrict,
			Versions: []model.Version{{Name: "v1"}}, Uses: []model.Ref{ref("api")}},
	}}
	all := xds.DefaultWorkloads(m)
	for _, w := range all {
		if w.Service.Name != "web" {
			continue
		}
		res, err := xds.Emit(m, w, all, xds.Options{})
		if err != nil {
			t.Fatal(err)
		}
		route := res.Routes[0].VirtualHosts[0].Routes[0]
		if got := route.GetMetadata().GetFilterMetadata()[xds.MetadataNamespace].GetFields()["owner"].GetStringValue(); got != "team-api" {
			t.Errorf("owner %q in %v", got, route.GetMetadata())
		}
	}
}
