package permit_test

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
	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/fix"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/permit"
	"github.com/meshc/meshc/compiler/reach"
	"github.com/meshc/meshc/testdata/genmesh/gen"
)

func TestMain(m *testing.M) {
	load.MaybeRunChild()
	os.Exit(m.Run())
}

var now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

var options = compiler.Options{Now: now, Load: load.Options{InProcess: true}}

// rest is what meshes of these tests have around them.
const rest = `package mesh

import m "meshc.dev/mesh"

mesh:     m.#Config
service:  m.#Services
gateway:  m.#Gateways
external: m.#Externals
`

func tree(mesh string) fstest.MapFS {
	return fstest.MapFS{
		"cue.mod/module.cue": {Data: []byte("module: \"a.example/mesh\"\nlanguage: version: \"v0.17.0\"\n")},
		"root.cue":           {Data: []byte(rest)},
		"mesh.cue":           {Data: []byte("package mesh\n" + mesh)},
	}
}

const web = `
service: web: {
	ports: http: {number: 80, protocol: "http"}
	versions: v1: {}
	USES
}
service: api: {
	ports: http: {number: 80, protocol: "http"}
	versions: v1: {}
	security: {SECURITY}
}
gateway: edge: {
	listeners: http: {port: 8080, protocol: "http", hosts: ["*"]}
	routes: all: to: "api"
	security: {EDGE}
}
`

