package expect

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/answer"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/compiler/lower"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
	"github.com/meshc/meshc/compiler/scope"
)

// The alphabet has a request for every class that conditions of drawn meshes tell
// apart, so that asking for each of them decides what is said of all.
var (
	alphabetPaths   = []string{"/", "/a", "/a/b", "/a/c", "/ab", "/ac", "/b", "/b/c", "/bb", "/zz", "/never"}
	alphabetMethods = []string{"GET", "POST", "DELETE", "PUT"}
	alphabetHeaders = [][]string{nil, {"1"}, {"2"}, {"1", "2"}}
	alphabetQueries = []string{"", "1", "2"}
	alphabetHosts   = []string{"www.shop.example", "a.else.example", "elsewhere.example"}
)

// alphabet lists the requests to a host and port.
func alphabet(scheme, host string, port uint16) []*reach.Request {
	var out []*reach.Request
	for _, path := range alphabetPaths {
		for _, method := range alphabetMethods {
			for _, values := range alphabetHeaders {
				for _, q := range alphabetQueries {
					r := &reach.Request{Scheme: scheme, Host: host, Port: port, Method: method, Path: path}
					for _, v := range values {
						r.Headers = append(r.Headers, model.Header{Name: "x", Value: v})
					}
					if q != "" {
						r.Query = []model.Header{{Name: "q", Value: q}}
					}
					out = append(out, r)
				}
			}
		}
	}
	return out
}

// drawing draws meshes whose conditions the alphabet tells apart.
type drawing struct {
	*rand.Rand
	rewrites bool
}

func (d *drawing) one(list ...string) string { return list[d.IntN(len(list))] }

func (d *drawing) maybe(percent int, text string) string {
	if d.IntN(100) < percent {
		return text
	}
	return ""
}

func (d *drawing) path() string {
	not := d.maybe(25, ", not: true")
	return d.one(`{exact: "/a"`, `{exact: "/a/b"`, `{prefix: "/a"`, `{prefix: "/"`, `{segmentPrefix: "/a"`, `{regex: "/a|/b"`, `{regex: "/[ab]+"`) + not + "}"
}

