package interop

import (
	"fmt"
	"math/rand/v2"
	"regexp/syntax"
	"slices"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/answer"
	"github.com/meshc/meshc/compiler/model"
)

// drawer makes requests out of the values that a mesh's own matches name, and
// of values that just miss them.
type drawer struct {
	*rand.Rand
	paths, methods []string
	matches        []model.Match
	headers        map[string][]string // by name
	query, cookies map[string][]string
}

func newDrawer(seed uint64, routes []*model.Route) *drawer {
	d := &drawer{
		Rand: rand.New(rand.NewPCG(seed, 7)), methods: []string{"GET", "POST"},
		headers: map[string][]string{}, query: map[string][]string{}, cookies: map[string][]string{},
	}
	for _, r := range routes {
		for _, m := range r.Match {
			d.matches = append(d.matches, m)
			d.methods = append(d.methods, m.Methods...)
			for _, p := range m.Paths {
				d.paths = append(d.paths, d.near(p.Kind, p.Value)...)
			}
			d.learn(d.headers, fieldsOnly(m.Headers))
			d.learn(d.query, m.Query)
			d.learn(d.cookies, m.Cookies)
		}
	}
	d.paths = append(d.paths, "/", "/none")
	d.paths = slices.DeleteFunc(d.paths, func(p string) bool {
		return !strings.HasPrefix(p, "/") || strings.ContainsAny(p, "?# \\%") || strings.Contains(p, "/.")
	})
	return d
}

func (d *drawer) learn(into map[string][]string, matches []model.NamedMatch) {
	for _, n := range matches {
		into[n.Name] = append(into[n.Name], d.near(n.Kind, n.Value)...)
		into[n.Name] = append(into[n.Name], "", "other")
	}
}

// near gives values around the edge of a condition.
func (d *drawer) near(k model.MatchKind, v string) []string {
	if k == model.Regex {
		if tree, err := syntax.Parse(v, syntax.Perl); err == nil {
			v = d.sample(tree)
		}
	}
	out := []string{v, v + "/", v + "/x", v + "x", "x" + v, strings.ToUpper(v)}
	if len(v) > 1 {
		out = append(out, v[:len(v)-1])
	}
	return out
}

// sample gives a string that an expression matches, for the simple ones that
// meshes have.
func (d *drawer) sample(re *syntax.Regexp) string {
	var out strings.Builder
	switch re.Op {
	case syntax.OpLiteral:
		return string(re.Rune)
	case syntax.OpCharClass:
		return string(re.Rune[2*d.IntN(len(re.Rune)/2)])
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return "y"
	case syntax.OpAlternate:
		return d.sample(re.Sub[d.IntN(len(re.Sub))])
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest, syntax.OpRepeat:
		for range max(re.Min, d.IntN(3), 1) {
			out.WriteString(d.sample(re.Sub[0]))
		}
	default:
		for _, sub := range re.Sub {
			out.WriteString(d.sample(sub))
		}
	}
	return out.String()
}

func (d *drawer) one(list []string) string { return list[d.IntN(len(list))] }

// some gives up to n names of values, in an order that depends on the seed only.
func (d *drawer) some(values map[string][]string, n int) []string {
	var names []string
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	d.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	return names[:min(len(names), d.IntN(n+1))]
}

// aim makes r one that m takes, as far as its conditions are not negations.
func (d *drawer) aim(r *request, m *model.Match) {
	for _, p := range m.Paths {
		if p.Not {
			continue
		}
		r.target = d.near(p.Kind, p.Value)[0]
	}
	if len(m.Methods) > 0 {
		r.method = d.one(m.Methods)
	}
	for _, h := range fieldsOnly(m.Headers) {
		if !h.Not && h.Kind != model.Absent {
			r.headers = append(r.headers, h.Name+": "+d.near(h.Kind, h.Value)[0])
		}
	}
	for _, q := range m.Query {
		if q.Kind != model.Absent {
			r.target += "?" + q.Name + "=" + d.near(q.Kind, q.Value)[0]
		}
	}
	for _, c := range m.Cookies {
		if c.Kind != model.Absent {
			r.headers = append(r.headers, "cookie: "+c.Name+"="+d.near(c.Kind, c.Value)[0])
		}
	}
}

