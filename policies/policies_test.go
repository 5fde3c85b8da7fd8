package policies_test

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/policies"
)

func TestMain(m *testing.M) {
	load.MaybeRunChild()
	os.Exit(m.Run())
}

var now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

const root = `package mesh

import m "meshc.dev/mesh"

mesh:     m.#Config
service:  m.#Services
gateway:  m.#Gateways
external: m.#Externals
`

// shop keeps to all policies of the tests.
const shop = `
service: web: {owner: "team-web", ports: http: {number: 80, protocol: "http"}, versions: v1: {}, uses: api: {}}
service: batch: {owner: "team-batch", versions: v1: {}}
service: api: {
	owner: "team-api"
	ports: http: {number: 80, protocol: "http"}
	versions: {v1: {}, v2: {}}
	routes: {
		beta: {match: [{path: regex: "/beta/[a-c]+"}], to: v2: 100}
		all: {match: [{path: prefix: "/"}], to: {v1: 90, v2: 10}}
	}
	security: {
		allow: [{from: ["web"]}]
		deny: [{paths: [{regex: "/admin/.*"}]}, {methods: ["DELETE"]}]
	}
}
external: cards: {host: "cards.example.com", ports: https: {number: 443, protocol: "http"}}
gateway: edge: {listeners: web: {port: 80, protocol: "http"}, routes: api: to: "web"}
`

// compile gives a tree of the shop with edits, each a text and what stands in
// its place; "" stands for the end.
func compile(t testing.TB, edits ...string) *policies.Tree {
	t.Helper()
	text := shop
	for i := 0; i < len(edits); i += 2 {
		if edits[i] == "" {
			text += edits[i+1] + "\n"
			continue
		}
		if !strings.Contains(text, edits[i]) {
			t.Fatalf("the shop does not say %q", edits[i])
		}
		text = strings.Replace(text, edits[i], edits[i+1], 1)
	}
	fsys := fstest.MapFS{
		"cue.mod/module.cue": {Data: []byte("module: \"mesh.example\"\nlanguage: version: \"v0.17.0\"\n")},
		"mesh.cue":           {Data: []byte(root)},
		"a.cue":              {Data: []byte("package mesh\n" + text)},
	}
	res, err := compiler.Compile(t.Context(), fsys, compiler.Options{Now: now, Load: load.Options{InProcess: true}})
	if err != nil || res.Model == nil {
		t.Fatalf("%v %v\n%s", err, res.Diags, text)
	}
	return &policies.Tree{Intent: res.Intent, Model: res.Model}
}

func codes(all diag.List) string {
	var out []string
	for _, d := range all {
		out = append(out, string(d.Code))
	}
	return strings.Join(out, " ")
}

type way struct {
	name  string
	edits []string
	want  string // codes
}

