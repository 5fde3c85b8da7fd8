package behave_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/answer"
	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/model"
)

const friend = "spiffe://td/ns/default/sa/friend"

func reviews() *model.Service {
	header := []model.NamedMatch{{Name: "end-user", Kind: model.Exact, Value: "jason"}}
	return &model.Service{
		Ref: model.Ref{Namespace: "default", Name: "reviews"}, Host: "reviews.default.svc.cluster.local",
		SPIFFEID: "spiffe://td/ns/default/sa/reviews", MTLS: model.MTLSStrict,
		Ports:    []model.Port{{Name: "http", Number: 9080, Protocol: model.HTTP}},
		Versions: []model.Version{{Name: "v1"}, {Name: "v2"}},
		Routes: []*model.Route{
			{Name: "jason", Ports: []uint16{9080}, Match: []model.Match{{Headers: header}}, Split: []model.Split{{Version: "v2", BasisPoints: 10_000}}, Timeout: time.Second},
			{Name: "api", Ports: []uint16{9080}, Match: []model.Match{{Paths: []model.PathMatch{{Kind: model.SegmentPrefix, Value: "/api"}}}},
				Split: []model.Split{{Version: "v1", BasisPoints: 9_000}, {Version: "v2", BasisPoints: 1_000}},
				Retry: &model.Retry{Attempts: 2, On: []string{"connect-failure"}, Methods: []string{"GET"}}},
			{Name: "rest", Ports: []uint16{9080}, Match: []model.Match{{Paths: []model.PathMatch{{Kind: model.Prefix, Value: "/r"}}}}, Split: []model.Split{{Version: "v1", BasisPoints: 10_000}}},
		},
		Allow: []model.Rule{{Principals: []string{friend}, Methods: []string{"GET", "POST"}}, {Authenticated: true, Paths: []model.PathMatch{{Kind: model.Exact, Value: "/api/open"}}}},
	}
}

// same are changes that change no behaviour.
var same = map[string]func(*model.Service){
	"nothing":        func(*model.Service) {},
	"a route's name": func(s *model.Service) { s.Routes[0].Name = "vip" },
	"a regex that says a prefix": func(s *model.Service) {
		s.Routes[2].Match[0].Paths[0] = model.PathMatch{Kind: model.Regex, Value: "/r.*"}
	},
	"a regex that says a segment": func(s *model.Service) {
		s.Routes[1].Match[0].Paths[0] = model.PathMatch{Kind: model.Regex, Value: "/api(/.*)?"}
	},
	"the order of disjoint routes": func(s *model.Service) { s.Routes[1], s.Routes[2] = s.Routes[2], s.Routes[1] },
	"a route that nothing reaches": func(s *model.Service) { s.Routes = append(s.Routes, s.Routes[1]) },
	"a match twice":                func(s *model.Service) { s.Routes[2].Match = append(s.Routes[2].Match, s.Routes[2].Match[0]) },
	"a policy that never retries":  func(s *model.Service) { s.Routes[2].Retry = &model.Retry{On: []string{"5xx"}} },
	"the order of allow rules":     func(s *model.Service) { slices.Reverse(s.Allow) },
	"an allow rule within another": func(s *model.Service) {
		s.Allow = append(s.Allow, model.Rule{Principals: []string{friend}, Methods: []string{"GET"}})
	},
	"a hash that no policy asks for": func(s *model.Service) { s.Routes[2].Hash = []model.HashKey{{From: model.HashSourceIP}} },
	"a default that is written": func(s *model.Service) {
		s.Versions[0].Traffic = &model.Traffic{ConnectTimeout: model.DefaultConnectTimeout}
	},
	"the owner": func(s *model.Service) { s.Owner = "team" },
}