func (d *drawer) request() request {
	r := request{method: d.one(d.methods), target: d.one(d.paths)}
	if len(d.matches) > 0 && d.IntN(3) > 0 {
		d.aim(&r, &d.matches[d.IntN(len(d.matches))])
	}
	for _, name := range d.some(d.headers, 2) {
		for range 1 + d.IntN(8)/7 {
			r.headers = append(r.headers, name+": "+d.one(d.headers[name]))
		}
	}
	sep := "?"
	if strings.Contains(r.target, "?") {
		sep = "&"
	}
	for _, name := range d.some(d.query, 2) {
		r.target += sep + name
		if d.IntN(4) > 0 {
			r.target += "=" + d.one(d.query[name])
		}
		sep = "&"
	}
	var cookies []string
	for _, name := range d.some(d.cookies, 2) {
		cookies = append(cookies, name+"="+d.one(d.cookies[name]))
	}
	if len(cookies) > 0 {
		r.headers = append(r.headers, "cookie: "+strings.Join(cookies, "; "))
	}
	return r
}

// drawn sends requests drawn from the lab's own matches: both data planes take
// the route that the model says.
func (b *bed) drawn(t *testing.T) {
	lab := b.mesh.Service(ref("lab"))
	quick := slices.DeleteFunc(slices.Clone(lab.Routes), func(r *model.Route) bool { return r.Delay != nil })
	d := newDrawer(1, quick)
	at := map[kind]string{envoy: b.client(envoy, "lab"), meshc: b.client(meshc, "lab")}
	asks := make([]ask, scale(400, 5000))
	for i := range asks {
		r := d.request()
		asks[i] = ask{request: r, id: 10000 + i, through: b.both("web"), at: at}
		asks[i].want = modelRoute(b.mesh, ref("web"), asked(&r, lab.Host, meshPort))
	}
	b.sendAll(t, asks)
}

// both gives the two proxies of a workload.
func (b *bed) both(name string) map[kind]*proxy {
	return map[kind]*proxy{envoy: b.proxies[name+"-envoy"], meshc: b.proxies[name+"-meshc"]}
}

// asked is r as the model reads it.
func asked(r *request, host string, port uint16) *answer.Request {
	out := &answer.Request{Method: or(r.method, "GET"), Host: host, Port: port, Target: or(r.target, "/")}
	for _, h := range r.headers {
		name, value, _ := strings.Cut(h, ":")
		out.Headers = append(out.Headers, model.Header{Name: name, Value: strings.TrimSpace(value)})
	}
	return out
}

// ask is a drawn request and the route that the model says.
type ask struct {
	request
	id      int
	want    string
	through map[kind]*proxy
	at      map[kind]string // where they listen
}

// sendAll sends each request through both data planes, several at a time, and
// holds the routes that they log to the model's.
func (b *bed) sendAll(t *testing.T, asks []ask) {
	t.Helper()
	marks := map[*proxy]int{}
	for i := range asks {
		for _, x := range asks[i].through {
			if _, known := marks[x]; !known {
				marks[x] = x.log.mark()
			}
		}
	}
	answers := map[kind][]response{envoy: make([]response, len(asks)), meshc: make([]response, len(asks))}
	together(4, len(asks), func(i int) {
		for _, k := range kinds {
			answers[k][i] = send(asks[i].at[k], nil, &asks[i].request, key(k, asks[i].id))
		}
	})
	taken := map[string]int{}
	for i := range asks {
		taken[asks[i].want]++
		seen := map[kind]entry{}
		for _, k := range kinds {
			x := asks[i].through[k]
			seen[k] = x.log.find(marks[x], answers[k][i].local, key(k, asks[i].id))
		}
		asks[i].judge(t, seen)
	}
	t.Logf("%d requests took %d routes; %d took none", len(asks), len(taken), taken[""])
}

func (a *ask) judge(t *testing.T, seen map[kind]entry) {
	t.Helper()
	for _, k := range kinds {
		if got := seen[k].text("route_name"); got != a.want || seen[k]["missing"] != nil {
			t.Errorf("%s: route %q, and the model says %q: %s; logged %v", k, got, a.want, describe(&a.request), seen[k])
		}
	}
	for _, field := range []string{"status", "details"} {
		e, m := detail.ReplaceAllString(seen[envoy].text(field), "}"), seen[meshc].text(field)
		if e != m && !chance(seen[envoy], seen[meshc]) {
			t.Errorf("%s: envoy %q, meshc-proxy %q: %s", field, e, m, describe(&a.request))
		}
	}
}

// chance says that the outcome may differ because one of the two met an
// injected fault, or because the route has a split.
func chance(a, b entry) bool {
	return a.text("flags") != b.text("flags") || a.text("upstream_cluster") != b.text("upstream_cluster")
}

func describe(r *request) string {
	return fmt.Sprintf("%s %s %q", r.method, r.target, r.headers)
}

// fieldsOnly leaves pseudo-headers out, which drawn requests do not vary.
func fieldsOnly(headers []model.NamedMatch) []model.NamedMatch {
	return slices.DeleteFunc(slices.Clone(headers), func(h model.NamedMatch) bool { return strings.HasPrefix(h.Name, ":") })
}
