package xds_test

import (
	"time"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
)

const domain = "cluster.local"

// now is the clock of every test.
var now = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func shop(name string) model.Ref { return model.Ref{Namespace: "shop", Name: name} }

func spiffe(name string) string { return "spiffe://" + domain + "/ns/shop/sa/" + name }

func at(file string, line int) model.Origin {
	return model.Origin{File: file, Start: diag.NewPos(line, 2), End: diag.NewPos(line, 9)}
}

// newService has one http port 9080 and one route "all" to its first version.
func newService(name string, versions ...string) *model.Service {
	s := &model.Service{
		Ref:            shop(name),
		Host:           name + ".shop.svc.cluster.local",
		ServiceAccount: name,
		SPIFFEID:       spiffe(name),
		Ports:          []model.Port{{Name: "http", Number: 9080, Protocol: model.HTTP}},
		MTLS:           model.MTLSStrict,
		Origin:         at("shop/"+name+".cue", 3),
	}
	for _, v := range versions {
		s.Versions = append(s.Versions, model.Version{Name: v, Labels: map[string]string{"version": v}})
	}
	s.Routes = []*model.Route{newRoute("all", "shop/"+name+".cue", versions[0])}
	return s
}

func newRoute(name, file, version string) *model.Route {
	return &model.Route{
		Name:    name,
		Ports:   []uint16{9080},
		Split:   []model.Split{{Version: version, BasisPoints: model.BasisPointsWhole}},
		Timeout: 15 * time.Second,
		Origin:  at(file, 8),
	}
}

// bookinfo is the mesh of examples/bookinfo in the middle of the routing lab.
func bookinfo() *model.Mesh {
	details, ratings := newService("details", "v1"), newService("ratings", "v1")
	page := newService("productpage", "v1")
	reviews := newService("reviews", "v1", "v2", "v3")
	page.Uses = []model.Ref{shop("details"), shop("reviews")}
	page.Allow = []model.Rule{{Principals: []string{spiffe("ingress")}}}
	reviews.Uses = []model.Ref{shop("ratings")}
	for _, s := range []*model.Service{details, reviews} {
		s.Allow = []model.Rule{{Principals: []string{spiffe("productpage")}, Methods: []string{"GET"}}}
	}
	ratings.Allow = []model.Rule{{Principals: []string{spiffe("reviews")}, Methods: []string{"GET"}}}
	reviews.Routes = reviewsRoutes()
	ratings.Routes[0].Delay = &model.Delay{Name: "slow", Fixed: 7 * time.Second, BasisPoints: 1000, Until: now.Add(24 * time.Hour)}
	return &model.Mesh{
		Name:        "bookinfo",
		TrustDomain: domain,
		Services:    []*model.Service{details, page, ratings, reviews},
		Gateways:    []*model.Gateway{ingress()},
	}
}

func reviewsRoutes() []*model.Route {
	jason := newRoute("jason", "shop/reviews.cue", "v2")
	jason.Match = []model.Match{{Headers: []model.NamedMatch{{Name: "end-user", Kind: model.Exact, Value: "jason"}}}}
	rest := newRoute("rest", "shop/reviews.cue", "v1")
	rest.Split = []model.Split{{Version: "v1", BasisPoints: 9000}, {Version: "v2", BasisPoints: 1000}}
	rest.Timeout = 3 * time.Second
	rest.Retry = &model.Retry{
		Attempts: 2,
		On:       []string{"connect-failure"},
		Statuses: []uint32{503},
		PerTry:   time.Second,
		Methods:  []string{"GET", "HEAD"},
	}
	return []*model.Route{jason, rest}
}

func ingress() *model.Gateway {
	exact := newRoute("all", "shop/productpage.cue", "v1")
	exact.Match = []model.Match{{Paths: []model.PathMatch{{Kind: model.Exact, Value: "/productpage"}}}}
	api := newRoute("all", "shop/productpage.cue", "v1")
	api.Match = []model.Match{{Paths: []model.PathMatch{{Kind: model.SegmentPrefix, Value: "/api/v1/products"}}}}
	return &model.Gateway{
		Ref:            shop("ingress"),
		ServiceAccount: "ingress",
		SPIFFEID:       spiffe("ingress"),
		Listeners: []model.GatewayListener{{Name: "http", Port: 8080, Hosts: []model.GatewayHost{{
			Host: "*",
			Routes: []*model.GatewayRoute{
				{Name: "page/all", Service: shop("productpage"), Port: 9080, Route: exact},
				{Name: "api/all", Service: shop("productpage"), Port: 9080, Route: api},
			},
		}}}},
	}
}

// roles has a permissive service that uses an external, and a grpc service
// that is used by a client of role grpc.
func roles() *model.Mesh {
	legacy := newService("legacy", "v1")
	legacy.MTLS = model.MTLSPermissive
	legacy.Uses = []model.Ref{shop("weather")}
	legacy.Allow = []model.Rule{
		{Any: true, Paths: []model.PathMatch{{Kind: model.SegmentPrefix, Value: "/public"}}, Methods: []string{"GET", "HEAD"}},
		{Authenticated: true},
	}
	greeter, client := newService("greeter", "v1", "v2"), newService("client", "v1")
	for _, s := range []*model.Service{greeter, client} {
		s.Ports[0] = model.Port{Name: "grpc", Number: 9080, Protocol: model.GRPC}
	}
	client.Uses = []model.Ref{shop("greeter")}
	beta := newRoute("beta", "shop/greeter.cue", "v2")
	beta.Match = []model.Match{{
		Paths:   []model.PathMatch{{Kind: model.SegmentPrefix, Value: "/hello.Greeter"}},
		Headers: []model.NamedMatch{{Name: "x-beta", Kind: model.Exact, Value: "no", Not: true}},
	}}
	beta.Retry = &model.Retry{Attempts: 1, On: []string{"reset"}, Methods: []string{"POST"}}
	never := newRoute("never", "shop/greeter.cue", "v2")
	never.Match = []model.Match{{Methods: []string{"GET"}}, {Query: []model.NamedMatch{{Name: "debug", Kind: model.Present}}}}
	greeter.Routes = []*model.Route{beta, never, greeter.Routes[0]}
	return &model.Mesh{
		Name:        "roles",
		TrustDomain: domain,
		Services:    []*model.Service{client, greeter, legacy},
		Externals: []*model.External{{
			Ref: shop("weather"), Host: "weather.example.com", Timeout: 2 * time.Second,
			Ports: []model.Port{{Name: "http", Number: 80, Protocol: model.HTTP}}, Origin: at("shop/weather.cue", 1),
		}},
	}
}
