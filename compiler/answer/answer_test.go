package answer_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/answer"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
)

var now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func at(line int) diag.Range {
	return diag.Range{File: "reviews.cue", Start: diag.NewPos(line, 3), End: diag.NewPos(line, 4)}
}

// shop is a page that uses reviews and an external, behind an ingress.
func shop() *model.Mesh {
	ref := func(n string) model.Ref { return model.Ref{Namespace: "shop", Name: n} }
	id := func(n string) string { return "spiffe://cluster.local/ns/shop/sa/" + n }
	port := []model.Port{{Name: "http", Number: 9080, Protocol: model.HTTP}}
	jason := &model.Route{
		Name: "jason", Ports: []uint16{9080}, Split: []model.Split{{Version: "v2", BasisPoints: 10000, Origin: at(6)}}, Origin: at(5),
		Match: []model.Match{{Headers: []model.NamedMatch{{Name: "end-user", Kind: model.Exact, Value: "jason"}}, Origin: at(5)}},
	}
	rest := &model.Route{
		Name: "rest", Ports: []uint16{9080}, Timeout: 3 * time.Second, TimeoutOrigin: at(9), Origin: at(8),
		Split: []model.Split{{Version: "v1", BasisPoints: 9000}, {Version: "v2", BasisPoints: 1000}},
		Retry: &model.Retry{Attempts: 2, On: []string{"reset"}, Statuses: []uint32{503}, PerTry: time.Second, Methods: []string{"GET"}, Origin: at(10)},
		Delay: &model.Delay{Name: "slow", Fixed: 7 * time.Second, BasisPoints: 1000, Until: now.Add(time.Hour), Origin: at(11)},
		Abort: &model.Abort{Name: "old", Status: 500, BasisPoints: 10000, Until: now.Add(-time.Hour), Origin: at(12)},
	}
	rest.RequestHeaders.Set = []model.Header{{Name: "x-canary", Value: "1"}}
	reviews := &model.Service{
		Ref: ref("reviews"), Host: "reviews.shop.svc.cluster.local", SPIFFEID: id("reviews"), Ports: port, MTLS: model.MTLSStrict,
		Versions: []model.Version{{Name: "v1"}, {Name: "v2"}}, Routes: []*model.Route{jason, rest},
		Allow: []model.Rule{{Principals: []string{id("page")}, Methods: []string{"GET"}, Origin: at(20)}},
	}
	home := *rest
	page := &model.Service{
		Ref: ref("page"), Host: "page.shop.svc.cluster.local", SPIFFEID: id("page"), Ports: port, MTLS: model.MTLSDisable,
		Versions: []model.Version{{Name: "v1"}, {Name: "v2"}}, Routes: []*model.Route{&home}, Uses: []model.Ref{ref("api"), ref("reviews")},
		Allow: []model.Rule{{Any: true}},
	}
	return &model.Mesh{
		Services: []*model.Service{page, reviews},
		Gateways: []*model.Gateway{{Ref: ref("edge"), SPIFFEID: id("edge"), Listeners: []model.GatewayListener{{Name: "web", Port: 8080, Hosts: []model.GatewayHost{
			{Host: "www.shop.example", Routes: []*model.GatewayRoute{{Name: "home/rest", Service: ref("page"), Port: 9080, Route: &home}}},
			{Host: "*.shop.example", Routes: []*model.GatewayRoute{{Name: "all/jason", Service: ref("reviews"), Port: 9080, Route: jason}}},
		}}}}},
		Externals: []*model.External{{Ref: ref("api"), Host: "api.example", Ports: port, Timeout: 5 * time.Second}},
	}
}

func TestOutcomes(t *testing.T) {
	for name, c := range map[string]struct {
		from, method, host string
		port               uint16
		user               string
		want               answer.Outcome
		route              string
	}{
		"the first rule":                     {"page", "GET", "reviews", 9080, "jason", answer.Allowed, "jason"},
		"the rule for the rest":              {"page", "GET", "reviews.shop", 9080, "", answer.Allowed, "rest"},
		"by the full host":                   {"page", "GET", "reviews.shop.svc.cluster.local", 9080, "", answer.Allowed, "rest"},
		"a method that allow does not name":  {"page", "POST", "reviews", 9080, "", answer.Denied, "rest"},
		"a service that is not used":         {"reviews", "GET", "page", 9080, "", answer.NotDeclared, ""},
		"a host that nobody has":             {"page", "GET", "nobody", 9080, "", answer.UnknownHost, ""},
		"a port that the service lacks":      {"page", "GET", "reviews", 80, "", answer.UnknownHost, ""},
		"an external":                        {"page", "GET", "api.example", 9080, "", answer.OutsideMesh, "api"},
		"a gateway's exact host":             {"edge", "POST", "www.shop.example", 8080, "", answer.Allowed, "rest"},
		"a gateway's host in another case":   {"edge", "GET", "WWW.shop.example", 8080, "", answer.Allowed, "rest"},
		"a gateway's wildcard, no rule":      {"edge", "GET", "x.shop.example", 8080, "", answer.NoRoute, ""},
		"a gateway that allow does not name": {"edge", "GET", "x.shop.example", 8080, "jason", answer.Denied, "jason"},
		"a host without table":               {"edge", "GET", "shop.example", 8080, "", answer.NoHost, ""},
		"a port without listener":            {"edge", "GET", "www.shop.example", 80, "", answer.NoListener, ""},
	} {
		r := &answer.Request{Method: c.method, Host: c.host, Port: c.port, Target: "/"}
		if c.user != "" {
			r.Headers = []model.Header{{Name: "End-User", Value: c.user}}
		}
		got, ok := answer.Ask(shop(), model.Ref{Namespace: "shop", Name: c.from}, r, now)
		if !ok || got.Outcome != c.want {
			t.Errorf("%s: %+v, want %s", name, got, c.want)
			continue
		}
		if c.route != "" && (got.Route == nil || got.Route.Name != c.route) {
			t.Errorf("%s: route %+v, want %q", name, got.Route, c.route)
		}
		if got.Why == "" {
			t.Errorf("%s: no reason", name)
		}
	}
	if _, ok := answer.Ask(shop(), model.Ref{Namespace: "shop", Name: "nobody"}, request("/"), now); ok {
		t.Error("an unknown caller got an answer")
	}
}

