package load

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/schema"
)

// full uses every field of the language, over several layers.
var full = []string{
	"mesh.cue", rootCUE + `
mesh: {name: "shop", trustDomain: "shop.example", mtls: "permissive"}
service: [string]: security: mtls: "strict"
`,
	"prod/layer.cue", "package mesh\n\n#Team: {owner: \"team-a\", ...}\nservice: [string]: {owner: _ , serviceAccount: *\"shared\" | string}\n",
	"prod/shop/reviews.cue", `package mesh

namespace: "shop"

service: reviews: #Team & {
	host: "reviews.shop"
	ports: {
		http: {number: 9080, protocol: "http"}
		admin: {number: 9000 + 1, protocol: "grpc"}
	}
	versions: {v2: {}, v1: labels: {build: "7", app: "r"}}
	uses: {"other/ratings": {}, details: {}}
	routes: {
		zeta: {
			port: "http"
			match: [
				{path: segmentPrefix: "/a", method: ["GET", "HEAD"]},
				{headers: {"end-user": exact: "jason", "x-b": {present: false, not: true}}, method: "POST"},
				{query: q: regex: "a+", cookies: c: suffix: "z"},
			]
			to: {v2: 99.5, v1: 0.50}
			timeout: "3s"
			retries: {attempts: 2, on: ["503"], perTry: "1s", methods: ["GET"]}
			requestHeaders: {set: {b: "1", a: "2"}, remove: ["c"]}
			responseHeaders: add: d: "3"
			before: ["alpha"]
		}
		alpha: {to: v1: 100, after: ["zeta"]}
	}
	faults: slow: {on: "zeta", delay: {fixed: "7s", percent: 0.25}, abort: {status: 503, percent: 1e1}, until: "2099-01-01T00:00:00Z"}
	security: allow: [{from: ["web", "*"], methods: ["GET"], paths: [{prefix: "/x"}]}]
}
`,
	"prod/shop/edge.yaml", `gateway:
  edge:
    namespace: edge
    listeners:
      web: {port: 80, protocol: http, hosts: ["*.shop.example"]}
    routes:
      home:
        listener: web
        hosts: [www.shop.example]
        match: [{path: {exact: /}}]
        to: shop/reviews
        port: http
`,
	"prod/shop/partner.json", `{"external": {"partner": {"host": "api.partner.example", "ports": {"tls": {"number": 443, "protocol": "tcp"}}, "endpoints": ["192.0.2.1:443"], "timeout": "2s"}}}`,
}

// withoutPlaces ignores ranges.
var withoutPlaces = cmp.Options{cmpopts.IgnoreTypes(diag.Range{}, []intent.Feature{}), cmpopts.EquateEmpty()}

func text(s string) intent.Value[string]   { return intent.Value[string]{V: s} }
func texty(s string) *intent.Value[string] { v := text(s); return &v }
func number(n int) intent.Value[int]       { return intent.Value[int]{V: n} }

func list(all ...string) []intent.Value[string] {
	var out []intent.Value[string]
	for _, s := range all {
		out = append(out, text(s))
	}
	return out
}

func pair(k, v string) *intent.KV { return &intent.KV{Key: text(k), Value: text(v)} }

func named(name, kind, value string) *intent.NamedMatch {
	return &intent.NamedMatch{Name: text(name), Kind: text(kind), Value: text(value)}
}

func wantReviews() *intent.Service {
	absent := named("x-b", "present", "false")
	absent.Not = &intent.Value[bool]{V: true}
	return &intent.Service{
		Name: text("reviews"), Home: "prod/shop", Namespace: texty("shop"), Owner: texty("team-a"),
		Host: texty("reviews.shop"), ServiceAccount: texty("shared"),
		Ports: []*intent.Port{
			{Name: text("http"), Number: number(9080), Protocol: text("http")},
			{Name: text("admin"), Number: number(9001), Protocol: text("grpc")},
		},
		Versions: []*intent.Version{
			{Name: text("v2")},
			{Name: text("v1"), Labels: []*intent.KV{pair("build", "7"), pair("app", "r")}},
		},
		Uses: []*intent.Use{{Ref: text("other/ratings")}, {Ref: text("details")}},
		Routes: []*intent.Route{{
			Name: text("zeta"), Port: texty("http"),
			Match: []*intent.Match{
				{Path: &intent.PathMatch{Kind: text("segmentPrefix"), Value: text("/a")}, Methods: list("GET", "HEAD")},
				{Methods: list("POST"), Headers: []*intent.NamedMatch{named("end-user", "exact", "jason"), absent}},
				{Query: []*intent.NamedMatch{named("q", "regex", "a+")}, Cookies: []*intent.NamedMatch{named("c", "suffix", "z")}},
			},
			To:              []*intent.Weight{{Version: text("v2"), Percent: text("99.5")}, {Version: text("v1"), Percent: text("0.50")}},
			Timeout:         texty("3s"),
			Retries:         &intent.Retries{Attempts: number(2), On: list("503"), PerTry: texty("1s"), Methods: list("GET")},
			RequestHeaders:  &intent.HeaderOps{Set: []*intent.KV{pair("b", "1"), pair("a", "2")}, Remove: list("c")},
			ResponseHeaders: &intent.HeaderOps{Add: []*intent.KV{pair("d", "3")}},
			Before:          list("alpha"),
		}, {
			Name: text("alpha"), To: []*intent.Weight{{Version: text("v1"), Percent: text("100")}}, After: list("zeta"),
		}},
		Faults: []*intent.Fault{{
			Name: text("slow"), On: text("zeta"), Until: text("2099-01-01T00:00:00Z"),
			Delay: &intent.Delay{Fixed: text("7s"), Percent: text("0.25")},
			Abort: &intent.Abort{Status: &intent.Value[int]{V: 503}, Percent: text("10")},
		}},
		Security: &intent.Security{MTLS: texty("strict"), HasAllow: true, Allow: []*intent.Rule{
			{From: list("web", "*"), Methods: list("GET"), Paths: []*intent.PathMatch{{Kind: text("prefix"), Value: text("/x")}}},
		}},
	}
}