// TestFind gives the text that appears in the file with the first change, which lets in
// no more than the request's caller, method and path, and what else rules ask for.
func TestFind(t *testing.T) {
	for name, c := range map[string]struct {
		uses, security, edge string
		from, method, path   string
		want                 []string // nil: nothing is found
		lets                 string   // what the change says that it lets in
		claims               []model.Header
	}{
		"a method": {
			"uses: api: {}", `allow: [{from: ["web", "edge"], methods: ["GET"]}]`, "", "web", "POST", "/a",
			[]string{`allow: [{from: ["web"], methods: ["POST"], paths: [{exact: "/a"}]}, {from: ["web", "edge"], methods: ["GET"]}]`}, "default/web: POST /a", nil,
		},
		"a caller": {
			"uses: api: {}", `allow: [{from: ["edge"]}, {from: ["web"], paths: [{prefix: "/x"}]}]`, "", "web", "GET", "/a",
			[]string{`allow: [{from: ["web"], methods: ["GET"], paths: [{exact: "/a"}]}, {from: ["edge"]}`}, "default/web: GET /a", nil,
		},
		"a caller, within networks": {
			"uses: api: {}", `allow: [{from: ["edge"], ips: ["127.0.0.0/8"], notIPs: ["127.9.0.0/16"]}]`, "", "web", "GET", "/a",
			[]string{`allow: [{methods: ["GET"], paths: [{exact: "/a"}], from: ["web"], ips: ["127.0.0.0/8"], notIPs: ["127.9.0.0/16"]}, {from: ["edge"]`},
			"default/web: GET /a", nil,
		},
		"a caller, with a claim": {
			"uses: api: {}", `jwt: corp: {issuer: "https://id.example", required: false, jwks: file: "/keys.json"}, allow: [{from: ["edge"], claims: corp: sub: exact: "joe"}]`, "", "web", "GET", "/a",
			[]string{`allow: [{methods: ["GET"], paths: [{exact: "/a"}], from: ["web"], claims: corp: sub: exact: "joe"}, {from: ["edge"]`}, "default/web: GET /a", []model.Header{{Name: "corp"}, {Name: "corp.sub", Value: "joe"}},
		},
		"a use": {
			"", "", "", "web", "GET", "/a",
			[]string{"service: web: uses: api: {}\n", `service: api: security: allow: [{from: ["edge"]}, {from: ["web"], methods: ["GET"], paths: [{exact: "/a"}]}]`}, "default/web: GET /a", nil,
		},
		"a use beside others": {
			"uses: {bank: {}}", "", "", "web", "GET", "/a", []string{"uses: {api: {}, bank: {}}", `{from: ["web"], methods: ["GET"]`}, "default/web: GET /a", nil,
		},
		"a use and a caller": {
			"", `allow: [{from: ["edge"]}]`, "", "web", "GET", "/a", []string{"uses: api: {}\n", `[{from: ["web"], methods: ["GET"], paths: [{exact: "/a"}]}, {from: ["edge"]}`}, "default/web: GET /a", nil,
		},
		"a deny rule": {
			"uses: api: {}", `deny: [{methods: ["POST"]}]`, "", "web", "POST", "/a",
			[]string{`deny: [{notFrom: ["web"], methods: ["POST"]}, {notPaths: [{exact: "/a"}], methods: ["POST"]}]`}, "default/web: POST /a", nil,
		},
		"a deny rule of one request": {
			"uses: api: {}", `deny: [{methods: ["PUT"]}, {from: ["web"], methods: ["POST"], paths: [{exact: "/a"}]}]`, "", "web", "POST", "/a",
			[]string{`deny: [{methods: ["PUT"]}]`}, "default/web: POST /a", nil,
		},
		"a deny rule with exceptions": {
			"uses: api: {}", `deny: [{from: ["web"], notMethods: ["GET"], notFrom: ["edge"]}]`, "", "web", "POST", "/a",
			[]string{`deny: [{from: ["web"], notMethods: ["GET", "POST"], notFrom: ["edge"]}, {notPaths: [{exact: "/a"}], from: ["web"], notMethods: ["GET"], notFrom: ["edge"]}]`}, // no copy without "web": it would hold for nobody
			"default/web: POST /a", nil,
		},
		"a deny rule for networks": {
			"uses: api: {}", `deny: [{ips: ["127.0.0.0/8"]}]`, "", "web", "POST", "/a",
			[]string{`{notFrom: ["web"], ips: ["127.0.0.0/8"]}, {notMethods: ["POST"], ips: ["127.0.0.0/8"]}, {notPaths: [{exact: "/a"}], ips: ["127.0.0.0/8"]}`}, "default/web: POST /a", nil,
		},
		"two deny rules": {
			"uses: api: {}", `deny: [{methods: ["POST"]}, {paths: [{prefix: "/a"}]}]`, "", "web", "POST", "/a",
			[]string{`{notFrom: ["web"], methods: ["POST"]}`, `{notMethods: ["POST"], paths: [{prefix: "/a"}]}`}, "default/web: POST /a", nil,
		},
		"a token": {
			"uses: api: {}", `jwt: corp: {issuer: "https://id.example", required: true, jwks: file: "/keys.json"}`, "", "web", "GET", "/a",
			[]string{`security: public: [{methods: ["GET"], paths: [{exact: "/a"}]}]`}, "default/web: GET /a; default/edge: GET /a", nil, // tokens are not asked of anybody then
		},
		"a rule of the gateway": {
			"", "", `allow: [{paths: [{exact: "/b"}]}]`, "edge", "GET", "/a",
			[]string{`allow: [{hosts: ["a.example"], methods: ["GET"], paths: [{exact: "/a"}]}, {paths: [{exact: "/b"}]}]`}, "default/edge: GET /a of a.example", nil,
		},
		"a deny rule of the gateway": {
			"", "", `deny: [{paths: [{prefix: "/"}]}]`, "edge", "GET", "/a",
			[]string{`deny: [{notMethods: ["GET"], paths: [{prefix: "/"}]}, {notPaths: [{exact: "/a"}], paths: [{prefix: "/"}]}]`}, "default/edge: GET /a", nil,
		},
		"nobody is let in on purpose": {
			"uses: api: {}", "allow: []", "", "web", "GET", "/a", nil, "", nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.NewReplacer("USES", c.uses, "SECURITY", c.security, "EDGE", c.edge).Replace(web)
			text += "external: bank: {host: \"bank.example\", ports: http: {number: 80, protocol: \"http\"}}\n"
			host := map[string]string{"web": "api.default.svc.cluster.local", "edge": "a.example"}[c.from]
			q := permit.Question{From: model.Ref{Namespace: "default", Name: c.from}, Now: now, Request: answer.Request{
				Claims: c.claims, Method: c.method, Host: host, Source: netip.MustParseAddr("127.0.0.1"), Port: map[string]uint16{"web": 80, "edge": 8080}[c.from], Target: c.path,
			}}
			got, err := permit.Find(t.Context(), tree(text), options, q)
			if err != nil {
				t.Fatal(err)
			}
			if c.want == nil {
				if len(got) > 0 {
					t.Errorf("%v\n%s", got[0].Steps, got[0].Files[0].After)
				}
				return
			}
			if len(got) == 0 {
				t.Fatal("nothing is found")
			}
			for _, want := range c.want {
				if !strings.Contains(string(got[0].Files[0].After), want) {
					t.Errorf("%v: no %s in\n%s", got[0].Steps, want, got[0].Files[0].After)
				}
			}
			if lets := letsIn(got[0].Access); lets != c.lets {
				t.Errorf("%v: it lets in %s, and was to let in %s", got[0].Steps, lets, c.lets)
			}
			leastIsFirst(t, compiled(t, tree(text)), q, tree(text), got)
		})
	}
}