// What connections to an external begin with is told, also where the egress
// gateway writes it.
func TestProxyProtocolOfExternals(t *testing.T) {
	for name, via := range map[string]*model.Via{"straight": nil, "by a gateway": {SPIFFEID: "spiffe://cluster.local/ns/shop/sa/out"}} {
		m := shop()
		m.Externals[0].Announce, m.Externals[0].Via, m.Externals[0].Origin = "v2", via, at(30)
		got, _ := answer.Ask(m, model.Ref{Namespace: "shop", Name: "page"}, &answer.Request{Method: "GET", Host: "api.example", Port: 9080, Target: "/"}, now)
		if want := []answer.Setting{{Name: "proxyProtocol", Value: "v2", At: "reviews.cue:30:3"}}; got.Route == nil || !slices.Equal(got.Route.More, want) {
			t.Errorf("%s: %+v, want %v", name, got.Route, want)
		}
		var text strings.Builder
		if err := got.Text(&text); err != nil || !strings.Contains(text.String(), "proxyProtocol") {
			t.Errorf("%s: %v, the text does not show it:\n%s", name, err, text.String())
		}
	}
}

func TestAuthorize(t *testing.T) {
	s := &model.Service{SPIFFEID: "spiffe://td/ns/n/sa/s"}
	paths := []model.PathMatch{{Kind: model.Exact, Value: "/a"}}
	for name, c := range map[string]struct {
		allow  []model.Rule
		caller string
		want   bool
	}{
		"nobody":                           {nil, "spiffe://td/x", false},
		"everybody, without identity":      {[]model.Rule{{Any: true}}, "", true},
		"authenticated, without identity":  {[]model.Rule{{Authenticated: true}}, "", false},
		"authenticated":                    {[]model.Rule{{Authenticated: true}}, "spiffe://td/x", true},
		"authenticated of another domain":  {[]model.Rule{{Authenticated: true}}, "spiffe://tde/x", false},
		"named":                            {[]model.Rule{{Principals: []string{"spiffe://td/x"}}}, "spiffe://td/x", true},
		"another named":                    {[]model.Rule{{Principals: []string{"spiffe://td/y"}}}, "spiffe://td/x", false},
		"the second rule":                  {[]model.Rule{{Principals: []string{"spiffe://td/y"}}, {Any: true}}, "spiffe://td/x", true},
		"everybody, on another path":       {[]model.Rule{{Any: true, Paths: paths}}, "", false},
		"everybody, with another method":   {[]model.Rule{{Any: true, Methods: []string{"POST"}}}, "", false},
		"everybody, with this method":      {[]model.Rule{{Any: true, Methods: []string{"GET"}}}, "", true},
		"no identity never equals no name": {[]model.Rule{{Principals: []string{""}}}, "", false},
	} {
		s.Allow = c.allow
		if got := answer.Authorize("td", s, c.caller, request("/b"), 80); got.Allowed != c.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestText(t *testing.T) {
	got, _ := answer.Ask(shop(), model.Ref{Namespace: "shop", Name: "page"},
		&answer.Request{Method: "GET", Host: "reviews", Port: 9080, Target: "/reviews/1"}, now)
	var out strings.Builder
	if err := got.Text(&out); err != nil {
		t.Fatal(err)
	}
	want := `client         service shop/page  spiffe://cluster.local/ns/shop/sa/page
request        GET http://reviews:9080/reviews/1
listener       outbound|9080||reviews.shop.svc.cluster.local
rule           "jason" passes  [reviews.cue:5:3]
                 FAIL header end-user exact "jason"  (got absent)
rule           "rest" TAKES  [reviews.cue:8:3]
destination    90 % v1  outbound|9080|v1|reviews.shop.svc.cluster.local
destination    10 % v2  outbound|9080|v2|reviews.shop.svc.cluster.local
timeout        3s  [reviews.cue:9:3]
retries        2 on reset, 503, 1s each  [reviews.cue:10:3]
fault          "slow" delay 7s for 10 %, until 2026-01-01T01:00:00Z  [reviews.cue:11:3]
fault          "old" abort 500 for 100 %, ended 2025-12-31T23:00:00Z  [reviews.cue:12:3]
request        set header x-canary: 1
connection     mTLS, peer must be spiffe://cluster.local/ns/shop/sa/reviews (server: strict)
authorization  ALLOW  the caller is named  [reviews.cue:20:3]
answer         allowed: route "rest" takes it to v1 90 %, v2 10 %
`
	if out.String() != want {
		t.Errorf("got\n%s", out.String())
	}
}