func wantMesh() *intent.Mesh {
	return &intent.Mesh{
		Config:   intent.Config{Name: texty("shop"), TrustDomain: texty("shop.example"), MTLS: texty("permissive")},
		Services: []*intent.Service{wantReviews()},
		Gateways: []*intent.Gateway{{
			Name: text("edge"), Home: "prod/shop", Namespace: texty("edge"),
			Listeners: []*intent.GatewayListener{{Name: text("web"), Port: number(80), Protocol: text("http"), Hosts: list("*.shop.example")}},
			Routes: []*intent.GatewayRoute{{
				Name: text("home"), Listener: texty("web"), Hosts: list("www.shop.example"),
				Match: []*intent.Match{{Path: &intent.PathMatch{Kind: text("exact"), Value: text("/")}}},
				To:    text("shop/reviews"), Port: texty("http"),
			}},
		}},
		Externals: []*intent.External{{
			Name: text("partner"), Home: "prod/shop", Namespace: texty("shop"), Host: text("api.partner.example"),
			Ports:     []*intent.Port{{Name: text("tls"), Number: number(443), Protocol: text("tcp")}},
			Endpoints: list("192.0.2.1:443"), Timeout: texty("2s"),
		}},
	}
}

func TestEveryFieldReachesIntent(t *testing.T) {
	m, diags := inProcess(t, meshFS(full...))
	want(t, diags)
	if d := cmp.Diff(wantMesh(), m, withoutPlaces); d != "" {
		t.Errorf("intent (-want +got):\n%s", d)
	}
}

// TestEveryValueHasItsPlace spot-checks ranges through layers, references,
// YAML and JSON.
func TestEveryValueHasItsPlace(t *testing.T) {
	m, _ := inProcess(t, meshFS(full...))
	s, g, x := m.Services[0], m.Gateways[0], m.Externals[0]
	for name, c := range map[string]struct {
		got  diag.Range
		want string
	}{
		"service":              {s.At, "prod/shop/reviews.cue:5:10"},
		"owner by definition":  {s.Owner.At, "prod/layer.cue:3:16"},
		"namespace of the dir": {s.Namespace.At, "prod/shop/reviews.cue:3:12"},
		"mtls by pattern":      {s.Security.MTLS.At, "mesh.cue:11:36"},
		"port number":          {s.Ports[1].Number.At, "prod/shop/reviews.cue:9:19"},
		"weight":               {s.Routes[0].To[1].Percent.At, "prod/shop/reviews.cue:21:23"},
		"header match":         {s.Routes[0].Match[1].Headers[0].At, "prod/shop/reviews.cue:18:16"},
		"method":               {s.Routes[0].Match[0].Methods[1].At, "prod/shop/reviews.cue:17:49"},
		"YAML":                 {g.Routes[0].To.At, "prod/shop/edge.yaml:11:13"},
		"JSON":                 {x.Ports[0].Number.At, "prod/shop/partner.json:1:86"},
	} {
		if got := c.got.String(); got != c.want {
			t.Errorf("%s is at %s, want %s", name, got, c.want)
		}
	}
}