// letsIn says in short who is let in newly, with an example of each.
func letsIn(list []*behave.Access) string {
	var out []string
	for _, a := range list {
		for i := range a.Entries {
			e := &a.Entries[i]
			if e.Way != behave.ByCaller && e.Way != behave.ByGateway {
				continue
			}
			who := fmt.Sprintf("%v: %s %s", e.Who[0], e.Witness.Method, e.Witness.Path)
			if e.Way == behave.ByGateway && strings.Contains(e.Words[0], "host") {
				who += " of " + e.Witness.Host
			}
			if !e.Gained() || len(e.Who) != 1 || len(e.Words) != 1 || e.More > 0 || !strings.Contains(e.Words[0], e.Witness.Path) || !strings.Contains(e.Words[0], e.Witness.Method) {
				who += fmt.Sprintf(" and more (%v, %v)", e.Who, e.Words)
			}
			out = append(out, who)
		}
	}
	return strings.Join(out, "; ")
}

// leastIsFirst: each change lets the request in; none of them lets in only a part of
// what the first does; and whatever a client gets through now and did not, as package
// answer has it, is named by the change.
func leastIsFirst(t *testing.T, before *model.Mesh, q permit.Question, fsys fstest.MapFS, changes []permit.Change) {
	t.Helper()
	var meshes []*model.Mesh
	for i, c := range changes {
		after := compiled(t, with(t, fsys, c.Files))
		meshes = append(meshes, after)
		req := q.Request
		if got, ok := answer.Ask(after, q.From, &req, now); !ok || !got.Outcome.Good() {
			t.Errorf("%v: %v does not let in %+v", c.Steps, got, q)
		}
		if c.Access == nil || len(c.Access[0].Entries) == 0 && len(c.Access[0].Unknown) == 0 {
			t.Errorf("%v changes nothing", c.Steps)
		}
		namedOrNot(t, before, after, q, &c)
		gained, lost := differ(meshes[0], after)
		if i > 0 && lost && !gained {
			t.Errorf("%v lets in a part of what %v does, which comes first", c.Steps, changes[0].Steps)
		}
		if c.Wider && (!gained || lost) {
			t.Errorf("%v is not all that %v is, and more", c.Steps, changes[0].Steps)
		}
	}
}

// differ says whether somebody reaches any service with more, or with less, requests.
func differ(a, b *model.Mesh) (gained, lost bool) {
	for _, s := range b.Services {
		access := behave.CompareAccess(a, b, s.Ref)
		if len(access.Unknown) > 0 {
			return true, true
		}
		for i := range access.Entries {
			gained, lost = gained || !access.Entries[i].Lost(), lost || !access.Entries[i].Gained()
		}
	}
	return gained, lost
}

// namedOrNot sends requests of all callers to all services to the mesh before and
// after a change: who is let in newly has an entry that takes it.
func namedOrNot(t *testing.T, before, after *model.Mesh, q permit.Question, c *permit.Change) {
	t.Helper()
	for _, a := range c.Access {
		if len(a.Unknown) > 0 {
			return
		}
	}
	for _, caller := range after.Services {
		for _, s := range after.Services {
			for _, method := range []string{q.Request.Method, "GET", "OPTIONS"} {
				for _, path := range []string{q.Request.Target, q.Request.Target + "x", "/"} {
					if len(s.Ports) == 0 {
						continue
					}
					req := answer.Request{Method: method, Host: s.Host, Port: s.Ports[0].Number, Target: path, Source: q.Request.Source, Claims: q.Request.Claims}
					was, is := req, req
					old, ok := answer.Ask(before, caller.Ref, &was, now)
					got, ok2 := answer.Ask(after, caller.Ref, &is, now)
					if !ok || !ok2 || old.Outcome == answer.Allowed || got.Outcome != answer.Allowed {
						continue
					}
					if !named(c, caller.Ref, s, &reach.Request{
						Scheme: "http", Host: s.Host, Port: req.Port, Method: method, Path: path, Address: q.Request.Source.String(), Claims: q.Request.Claims,
					}) {
						t.Errorf("%v: %s to %s %s %s is let in, and nothing says so", c.Steps, caller.Ref, s.Ref, method, path)
					}
				}
			}
		}
	}
}

