package interop

import (
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// ruleHeader carries the name of the rule that took a request.
const ruleHeader = "x-rule"

// TestWitnesses replays what package reach says about route tables: each of its
// witnesses must take the rule that it is to show, through Envoy and through
// meshc-proxy.
func TestWitnesses(t *testing.T) {
	tables := 6
	if os.Getenv("MESHC_SOAK") != "" {
		tables = 60
	}
	const seed = 1
	m := maker{rand.New(rand.NewPCG(seed, 4))}
	b := newBed(t, m.tables(tables))
	b.application(ref("app"), "v1", "app-v1", b.backends.start(t, "app", nil))
	for i := range tables {
		b.application(ref(tableName(i)), "v1", fmt.Sprintf("table-%d", i), b.placed["app-v1"].Inbound[meshPort])
	}
	for _, k := range kinds {
		b.sidecar(ref("web"), "v1", k, "")
	}
	b.run()
	var asks []prediction
	for i := range tables {
		asks = append(asks, predictions(t, b.mesh.Service(ref(tableName(i))))...)
	}
	var mu sync.Mutex
	wrong := map[kind]int{}
	together(8, len(asks), func(i int) {
		for _, k := range kinds {
			if got := b.replay(k, &asks[i]); got != asks[i].rule {
				mu.Lock()
				wrong[k]++
				mu.Unlock()
				t.Errorf("%s: %s %s takes %q, and was to take %q", k, asks[i].service, asks[i].request, got, asks[i].rule)
			}
		}
	})
	t.Logf("seed %d: %d witnesses through each of %v, mismatches %v", seed, len(asks), kinds, wrong)
}

func tableName(i int) string { return fmt.Sprintf("t%03d", i) }

// tables has n services that web uses, each with a table of random rules that
// say which of them answered.
func (m maker) tables(n int) *model.Mesh {
	service := func(name string) *model.Service {
		return &model.Service{
			Ref: ref(name), Host: name + ".default.svc.cluster.local", ServiceAccount: name,
			SPIFFEID: model.SPIFFEID(domain, "default", name), MTLS: model.MTLSDisable,
			Ports:    []model.Port{{Name: "http", Number: meshPort, Protocol: model.HTTP}},
			Versions: []model.Version{{Name: "v1"}},
			Allow:    []model.Rule{{Any: true}},
		}
	}
	out := &model.Mesh{Name: "tables", TrustDomain: domain}
	web := service("web")
	web.Ports = nil // it only calls
	out.Services = append(out.Services, service("app"))
	for i := range n {
		s := service(tableName(i))
		for r := range 2 + m.IntN(4) {
			route := &model.Route{Name: fmt.Sprint("r", r), Ports: []uint16{meshPort}, Split: []model.Split{{Version: "v1", BasisPoints: model.BasisPointsWhole}}}
			route.ResponseHeaders.Set = []model.Header{{Name: ruleHeader, Value: route.Name}}
			for range 1 + m.IntN(3) {
				route.Match = append(route.Match, m.condition())
			}
			s.Routes = append(s.Routes, route)
		}
		web.Uses = append(web.Uses, s.Ref)
		out.Services = append(out.Services, s)
	}
	out.Services = append(out.Services, web)
	return out
}

// condition is a match with any of the conditions that there are; a quarter
// are expressions, and a quarter of those on headers are negated.
func (m maker) condition() model.Match {
	var out model.Match
	switch m.IntN(6) {
	case 0:
		out.Paths = []model.PathMatch{{Kind: model.Regex, Value: m.pick("/[a-c]+", "/a(/.*)?", `/item/[0-9]{1,3}`, ".*b", "/[^a]*", `/.*\bx`, "(?i)/A/b")}}
	case 1:
		out.Paths = []model.PathMatch{{Kind: model.SegmentPrefix, Value: m.pick("/a", "/a/b", "/item")}}
	case 2, 3:
		out.Paths = []model.PathMatch{{Kind: model.MatchKind(m.pick("exact", "prefix")), Value: m.pick("/", "/a", "/a/b", "/ab", "/item/")}}
	}
	if m.chance(30) {
		out.Methods = []string{m.pick("GET", "POST", "PUT")}
	}
	for _, name := range []string{"x-a", "x-b"} {
		if m.chance(30) {
			out.Headers = append(out.Headers, m.on(name, m.chance(25)))
		}
	}
	if m.chance(25) {
		out.Query = []model.NamedMatch{m.on("q", false)}
	}
	if m.chance(25) {
		out.Cookies = []model.NamedMatch{m.on("c", false)}
	}
	return out
}

func (m maker) on(name string, not bool) model.NamedMatch {
	out := model.NamedMatch{Name: name, Kind: model.MatchKind(m.pick("exact", "prefix", "suffix", "contains", "regex", "regex", "present", "absent")), Not: not}
	switch out.Kind {
	case model.Present, model.Absent:
	case model.Regex:
		out.Value = m.pick("v[0-9]+", "[^v]*", ".+", "a|b", `.*\bend`, "(?i)yes", `\pL{2}`)
	default:
		out.Value = m.pick("v", "v1", "a", "end", "a b", "1")
	}
	return out
}

// prediction is a request with the rule that is to take it, "" for none.
type prediction struct {
	service string
	request *reach.Request
	rule    string
}

// predictions gives, for every outcome of a table and every condition in it, a
// request with that outcome that meets the condition, and one that does not.
func predictions(t *testing.T, s *model.Service) []prediction {
	t.Helper()
	var matches, conditions []reach.Pred
	for _, r := range s.Routes {
		matches = append(matches, reach.OfMatches(r.Match))
		for _, m := range r.Match {
			conditions = append(conditions, reach.OfMatch(m))
			for _, p := range m.Paths {
				conditions = append(conditions, reach.OfPath(p))
			}
			for _, h := range m.Headers {
				conditions = append(conditions, reach.OfNamed(reach.Header, h))
			}
			for _, q := range m.Query {
				conditions = append(conditions, reach.OfNamed(reach.Query, q))
			}
			for _, c := range m.Cookies {
				conditions = append(conditions, reach.OfNamed(reach.Cookie, c))
			}
		}
	}
	space, err := reach.New(reach.DefaultLimits, matches...)
	if err != nil {
		t.Fatal(err)
	}
	left, err := space.Set(reach.Pred{})
	if err != nil {
		t.Fatal(err)
	}
	var out []prediction
	seen := map[string]bool{}
	for i := range len(matches) + 1 {
		rule, here := "", left
		if i < len(matches) {
			rule = s.Routes[i].Name
			set, err := space.Set(matches[i])
			if err != nil {
				t.Fatal(err)
			}
			if here, err = space.Intersection(left, set); err != nil {
				t.Fatal(err)
			}
			if left, err = space.Minus(left, set); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range conditions {
			for _, p := range []reach.Pred{c, reach.Not(c)} {
				set, err := space.Set(p)
				if err != nil {
					t.Fatal(err)
				}
				if set, err = space.Intersection(here, set); err != nil {
					t.Fatal(err)
				}
				if w := space.Witness(set); w != nil && !seen[w.String()] {
					seen[w.String()] = true
					out = append(out, prediction{s.Name, w, rule})
				}
			}
		}
	}
	return out
}

// replay sends a witness through web's proxy of kind k, and gives the rule that
// answered.
func (b *bed) replay(k kind, p *prediction) string {
	at := b.placed["web-"+string(k)].Outbound[model.OutboundKey(ref(p.service), meshPort)]
	res := send(at, nil, asSent(p.request), "")
	switch rule := res.Header[ruleHeader]; {
	case res.Status == 200 && len(rule) == 1:
		return rule[0]
	case res.Status == 404:
		return ""
	}
	return fmt.Sprintf("status %d %s", res.Status, res.Err)
}