// TestChildGivesTheSame shows that nothing is lost on the way out of a child.
func TestChildGivesTheSame(t *testing.T) {
	for name, files := range map[string][]string{
		"a sound mesh":     full,
		"empty but there":  {"a.cue", "package mesh\nservice: a: {versions: v1: labels: {}, security: allow: []}\n"},
		"with diagnostics": {"a.cue", "package mesh\nservice: a: ownr: \"x\"\n", "b/x.yaml", "a: 1\n"},
	} {
		t.Run(name, func(t *testing.T) {
			fsys := meshFS(files...)
			in, inDiags := inProcess(t, fsys)
			out, outDiags, err := Mesh(t.Context(), fsys, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(in, out); d != "" {
				t.Errorf("mesh (-in process +child):\n%s", d)
			}
			if d := cmp.Diff(inDiags, outDiags); d != "" {
				t.Errorf("diagnostics (-in process +child):\n%s", d)
			}
		})
	}
}

func TestDirSelectsASubtreeAndLoadsWhatIsAbove(t *testing.T) {
	fsys := meshFS(
		"top.cue", "package mesh\nservice: top: {}\n",
		"a/a.cue", "package mesh\nservice: a: {}\n",
		"a/b/b.cue", "package mesh\nservice: b: {}\n",
		"c/c.cue", "package mesh\nservice: c: {}\n",
	)
	for dir, want := range map[string][]string{
		".":   {"a", "b", "c", "top"},
		"a":   {"a", "b", "top"},
		"a/b": {"a", "b", "top"},
		"c":   {"c", "top"},
	} {
		m, _, err := Mesh(t.Context(), fsys, Options{Dir: dir, InProcess: true})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range m.Services {
			got = append(got, s.Name.V)
		}
		if d := cmp.Diff(want, got, cmpopts.SortSlices(func(a, b string) bool { return a < b })); d != "" {
			t.Errorf("Dir %q (-want +got):\n%s", dir, d)
		}
	}
	if _, _, err := Mesh(t.Context(), fsys, Options{Dir: "nosuch"}); err == nil {
		t.Error("a directory that does not exist is no error")
	}
	if _, _, err := Mesh(t.Context(), fsys, Options{Dir: "../up"}); err == nil {
		t.Error("a directory outside of the module is no error")
	}
}

// TestSameValuesAsStockCUE compares with `cue export`, directory by directory,
// what this package evaluates.
func TestSameValuesAsStockCUE(t *testing.T) {
	cue := stockCUE(t)
	fsys := meshFS(append([]string{
		"lib/lib.cue", "package lib\nimport \"strings\"\nOwner: strings.ToLower(\"TEAM-B\")\n",
		"prod/pay/deep/pay.cue", "package mesh\nimport \"shop.example/mesh/lib\"\nservice: pay: owner: lib.Owner\nservice: {for n in [\"x\", \"y\"] {\"pay-\\(n)\": {owner: n, host: \"\\(n).pay\"}}}\n",
	}, full...)...)
	delete(fsys, "prod/shop/edge.yaml") // stock cue reads no YAML and no JSON
	delete(fsys, "prod/shop/partner.json")
	for name, content := range schema.Files() {
		fsys[schema.VendorDir+"/"+name] = &fstest.MapFile{Data: content}
	}
	root := t.TempDir()
	for name, f := range fsys {
		writeFile(t, filepath.Join(root, name), f.Data)
	}
	files, _, err := collect(t.Context(), fsys, Limits{}.withDefaults(), nil)
	if err != nil {
		t.Fatal(err)
	}
	tr := parseTree(files, func(string) {})
	for _, d := range tr.selected(".") {
		cmd := exec.Command(cue, "export", ".")
		cmd.Dir = filepath.Join(root, d.path)
		stock, err := cmd.Output()
		if err != nil {
			t.Fatalf("cue export in %s: %v %s", d.path, err, err.(*exec.ExitError).Stderr)
		}
		if diff := cmp.Diff(decodeJSON(t, stock), decodeJSON(t, exported(t, tr, d))); diff != "" {
			t.Errorf("directory %s (-cue export +load):\n%s", d.path, diff)
		}
	}
}

func exported(t *testing.T, tr *tree, d *dir) []byte {
	t.Helper()
	e := &evaluation{tree: tr, schema: schemaFiles(), bindings: bindings()}
	v, ok := e.build(d, tr.packageFiles(d.path, schema.Package))
	if !ok {
		t.Fatalf("directory %s does not build: %+v", d.path, e.diags)
	}
	out, err := v.MarshalJSON()
	if err != nil {
		t.Fatalf("directory %s: %v", d.path, err)
	}
	return out
}

func decodeJSON(t *testing.T, data []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func writeFile(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// stockCUE finds the cue command; without it the test is skipped on a laptop
// and fails in CI.
func stockCUE(t *testing.T) string {
	t.Helper()
	if path, err := exec.LookPath("cue"); err == nil {
		return path
	}
	home, _ := os.UserHomeDir()
	path := filepath.Join(home, "go", "bin", "cue")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("NOT TESTED: the cue command is not installed")
	}
	t.Skip("NOT TESTED: the cue command is not installed")
	return ""
}