func TestMeshes(t *testing.T) {
	for _, kind := range []struct {
		policy string
		ways   []way
	}{
		{`owned: {}`, []way{
			{"all are", nil, ""},
			{"taken away", []string{`owner: "team-api"`, ""}, "MSH2175"},
			{"of spaces", []string{`owner: "team-api"`, `owner: " "`}, "MSH2175"},
			{"a new service", []string{"", `service: new: versions: v1: {}`}, "MSH2175"},
		}},
		{`egress: {hosts: ["*.example.com"], networks: ["10.1.0.0/16"]}`, []way{
			{"within", nil, ""},
			{"an endpoint within", []string{`{host: "cards`, `{endpoints: ["10.1.2.3:443"], host: "cards`}, ""},
			{"another host", []string{"cards.example.com", "cards.example.net"}, "MSH2176"},
			{"the name above", []string{"cards.example.com", "example.com"}, "MSH2176"},
			{"a name that ends alike", []string{"cards.example.com", "cards.anexample.com"}, "MSH2176"},
			{"an endpoint elsewhere", []string{`{host: "cards`, `{endpoints: ["10.2.2.3:443"], host: "cards`}, "MSH2176"},
		}},
		{`retries: max: 4`, []way{
			{"none", nil, ""},
			{"as many as may be", []string{`{v1: 90, v2: 10}`, `{v1: 90, v2: 10}, retries: {attempts: 3, on: ["5xx"]}`}, ""},
			{"one more", []string{`{v1: 90, v2: 10}`, `{v1: 90, v2: 10}, retries: {attempts: 4, on: ["5xx"]}`}, "MSH2177"},
			{"on another route", []string{`to: v2: 100`, `to: v2: 100, retries: {attempts: 4, on: ["5xx"]}`}, "MSH2177"},
			{"by two hops", []string{`{v1: 90, v2: 10}`, `{v1: 90, v2: 10}, retries: {attempts: 3, on: ["5xx"]}`,
				`versions: v1: {}, uses: api: {}`, `versions: v1: {}, uses: api: {}, routes: all: {to: v1: 100, retries: {attempts: 1, on: ["5xx"]}}`}, "MSH2177"},
		}},
		{`faults: windows: lab: {from: "2025-12-31T00:00:00Z", until: "2026-01-02T00:00:00Z"}`, []way{
			{"none", nil, ""},
			{"within", []string{"", fault("2026-01-02T00:00:00Z")}, ""},
			{"longer", []string{"", fault("2026-01-02T00:00:01Z")}, "MSH2178"},
			{"for one caller only, longer", []string{"", strings.Replace(fault("2026-01-03T00:00:00Z"), "abort:", `from: ["web"], abort:`, 1)}, "MSH2178"},
		}},
		{`faults: windows: past: {from: "2025-12-01T00:00:00Z", until: "2025-12-02T00:00:00Z"}`, []way{
			{"after the window", []string{"", fault("2026-01-02T00:00:00Z")}, "MSH2178"},
		}},
		{`faults: windows: soon: {from: "2026-01-02T00:00:00Z", until: "2026-01-04T00:00:00Z"}`, []way{
			{"before the window", []string{"", fault("2026-01-03T00:00:00Z")}, "MSH2178"},
		}},
	} {
		for _, w := range kind.ways {
			t.Run(kind.policy+"/"+w.name, func(t *testing.T) {
				tree := compile(t, append([]string{"", "mesh: policies: it: {" + kind.policy + "}"}, w.edits...)...)
				got, err := policies.Mesh(tree.Intent, tree.Model, now)
				if err != nil || codes(got) != w.want {
					t.Errorf("%v %v; want %q", err, got, w.want)
				}
			})
		}
	}
}

func fault(until string) string {
	return `service: api: faults: broken: {on: "all", abort: {status: 503, percent: 1}, until: "` + until + `"}`
}

func TestChanges(t *testing.T) {
	for _, kind := range []struct {
		policy string
		ways   []way
	}{
		{`canary: maxStep: 10`, []way{
			{"nothing", nil, ""},
			{"as far as may be", []string{`{v1: 90, v2: 10}`, `{v1: 80, v2: 20}`}, ""},
			{"by weights", []string{`{v1: 90, v2: 10}`, `{v1: 79.99, v2: 20.01}`}, "MSH2179"},
			{"by a route before", []string{`all: {match`, `some: {match: [{path: prefix: "/x"}], to: {v1: 50, v2: 50}}, all: {match`}, "MSH2179"},
			{"by a wider expression", []string{`/beta/[a-c]+`, `/beta/[a-d]+`}, "MSH2179"},
			{"by a route that is taken away", []string{`beta: {match: [{path: regex: "/beta/[a-c]+"}], to: v2: 100}`, ``}, "MSH2179"},
			{"another timeout", []string{`{v1: 90, v2: 10}`, `{v1: 90, v2: 10}, timeout: "7s"`}, ""},
		}},
		{`mtls: {}`, []way{
			{"nothing", nil, ""},
			{"of a service", []string{`security: {`, `security: {mtls: "permissive",`}, "MSH2180"},
			{"of a port", []string{`security: {`, `security: {ports: http: mtls: "permissive",`}, "MSH2180"},
			{"of the mesh", []string{"", `mesh: mtls: "permissive"`}, "MSH2180 MSH2180"},
			{"with its proxy", []string{"", `service: web: workload: inject: false`}, "MSH2180"},
			{"for a while", []string{`security: {`, `security: {migration: {to: "strict", until: "2026-03-01T00:00:00Z"},`}, "MSH2180"},
			{"of a new port", []string{`security: {`, `ports: more: {number: 81, protocol: "http"}, security: {ports: more: mtls: "permissive",`}, "MSH2180"},
		}},
		{`access: {}`, []way{
			{"nothing", nil, ""},
			{"less", []string{`deny: [`, `deny: [{methods: ["PUT"]}, `}, ""},
			{"a denial less", []string{`, {methods: ["DELETE"]}`, ``}, "MSH2181"},
			{"a narrower denial", []string{`/admin/.*`, `/admin/.+`}, "MSH2181"},
			{"one more caller", []string{`from: ["web"]`, `from: ["web", "batch"]`}, "MSH2181"},
			{"everybody", []string{`from: ["web"]`, `from: ["*"]`}, "MSH2181"},
			{"a new port", []string{`security: {`, `ports: more: {number: 81, protocol: "http"}, security: {`}, "MSH2181"},
			{"a new service", []string{"", `service: new: {ports: http: {number: 80, protocol: "http"}, versions: v1: {}}`}, ""},
		}},
		{`freeze: windows: peak: {from: "2025-12-20T00:00:00Z", until: "2026-01-02T00:00:00Z"}`, []way{
			{"nothing", nil, ""},
			{"written otherwise", []string{`[{paths: [{regex: "/admin/.*"}]}, {methods: ["DELETE"]}]`, `[{methods: ["DELETE"]}, {paths: [{prefix: "/admin/"}]}]`}, ""},
			{"weights", []string{`{v1: 90, v2: 10}`, `{v1: 89, v2: 11}`}, "MSH2182"},
			{"rules", []string{`methods: ["DELETE"]`, `methods: ["PUT"]`}, "MSH2182"},
			{"an external", []string{`cards.example.com`, `pay.example.com`}, "MSH2182"},
		}},
		{`freeze: windows: past: {from: "2025-12-20T00:00:00Z", until: "2026-01-01T00:00:00Z"}`, []way{
			{"after the window", []string{`{v1: 90, v2: 10}`, `{v1: 89, v2: 11}`}, ""},
		}},
	} {
		for _, w := range kind.ways {
			t.Run(kind.policy+"/"+w.name, func(t *testing.T) {
				rule := []string{"", "mesh: policies: it: {" + kind.policy + "}"}
				before, after := compile(t, rule...), compile(t, append(rule, w.edits...)...)
				hold(t, before, after, w.want)
				hold(t, before, compile(t, w.edits...), w.want) // the policy is taken away with it
			})
		}
	}
}