func named(c *permit.Change, caller model.Ref, s *model.Service, q *reach.Request) bool {
	for _, a := range c.Access {
		for i := range a.Entries {
			e := &a.Entries[i]
			if takes, ok := e.Takes(q); a.Ref == s.Ref && e.Gained() && e.Way == behave.ByCaller && slices.Contains(e.Who, caller) && ok && takes {
				return true
			}
		}
	}
	return false
}

// TestChangesLetIn: on generated meshes, with the files of a change the request
// is let in, and was not before. What changes about who reaches the service is
// known, and holds that.
func TestChangesLetIn(t *testing.T) {
	seeds := uint64(4)
	if os.Getenv("MESHC_SOAK") != "" {
		seeds = 100
	}
	refused, found := 0, 0
	for seed := range seeds {
		fsys := gen.Mesh(seed).FS().(fstest.MapFS)
		before := compiled(t, fsys)
		rng := rand.New(rand.NewPCG(seed, 5))
		for range 6 {
			q, ok := draw(rng, before)
			if !ok {
				continue
			}
			refused++
			changes, err := permit.Find(t.Context(), fsys, options, q)
			if err != nil {
				t.Fatal(err)
			}
			if len(changes) > 0 {
				found++
			}
			leastIsFirst(t, before, q, fsys, changes)
		}
	}
	t.Logf("%d requests that are refused, for %d of which a change is found", refused, found)
	if found*2 < refused {
		t.Error("too few are found")
	}
}

// draw is a request that is denied or not declared.
func draw(rng *rand.Rand, m *model.Mesh) (permit.Question, bool) {
	for range 50 {
		from, to := m.Services[rng.IntN(len(m.Services))], m.Services[rng.IntN(len(m.Services))]
		if from == to || len(to.Ports) == 0 {
			continue
		}
		q := permit.Question{From: from.Ref, Now: now, Request: answer.Request{
			Method: []string{"GET", "POST", "DELETE"}[rng.IntN(3)], Host: to.Host, Port: to.Ports[0].Number, Target: []string{"/", "/a", "/api/b"}[rng.IntN(3)],
			Source: netip.MustParseAddr([]string{"127.0.0.1", "10.0.0.1", "10.1.2.3"}[rng.IntN(3)]),
		}}
		req := q.Request
		got, ok := answer.Ask(m, q.From, &req, now)
		if ok && slices.Contains([]answer.Outcome{answer.Denied, answer.NotDeclared}, got.Outcome) {
			return q, true
		}
	}
	return permit.Question{}, false
}

func compiled(t *testing.T, fsys fstest.MapFS) *model.Mesh {
	t.Helper()
	res, err := compiler.Compile(t.Context(), fsys, options)
	if err != nil || res.Model == nil {
		t.Fatalf("%v %v", err, res)
	}
	return res.Model
}

func with(t *testing.T, fsys fstest.MapFS, files []fix.Change) fstest.MapFS {
	t.Helper()
	out := fstest.MapFS{}
	for name, f := range fsys {
		out[name] = f
	}
	for _, c := range files {
		out[c.File] = &fstest.MapFile{Data: c.After}
	}
	return out
}

// TestBookinfo is the story of the example: productpage wants to show ratings by
// itself.
func TestBookinfo(t *testing.T) {
	q := permit.Question{From: model.Ref{Namespace: "default", Name: "productpage"}, Now: now, Request: answer.Request{
		Method: "GET", Host: "ratings.default.svc.cluster.local", Port: 9080, Target: "/ratings/1",
	}}
	got, err := permit.Find(t.Context(), os.DirFS("../../examples/bookinfo/mesh"), options, q)
	if err != nil || len(got) == 0 {
		t.Fatalf("%v %v", got, err)
	}
	want := []string{"declare that default/productpage uses default/ratings", "add an allow rule for it to default/ratings"}
	for i, step := range got[0].Steps {
		if len(got[0].Steps) != len(want) || !strings.HasPrefix(step, want[i]+" at shop/") {
			t.Errorf("%q", got[0].Steps)
		}
	}
	if lets := letsIn(got[0].Access); len(got[0].Access) != 1 || lets != "default/productpage: GET /ratings/1" {
		t.Errorf("%s", lets)
	}
	if len(got) < 2 || !got[1].Wider {
		t.Errorf("%+v", got)
	}
}