// others change behaviour.
var others = map[string]func(*model.Service){
	"the weights": func(s *model.Service) {
		s.Routes[1].Split[0].BasisPoints, s.Routes[1].Split[1].BasisPoints = 8_000, 2_000
	},
	"the header's value":      func(s *model.Service) { s.Routes[0].Match[0].Headers[0].Value = "jane" },
	"a negation":              func(s *model.Service) { s.Routes[0].Match[0].Headers[0].Not = true },
	"the timeout":             func(s *model.Service) { s.Routes[0].Timeout = 2 * time.Second },
	"the methods of retry":    func(s *model.Service) { s.Routes[1].Retry.Methods = nil },
	"the order":               func(s *model.Service) { s.Routes[0], s.Routes[1] = s.Routes[1], s.Routes[0] },
	"a missing route":         func(s *model.Service) { s.Routes = s.Routes[:2] },
	"a segment to a prefix":   func(s *model.Service) { s.Routes[1].Match[0].Paths[0].Kind = model.Prefix },
	"a wider allow":           func(s *model.Service) { s.Allow[0].Methods = nil },
	"mtls":                    func(s *model.Service) { s.MTLS = model.MTLSPermissive },
	"the idle timeout":        func(s *model.Service) { s.Routes[0].IdleTimeout = time.Second },
	"the longest time":        func(s *model.Service) { s.Routes[0].MaxDuration = time.Second },
	"the protocol":            func(s *model.Service) { s.Ports[0].Protocol = model.GRPC },
	"the labels of a version": func(s *model.Service) { s.Versions[0].Labels = map[string]string{"a": "b"} },
	"a redirect": func(s *model.Service) {
		s.Routes[2].Split, s.Routes[2].Redirect = nil, &model.Redirect{Host: "a", Status: 301}
	},
	"an answer":             func(s *model.Service) { s.Routes[2].Split, s.Routes[2].Respond = nil, &model.Respond{Status: 200} },
	"the host that is seen": func(s *model.Service) { s.Routes[2].Rewrite = &model.Rewrite{Host: "a"} },
	"a hash": func(s *model.Service) {
		s.Versions[0].Traffic = &model.Traffic{ConnectTimeout: model.DefaultConnectTimeout, Balance: &model.Balance{Policy: model.Maglev}}
		s.Routes[2].Hash = []model.HashKey{{From: model.HashSourceIP}}
	},
	"a version's header":  func(s *model.Service) { s.Routes[2].Split[0].RequestHeaders.Remove = []string{"x"} },
	"the backoff":         func(s *model.Service) { s.Routes[1].Retry.Backoff = &model.Backoff{Base: time.Second} },
	"a fault":             func(s *model.Service) { s.Routes[2].Abort = &model.Abort{Status: 503, BasisPoints: 1} },
	"a header":            func(s *model.Service) { s.Routes[2].ResponseHeaders.Set = []model.Header{{Name: "x", Value: "1"}} },
	"a port":              func(s *model.Service) { s.Ports = append(s.Ports, model.Port{Number: 81}) },
	"the identity":        func(s *model.Service) { s.SPIFFEID = "spiffe://td/ns/default/sa/other" },
	"a version's traffic": func(s *model.Service) { s.Versions[1].Traffic = &model.Traffic{ConnectTimeout: time.Second} },
}

