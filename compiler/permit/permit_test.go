package permit_test

import (
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/answer"
	"github.com/meshc/meshc/compiler/fix"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/permit"
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

// TestFind gives the text that appears in the file with the smallest change.
func TestFind(t *testing.T) {
	for name, c := range map[string]struct {
		uses, security, edge string
		from, method, path   string
		want                 []string // "": nothing is found
	}{
		"a method": {
			"uses: api: {}", `allow: [{from: ["web", "edge"], methods: ["GET"]}]`, "", "web", "POST", "/a",
			[]string{`methods: ["GET", "POST"]}]`},
		},
		"a caller": {
			"uses: api: {}", `allow: [{from: ["edge"]}, {from: ["web"], paths: [{prefix: "/x"}]}]`, "", "web", "GET", "/a",
			[]string{`from: ["edge", "web"]}`},
		},
		"a use": {
			"", "", "", "web", "GET", "/a", []string{"service: web: uses: api: {}\n"},
		},
		"a use beside others": {
			"uses: {bank: {}}", "", "", "web", "GET", "/a", []string{"uses: {api: {}, bank: {}}"},
		},
		"a use and a caller": {
			"", `allow: [{from: ["edge"]}]`, "", "web", "GET", "/a", []string{"uses: api: {}\n", `from: ["edge", "web"]`},
		},
		"a deny rule": {
			"uses: api: {}", `deny: [{methods: ["POST"]}]`, "", "web", "POST", "/a", []string{`deny: [{notFrom: ["web"], methods: ["POST"]}]`},
		},
		"a deny rule with exceptions": {
			"uses: api: {}", `deny: [{from: ["web"], notMethods: ["GET"], notFrom: ["edge"]}]`, "", "web", "POST", "/a",
			[]string{`notMethods: ["GET", "POST"]`}, // it would hold for nobody without "web"
		},
		"two deny rules": {
			"uses: api: {}", `deny: [{methods: ["POST"]}, {paths: [{prefix: "/a"}]}]`, "", "web", "POST", "/a",
			[]string{`{notFrom: ["web"], methods: ["POST"]}`, `{notFrom: ["web"], paths`},
		},
		"a rule of the gateway": {
			"", "", `allow: [{paths: [{exact: "/b"}]}]`, "edge", "GET", "/a", []string{`paths: [{exact: "/b"}, {exact: "/a"}]`},
		},
		"nobody is let in on purpose": {
			"uses: api: {}", "allow: []", "", "web", "GET", "/a", nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.NewReplacer("USES", c.uses, "SECURITY", c.security, "EDGE", c.edge).Replace(web)
			text += "external: bank: {host: \"bank.example\", ports: http: {number: 80, protocol: \"http\"}}\n"
			host := map[string]string{"web": "api.default.svc.cluster.local", "edge": "a.example"}[c.from]
			q := permit.Question{From: model.Ref{Namespace: "default", Name: c.from}, Now: now, Request: answer.Request{
				Method: c.method, Host: host, Port: map[string]uint16{"web": 80, "edge": 8080}[c.from], Target: c.path,
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
		})
	}
}

// TestChangesLetIn: on generated meshes, with the files of a change the request
// is let in, and was not before. What changes about who reaches the service is
// known, and holds that.
func TestChangesLetIn(t *testing.T) {
	seeds := uint64(6)
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
			for _, c := range changes {
				after := compiled(t, with(t, fsys, c.Files))
				if got, ok := answer.Ask(after, q.From, &q.Request, now); !ok || !got.Outcome.Good() {
					t.Errorf("seed %d: %v: %v does not let in %+v", seed, c.Steps, got, q)
				}
				if c.Access == nil || len(c.Access.Entries) == 0 && len(c.Access.Unknown) == 0 {
					t.Errorf("seed %d: %v changes nothing", seed, c.Steps)
				}
			}
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
	want := []string{"declare that default/productpage uses default/ratings", "add \"productpage\" to `from` of the allow rule of default/ratings"}
	for i, step := range got[0].Steps {
		if len(got[0].Steps) != len(want) || !strings.HasPrefix(step, want[i]+" at shop/") {
			t.Errorf("%q", got[0].Steps)
		}
	}
	gained := got[0].Access.Entries
	if len(gained) != 1 || !gained[0].Gained() || !slices.Equal(gained[0].Who, []model.Ref{q.From}) || !slices.Equal(gained[0].Words, []string{`method GET`}) {
		t.Errorf("%+v", gained)
	}
}