// hold compares the codes of a change, each once.
func hold(t *testing.T, before, after *policies.Tree, want string) diag.List {
	t.Helper()
	got, err := policies.Compare(before, after, behave.Meshes(before.Model, after.Model), now).Policies()
	if err != nil {
		t.Fatal(err)
	}
	if compact(codes(got)) != compact(want) {
		t.Errorf("got %v; want %q", got, want)
	}
	return got
}

func compact(codes string) string {
	all := map[string]bool{}
	var out []string
	for _, c := range strings.Fields(codes) {
		if !all[c] {
			out = append(out, c)
		}
		all[c] = true
	}
	return strings.Join(out, " ")
}

func TestRoutesThatLetIn(t *testing.T) {
	rule := []string{"", "mesh: policies: it: access: {}", `from: ["web"]`, `from: ["web", "edge"]`}
	const shut, some = `shut: {match: [{headers: x: present: true}], respond: status: 403}`, `some: {match: [{path: prefix: "/some"}], to: v1: 100}`
	in := func(rules ...string) *policies.Tree {
		return compile(t, append(rule, "routes: {", "routes: {\n"+strings.Join(rules, "\n"))...)
	}
	t.Run("by their order", func(t *testing.T) {
		hold(t, in(shut, some), in(some, shut), "MSH2181")
	})
	t.Run("by a condition", func(t *testing.T) {
		hold(t, in(shut), in(strings.Replace(shut, "present: true", `regex: "[a-z]*"`, 1)), "MSH2181")
	})
	t.Run("which shut out", func(t *testing.T) {
		hold(t, in(some), in(shut, some), "")
	})
	t.Run("of a gateway", func(t *testing.T) {
		got := hold(t, in(), compile(t, append(rule, `routes: api: to: "web"`, `routes: {api: {to: "web", match: [{path: prefix: "/"}], after: ["more"]}, more: {to: "api", match: [{path: prefix: "/api/"}]}}`)...), "MSH2181")
		if len(got) == 0 || !strings.Contains(got[0].Message, "clients of gateway default/edge") {
			t.Errorf("%v", got)
		}
	})
}

// Without the http port of what it calls, a service of grpc has no proxy, which
// is written nowhere near it.
func TestProxiesThatGoLetIn(t *testing.T) {
	calls := func(protocol string) *policies.Tree {
		return compile(t, "", "mesh: policies: it: access: {}",
			"", `service: quotes: {ports: p: {number: 90, protocol: "`+protocol+`"}, versions: v1: {}}
service: rpc: {ports: p: {number: 91, protocol: "grpc"}, versions: v1: {}, uses: quotes: {}}
service: web: uses: rpc: {}`)
	}
	var about []string
	for _, d := range hold(t, calls("http"), calls("grpc"), "MSH2183") {
		about = append(about, d.Message)
	}
	if all := strings.Join(about, "\n"); !strings.Contains(all, "service default/rpc") {
		t.Errorf("nothing is said of the service:\n%s", all)
	}
}