func TestChangesThatChangeNothing(t *testing.T) {
	for name, change := range same {
		after := reviews()
		change(after)
		d := behave.Services(reviews(), after, nil)
		if len(d.Unknown)+len(d.Changes) > 0 || d.Regions < 5 {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

func TestEveryOtherChangeIsFound(t *testing.T) {
	for name, change := range others {
		after := reviews()
		change(after)
		d := behave.Services(reviews(), after, nil)
		if len(d.Unknown) > 0 || len(d.Changes) == 0 {
			t.Errorf("%s: %+v", name, d)
			continue
		}
		for _, c := range d.Changes {
			if c.Witness == nil || len(c.Words) == 0 {
				t.Errorf("%s: %+v shows nothing", name, c)
			}
		}
	}
	for _, pair := range [][2]*model.Service{{nil, reviews()}, {reviews(), nil}} {
		if d := behave.Services(pair[0], pair[1], nil); len(d.Unknown) > 0 || len(d.Changes) == 0 {
			t.Errorf("a service that comes or goes: %+v", d)
		}
	}
	if d := behave.Services(nil, nil, nil); len(d.Unknown)+len(d.Changes) != 0 {
		t.Errorf("nothing at all: %+v", d)
	}
}

func TestARewrittenPathThatIsJudgedOtherwiseIsUnknown(t *testing.T) {
	rewritten := func() *model.Service {
		s := reviews()
		s.Routes[1].Rewrite = &model.Rewrite{Path: &model.Substitution{Pattern: "^/(api)", Text: `/\1x`}}
		return s
	}
	after := rewritten()
	if d := behave.Services(rewritten(), after, nil); len(d.Unknown)+len(d.Changes) > 0 {
		t.Errorf("nothing changes: %+v", d)
	}
	if d := behave.Services(reviews(), after, nil); len(d.Changes) == 0 {
		t.Errorf("a rewrite is new: %+v", d)
	}
	after.Allow[1].Paths[0].Value = "/api/closed"
	if d := behave.Services(rewritten(), after, nil); len(d.Unknown) == 0 {
		t.Errorf("the path that the server judges: %+v", d)
	}
}

// simple is what package answer, which knows no diagrams, says of a request:
// verdict, destinations and whether it is retried.
func simple(s *model.Service, caller string, r *answer.Request) string {
	if s.Port(r.Port) == nil {
		return "refused"
	}
	rule := answer.Route(s, r)
	switch {
	case rule == nil:
		return "no route"
	case s.MTLS == model.MTLSStrict && caller == "":
		return "refused"
	case !answer.Authorize("td", s, caller, r, r.Port).Allowed:
		return "denied"
	}
	again := rule.Retry != nil && (len(rule.Retry.Methods) == 0 || slices.Contains(rule.Retry.Methods, r.Method))
	return fmt.Sprint("served ", rule.Split, rule.Timeout, again)
}

// TestAgainstAnswer walks over requests: those that package answer treats
// differently are found, and every witness is treated differently.
func TestAgainstAnswer(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	routing := []string{"the weights", "the header's value", "a negation", "the timeout", "the methods of retry", "the order", "a missing route", "a segment to a prefix", "a wider allow", "a port"}
	paths := []string{"/", "/api", "/apix", "/api/open", "/r", "/rx", "/api/x"}
	users := []string{"", "jason", "jane", "x"}
	differ := 0
	for range 300 {
		before, after := reviews(), reviews()
		for _, s := range []*model.Service{before, after} {
			switch rng.IntN(3) {
			case 0:
				same["a regex that says a segment"](s)
			case 1:
				others[routing[rng.IntN(len(routing))]](s)
			}
		}
		d := behave.Services(before, after, nil)
		if len(d.Unknown) > 0 {
			t.Fatal(d.Unknown)
		}
		for _, c := range d.Changes {
			r := &answer.Request{Method: c.Witness.Method, Port: c.Witness.Port, Target: c.Witness.Target(), Headers: c.Witness.Fields(), Host: c.Witness.Host}
			if simple(before, c.Witness.Identity, r) == simple(after, c.Witness.Identity, r) {
				t.Fatalf("%s is treated alike: %+v", c.Witness, c)
			}
		}
		seen := false
		for _, method := range []string{"GET", "POST", "PUT"} {
			for _, path := range paths {
				for _, user := range users {
					for _, caller := range []string{"", friend, "spiffe://td/ns/default/sa/x", "spiffe://other/ns/default/sa/x"} {
						for _, port := range []uint16{9080, 81} {
							r := &answer.Request{Method: method, Port: port, Target: path, Host: before.Host}
							if user != "" {
								r.Headers = []model.Header{{Name: "end-user", Value: user}}
							}
							seen = seen || simple(before, caller, r) != simple(after, caller, r)
						}
					}
				}
			}
		}
		if seen != (len(d.Changes) > 0) {
			t.Fatalf("the walk sees a difference: %v; %+v", seen, d.Changes)
		}
		if seen {
			differ++
		}
	}
	t.Logf("%d of 300 pairs differ", differ)
}

func BenchmarkServices(b *testing.B) {
	before, after := reviews(), reviews()
	others["the weights"](after)
	for b.Loop() {
		if d := behave.Services(before, after, nil); len(d.Unknown) > 0 {
			b.Fatal(d.Unknown)
		}
	}
}
