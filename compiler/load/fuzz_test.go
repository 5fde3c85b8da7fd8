package load

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
)

// explosive finds what can make a small input large or slow: such inputs are
// evaluated in a child, the rest in process, where coverage guides the fuzzer.
var explosive = regexp.MustCompile(`\bfor\b|import|\||[0-9][eEKMGTP]|\*|\.\.\.|\\\(|&&|div|mod|&`)

const maxInProcess = 2 << 10

// FuzzLoad holds that no input makes load panic, that the same files give the
// same answer twice, and that it does not matter which file says what.
func FuzzLoad(f *testing.F) {
	for _, seed := range fuzzSeeds() {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, a, b, data string) {
		opts := Options{InProcess: !risky(a, b, data), Limits: Limits{CPU: time.Second, Wall: 4 * time.Second, Memory: 512 << 20}}
		fsys := meshFS("shop/a.cue", a, "shop/b.cue", b, "shop/c.yaml", data, "shop/d.json", data)
		first, ok := load(t, fsys, opts)
		if !ok {
			return // a limit: where it strikes is chance
		}
		second, ok := load(t, fsys, opts)
		if d := cmp.Diff(first, second); ok && d != "" {
			t.Fatalf("the second load differs:\n%s", d)
		}
		swapped, ok := load(t, meshFS("shop/a.cue", b, "shop/b.cue", a, "shop/c.yaml", data, "shop/d.json", data), opts)
		if d := cmp.Diff(outline(first), outline(swapped)); ok && d != "" {
			t.Fatalf("the order of files matters:\n%s", d)
		}
	})
}

func risky(texts ...string) bool {
	return slices.ContainsFunc(texts, func(s string) bool { return len(s) > maxInProcess || explosive.MatchString(s) })
}

// load judges one tree; ok is false when a limit cut it short.
func load(t *testing.T, fsys fstest.MapFS, opts Options) (ans answer, ok bool) {
	t.Helper()
	m, diags, err := Mesh(t.Context(), fsys, opts)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range diags {
		if d.Code == diag.EvaluationCrash && !strings.Contains(d.Why, "cuelang.org/go") || d.Code == diag.Internal {
			t.Fatalf("%s: %s; %s", d.Code, d.Message, d.Why)
		}
	}
	return answer{Mesh: m, Diags: diags}, !hasCode(diags, diag.EvaluationLimit)
}

// outline is what must not depend on the names of files: which entries are
// sound, and whether there are errors.
func outline(a answer) []string {
	var out []string
	for _, s := range a.Mesh.Services {
		out = append(out, "service "+s.Name.V+" "+valueOr(s.Owner))
	}
	for _, g := range a.Mesh.Gateways {
		out = append(out, "gateway "+g.Name.V)
	}
	for _, x := range a.Mesh.Externals {
		out = append(out, "external "+x.Name.V+" "+x.Host.V)
	}
	if a.Diags.HasErrors() {
		out = append(out, "errors")
	}
	slices.Sort(out)
	return out
}

func valueOr(v *intent.Value[string]) string {
	if v == nil {
		return ""
	}
	return v.V
}

func fuzzSeeds() [][3]string {
	seeds := [][3]string{
		{"package mesh\nservice: a: owner: \"x\"\n", "package mesh\nservice: b: uses: a: {}\n", "gateway: {g: {listeners: {l: {port: 80, protocol: http}}}}\n"},
		{"package mesh\n#D: {owner: \"a\"}\nservice: a: #D\n", "package mesh\nservice: [string]: host: \"h\"\n", "{\"external\": {\"e\": {\"host\": \"h\"}}}"},
		{"package mesh\nservice: a: routes: r: {to: {v1: 99.5, v2: 0.5}, match: [{path: exact: \"/\"}]}\n", "package mesh\nservice: a: versions: {v1: {}, v2: {}}\n", ""},
		{"package mesh\nservice: a: {ownr: 1, ports: p: number: 0}\n", "package other\n", "a: &x [*x]\n"},
		{"package mesh\nlet x = service\nservice: a: host: x.b.host\n", "package mesh\nservice: b: host: x\n", "service: 3\n"},
		{"package mesh\nservice: a: owner: \"\\(b)\"\nb: service.a.owner\n", "", "- 1\n- 2\n"},
	}
	for i := 0; i+1 < len(full); i += 2 {
		if strings.HasSuffix(full[i], ".cue") {
			seeds = append(seeds, [3]string{full[i+1], "package mesh\n", "namespace: x\n"})
		} else {
			seeds = append(seeds, [3]string{"package mesh\n", "package mesh\nservice: {}\n", full[i+1]})
		}
	}
	return seeds
}