const approve = `exemptions: batch: {service: "api", reason: "nightly export", owner: "OWNER", until: "UNTIL"}`

func TestApprovals(t *testing.T) {
	widen := []string{`from: ["web"]`, `from: ["web", "batch"]`}
	rule := []string{"", "mesh: policies: it: access: {}"}
	before := compile(t, rule...)
	for _, c := range []struct {
		name, owner, until, want, says string
		widen                          bool
	}{
		{"by the owner", "team-api", "2026-02-01T00:00:00Z", "", "", true},
		{"by another", "team-batch", "2026-02-01T00:00:00Z", "MSH2181", `the owner of default/api is "team-api" in BASE`, true},
		{"too late", "team-api", "2026-01-01T00:00:00Z", "MSH2181", "", true},
		{"for nothing", "team-api", "2026-02-01T00:00:00Z", "MSH2184", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			edits := append([]string{"", "mesh: policies: it: " + strings.NewReplacer("OWNER", c.owner, "UNTIL", c.until).Replace(approve)}, rule...)
			if c.widen {
				edits = append(edits, widen...)
			}
			got := hold(t, before, compile(t, edits...), c.want)
			if c.says != "" && !strings.Contains(got[0].Help, c.says) {
				t.Errorf("help is %q", got[0].Help)
			}
		})
	}
	t.Run("by an owner who makes himself one", func(t *testing.T) {
		edits := append([]string{"", "mesh: policies: it: " + strings.NewReplacer("OWNER", "team-batch", "UNTIL", "2026-02-01T00:00:00Z").Replace(approve)}, rule...)
		hold(t, before, compile(t, append(append(edits, widen...), `owner: "team-api"`, `owner: "team-batch"`)...), "MSH2181")
	})
}

func TestExemptionsOfMeshes(t *testing.T) {
	exempt := func(until string) string {
		return `mesh: policies: it: {owned: {}, severity: "warning", exemptions: old: {service: "batch", reason: "r", owner: "o", until: "` + until + `"}}`
	}
	for _, c := range []struct {
		name  string
		edits []string
		want  string
	}{
		{"it counts", []string{`owner: "team-batch", `, "", "", exempt("2027-01-01T00:00:00Z")}, ""},
		{"it has ended", []string{`owner: "team-batch", `, "", "", exempt("2025-01-01T00:00:00Z")}, "MSH2185 MSH2175"},
		{"nothing needs it", []string{"", exempt("2027-01-01T00:00:00Z")}, "MSH2184"},
		{"it is for another", []string{`owner: "team-api"`, "", `owner: "team-batch", `, "", "", exempt("2027-01-01T00:00:00Z")}, "MSH2175"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree := compile(t, c.edits...)
			got, err := policies.Mesh(tree.Intent, tree.Model, now)
			if err != nil || codes(got) != c.want {
				t.Errorf("%v %v; want %q", err, got, c.want)
			}
			if got.HasErrors() {
				t.Errorf("the policy is a warning: %v", got)
			}
		})
	}
}

func TestALooserPolicyCountsFromTheNextChangeOn(t *testing.T) {
	strict, loose := []string{"", "mesh: policies: it: canary: maxStep: 10"}, []string{"", "mesh: policies: it: canary: maxStep: 100"}
	step := []string{`{v1: 90, v2: 10}`, `{v1: 50, v2: 50}`}
	got := hold(t, compile(t, strict...), compile(t, append(loose, step...)...), "MSH2179")
	if !strings.Contains(got[0].Message, "of BASE") {
		t.Errorf("it does not say whose policy it is: %s", got[0].Message)
	}
	hold(t, compile(t, strict...), compile(t, loose...), "")
	hold(t, compile(t, loose...), compile(t, append(loose, step...)...), "")
}

func TestWhatIsNotKnownIsAViolation(t *testing.T) {
	for _, policy := range []string{
		"canary: maxStep: 10", "mtls: {}", "access: {}", `freeze: windows: peak: {from: "2025-12-20T00:00:00Z", until: "2026-01-02T00:00:00Z"}`,
	} {
		t.Run(policy, func(t *testing.T) {
			rule := []string{"", "mesh: policies: it: {" + policy + "}"}
			before, after := compile(t, rule...), compile(t, rule...)
			after.Model.Raw = []model.Raw{{Name: "r", Kind: model.RawCluster, Target: "outbound|80|v1|api.default.svc.cluster.local", Patch: "{}"}}
			hold(t, before, after, "MSH2183")
		})
	}
}