func (d *drawing) match() string {
	var parts []string
	if d.IntN(2) == 0 {
		parts = append(parts, "path: "+d.path())
	}
	if d.IntN(3) == 0 {
		parts = append(parts, d.one(`method: "GET"`, `method: ["GET", "POST"]`, `notMethod: "DELETE"`))
	}
	if d.IntN(3) == 0 {
		parts = append(parts, "headers: x: "+d.one(`exact: "1"`, `{exact: "1", not: true}`, `present: true`, `present: false`))
	}
	if d.IntN(4) == 0 {
		parts = append(parts, "query: q: "+d.one(`exact: "1"`, `{exact: "1", not: true}`, `present: true`))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func (d *drawing) rule(from bool) string {
	parts := []string{}
	if from {
		parts = append(parts, "from: "+d.one(`["web"]`, `["jobs"]`, `["web", "jobs", "edge"]`, `["*"]`, `["idle", "edge"]`))
	}
	if d.IntN(2) == 0 || !from {
		parts = append(parts, d.one(`methods: ["GET"]`, `notMethods: ["DELETE"]`, `paths: [{prefix: "/a"}]`, `notPaths: [{exact: "/a"}, {segmentPrefix: "/b"}]`, `paths: [{template: "/{*}/b"}]`, `headers: x: exact: "1"`))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func (d *drawing) split() string { return d.one("to: v1: 100", "to: v2: 100", "to: {v1: 50, v2: 50}") }

func (d *drawing) route() string {
	out := d.maybe(70, "match: ["+d.match()+"], ") + d.maybe(20, `from: ["web"], `) + d.maybe(20, "except: ["+d.match()+"], ")
	switch d.IntN(6) {
	case 0:
		return out + d.one(`redirect: {path: "/b", status: 302}`, `respond: status: 418`)
	case 1:
		if d.rewrites {
			return out + `rewrite: path: ` + d.one(`"/a"`, `"/zz"`) + ", " + d.split()
		}
	}
	return out + d.split() + d.maybe(30, `, timeout: "3s"`) + d.maybe(30, `, retries: {attempts: 1, on: ["503"]}`) + d.maybe(20, `, requestHeaders: remove: ["y"]`)
}

func (d *drawing) claim(gateway bool) string {
	all := []string{`outcome: "allowed"`, `outcome: "denied"`, "status: 403", "status: 404", "status: 302", "status: 418", "faults: false", "faults: true", `timeout: "3s"`, `timeout: "15s"`, "retries: 1", "retries: 2", `outcome: "no-route"`}
	if gateway {
		all = append(all, `service: "api", to: v1: 100`, `service: "api"`, `notServices: ["api"]`, `notServices: ["api"]`)
	} else {
		all = append(all, "to: v1: 100", "to: {v1: 50, v2: 50}", `notTo: ["v1"]`, `notTo: ["v2"]`, `notTo: ["v1", "v2"]`, `outcome: "not-declared"`)
	}
	return d.one(all...)
}

const drawnExpectations = 12

// mesh is the text of one, with expectations.
func (d *drawing) mesh() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("package mesh\nimport m \"meshc.dev/mesh\"\nmesh: m.#Config\nservice: m.#Services\ngateway: m.#Gateways")
	line("mesh: proxy: \"envoy\"")
	line("service: web: {ports: http: {number: 80, protocol: \"http\"}, versions: v1: {}, uses: api: {}}")
	line("service: jobs: {ports: http: {number: 80, protocol: \"http\"}, versions: v1: {}, uses: api: {}}")
	line("service: idle: {ports: http: {number: 80, protocol: \"http\"}, versions: v1: {}}")
	line("service: api: {\nports: http: {number: 80, protocol: \"http\"}\nversions: {v1: {}, v2: {}}")
	for i := range 1 + d.IntN(4) {
		line("routes: r%d: {%s}", i, d.route())
	}
	line("routes: last: {match: [{path: exact: \"/never\"}], to: v1: 100}")
	if d.IntN(3) == 0 {
		line(`faults: f: {on: "r0", delay: {fixed: "1s", percent: 10}, until: "2099-01-01T00:00:00Z"}`)
	}
	line("security: mtls: %q", d.one("strict", "strict", "permissive"))
	if d.IntN(2) == 0 {
		line("security: allow: [%s, %s]", d.rule(true), d.rule(true))
	}
	if d.IntN(2) == 0 {
		line("security: deny: [%s]", d.rule(d.IntN(2) == 0))
	}
	for i := range drawnExpectations {
		switch d.IntN(4) {
		case 0:
			line("expect: e%d: reachedBy: only: %s", i, d.one(`["web"]`, `["web", "jobs"]`, `["web", "jobs", "edge"]`, `["idle"]`, `[]`, `["web", "jobs", "edge", "idle", "api"]`))
		default:
			line("expect: e%d: {every: [%s%s]%s, %s}", i, d.match(), d.maybe(20, ", "+d.match()), d.maybe(40, ", from: "+d.one(`["web"]`, `["jobs"]`, `["idle"]`, `["web", "idle"]`)), d.claim(false))
		}
	}
	line("}\ngateway: edge: {\nlisteners: web: {port: 8080, protocol: \"http\", hosts: [%q, %q]}", alphabetHosts[0], "*.else.example")
	line("routes: g0: {match: [%s], to: \"api\"}", d.match())
	if d.IntN(2) == 0 {
		line("routes: g1: {%s, respond: status: 418}", "match: ["+d.match()+"]")
	}
	if d.IntN(2) == 0 {
		line("security: deny: [%s]", d.rule(false))
	}
	for i := range drawnExpectations / 2 {
		line("expect: e%d: {every: [%s], %s}", i, d.match(), d.claim(true))
	}
	line("}")
	return b.String()
}

// TestVerdictsAreThoseOfEveryRequest: what is said of all requests is what asking
// for every one of them says, and a counterexample is one.
func TestVerdictsAreThoseOfEveryRequest(t *testing.T) {
	meshes := uint64(40)
	if os.Getenv("MESHC_SOAK") != "" {
		meshes = 2000
	}
	verdicts, skipped := map[Verdict]int{}, 0
	for seed := range meshes {
		d := &drawing{rand.New(rand.NewPCG(seed, 7)), seed%4 == 3}
		text := d.mesh()
		fsys := fstest.MapFS{
			"cue.mod/module.cue": {Data: []byte("module: \"mesh.example\"\nlanguage: version: \"v0.17.0\"\n")},
			"mesh.cue":           {Data: []byte(text)},
		}
		res, err := compiler.Compile(t.Context(), fsys, compiler.Options{Now: time.Unix(0, 0), Load: load.Options{InProcess: true}})
		if err != nil {
			t.Fatal(err)
		}
		if res.Model == nil { // rules that leave one another nothing, for example
			skipped++
			if skipped*2 > int(meshes) {
				t.Fatalf("most meshes do not compile: %v\n%s", res.Diags, text)
			}
			continue
		}
		b := &brute{t: t, running: &running{mesh: res.Model, links: map[model.Ref]*calling{}, out: &Report{}}}
		b.mesh(res.Intent)
		for v, n := range b.verdicts {
			verdicts[v] += n
		}
		if t.Failed() {
			t.Fatalf("seed %d:\n%s", seed, text)
		}
	}
	t.Logf("%d meshes (%d not drawn well), verdicts %v", meshes, skipped, verdicts)
	for _, v := range []Verdict{Holds, Fails, Vacuous} {
		if verdicts[v] == 0 {
			t.Errorf("no expectation %s", v)
		}
	}
}

// brute asks for every request of the alphabet.
type brute struct {
	*running
	t        *testing.T
	verdicts map[Verdict]int
}

func (b *brute) mesh(in *intent.Mesh) {
	b.verdicts = map[Verdict]int{}
	for _, s := range in.Services {
		for _, e := range s.Expect {
			got := Result{Owner: "service", Name: e.Name.V, Verdict: Holds}
			b.service(s, e, &got)
			want := b.everyOf(b.serviceSenders(s, e), e, scope.ServiceRef(s))
			if e.ReachedBy != nil {
				want = b.reached(s, e)
			}
			b.judge(e, &got, want, scope.ServiceRef(s))
		}
	}
	for _, g := range in.Gateways {
		for _, e := range g.Expect {
			got := Result{Owner: "gateway", Name: e.Name.V, Verdict: Holds}
			b.gateway(g, e, &got)
			var sent []sending
			for _, host := range alphabetHosts {
				sent = append(sent, sending{scope.GatewayRef(g), alphabet("http", host, 8080)})
			}
			b.judge(e, &got, b.everyOf(sent, e, scope.GatewayRef(g)), scope.GatewayRef(g))
		}
	}
}

// sending is requests of one sender.
type sending struct {
	from model.Ref
	all  []*reach.Request
}

func (b *brute) serviceSenders(s *intent.Service, e *intent.Expect) []sending {
	from := refsOf(e.From, "default")
	if e.From == nil {
		from = []model.Ref{{Namespace: "default", Name: "jobs"}, {Namespace: "default", Name: "web"}}
	}
	var out []sending
	for _, f := range from {
		out = append(out, sending{f, alphabet("http", scope.Host(s), 80)})
	}
	return out
}

// everyOf is the verdict about requests that meet a condition.
func (b *brute) everyOf(sent []sending, e *intent.Expect, owner model.Ref) Verdict {
	w, matches, some := wantedOf(e, owner), lower.Matches(e.Every), false
	for _, s := range sent {
		for _, q := range s.all {
			req := &answer.Request{Method: q.Method, Host: q.Host, Port: q.Port, Target: q.Target(), Headers: q.Fields()}
			if !slices.ContainsFunc(matches, func(m model.Match) bool { return answer.Accepts(&m, req) }) {
				continue
			}
			some = true
			a, _ := b.ask(s.from, q)
			if end := endingOf(a); len(w.unmet(&end)) > 0 {
				return Fails
			}
		}
	}
	if !some {
		return Vacuous
	}
	return Holds
}

// reached is the verdict about who is let in by the rules of the server.
func (b *brute) reached(s *intent.Service, e *intent.Expect) Verdict {
	svc := b.running.mesh.Service(scope.ServiceRef(s))
	known := map[string]model.Ref{"spiffe://cluster.local/ns/x/sa/stranger": {}, "": {}}
	for _, o := range b.running.mesh.Services {
		known[o.SPIFFEID] = o.Ref
	}
	for _, g := range b.running.mesh.Gateways {
		known[g.SPIFFEID] = g.Ref
	}
	only, theirs := refsOf(e.ReachedBy.Only, "default"), false
	for id, ref := range known {
		if id == "" && svc.ModeOn(80) == model.MTLSStrict {
			continue
		}
		for _, q := range alphabet("http", svc.Host, 80) {
			req := &answer.Request{Method: q.Method, Host: q.Host, Port: q.Port, Target: q.Target(), Headers: q.Fields(), Source: netip.MustParseAddr("192.0.2.1")}
			switch in := answer.Authorize("cluster.local", svc, id, req, 80).Allowed; {
			case in && !slices.Contains(only, ref):
				return Fails
			case in:
				theirs = true
			}
		}
	}
	if len(only) > 0 && !theirs {
		return Vacuous
	}
	return Holds
}

func (b *brute) judge(e *intent.Expect, got *Result, want Verdict, owner model.Ref) {
	b.verdicts[got.Verdict]++
	if got.Verdict == Unknown && len(got.Unknown) > 0 && strings.Contains(got.Unknown[0], "rewritten") {
		return
	}
	if got.Verdict != want {
		b.t.Errorf("%s %s: %s, want %s\n%+v", got.Owner, got.Name, got.Verdict, want, got)
		return
	}
	if got.Verdict != Fails || e.ReachedBy != nil {
		return
	}
	if got.shown == nil {
		b.t.Errorf("%s %s fails without a request", got.Owner, got.Name)
		return
	}
	a, _ := b.ask(got.sender, got.shown)
	end := endingOf(a)
	if unmet := wantedOf(e, owner).unmet(&end); !slices.Equal(unmet, got.Unmet) {
		b.t.Errorf("%s %s: the counterexample %s replays as %v, want %v", got.Owner, got.Name, got.shown, unmet, got.Unmet)
	}
}
