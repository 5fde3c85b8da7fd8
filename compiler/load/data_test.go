package load

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/cuecontext"
	cueyaml "cuelang.org/go/encoding/yaml"

	"github.com/meshc/meshc/compiler/diag"
)

// marked takes «marks» out of a text; each is where a diagnostic is wanted.
func marked(name, text, code string) (clean string, lines []string) {
	var out strings.Builder
	at := func() diag.Pos {
		s := out.String()
		return diag.NewPos(strings.Count(s, "\n")+1, len(s)-strings.LastIndex(s, "\n"))
	}
	for {
		before, rest, found := strings.Cut(text, "«")
		out.WriteString(before)
		if !found {
			return out.String(), lines
		}
		inside, after, _ := strings.Cut(rest, "»")
		start := at()
		out.WriteString(inside)
		lines = append(lines, fmt.Sprintf("%s:%d:%d-%d %s", name, start.Line, start.Col, at().Col, code))
		text = after
	}
}

// TestRangesOfDataFilesAreExact plants one kind of mistake at many places and
// holds that each diagnostic covers exactly what is marked.
func TestRangesOfDataFilesAreExact(t *testing.T) {
	for name, c := range map[string]struct{ file, text, code string }{
		"a key and a plain value":        {"a.yaml", "service:\n  a:\n    «ownr»: team\n", "MSH1002"},
		"a plain value":                  {"a.yaml", "service:\n  a:\n    owner: «3»\n    host: «Team X»\n", "MSH1003"},
		"a quoted key and quoted values": {"a.yaml", "service:\n  a: {\"owner\": «3», 'host': «\"A\\tB\"», serviceAccount: «'It''s'»}\n", "MSH1003"},
		"a quoted key":                   {"a.yaml", "service:\n  a: {«\"ownr\"»: x, «'hst'»: z}\n", "MSH1002"},
		"behind wide characters":         {"a.yaml", "service:\n  a: {owner: \"zoë ✓ 😀\", host: «7»}\n", "MSH1003"},
		"wide characters in a value":     {"a.yaml", "service:\n  a: {serviceAccount: «zoë», host: «\"✓\"»}\n", "MSH1003"},
		"behind an anchor and a tag":     {"a.yaml", "service:\n  a: {owner: &o «3», host: !!str «A B»}\n", "MSH1003"},
		"an alias":                       {"a.yaml", "service:\n  a: {namespace: x, owner: &o \"A_B\", host: «*o»}\n", "MSH1003"},
		"inside an anchor":               {"a.yaml", "service:\n  a: &a {«ownr»: x}\n", "MSH1002"},
		"flow collections":               {"a.yaml", "service:\n  a: {owner: «{ x: 1, }», host: «[ a, {b: \"}\"}, # ]\n ]»}\n", "MSH1003"},
		"in a list":                      {"a.yaml", "service:\n  a:\n    routes:\n      r:\n        to: {v1: 100}\n        before:\n        - ok\n        - «5»\n", "MSH1003"},
		"with carriage returns":          {"a.yaml", "service:\r\n  a:\r\n    owner: «3»\r\n", "MSH1003"},
		"the second document":            {"a.yaml", "service:\n  a: {}\n---\n# b\nservice:\n  b: {owner: «true»}\n", "MSH1003"},
		"a null":                         {"a.yaml", "service:\n  a:\n    owner: «~»\n    host: «null»\n", "MSH1003"},
		"JSON values":                    {"a.json", "{\"service\": {\"a\": {\"owner\": «3», \"host\": «\"A\\/B\"»,\n \"namespace\": «[1, 2]», \"serviceAccount\": «{\"x\": 1}»}}}\n", "MSH1003"},
		"JSON keys":                      {"a.json", "{\"service\": {\"a\": {«\"ownr\"»: \"ë\", «\"ho\\u0073\"»: 1}}}\n", "MSH1002"},
		"JSON behind wide characters":    {"a.json", "{\"service\": {\"a\": {\"owner\": \"zoë ✓ 😀\", \"host\": «7»}}}\n", "MSH1003"},
		"duplicate keys":                 {"a.yaml", "service:\n  a: {owner: x, «owner»: x}\n  b: {}\n  «\"b\"»: {}\n", "MSH1060"},
		"duplicate keys of JSON":         {"a.json", "{\"service\": {\"a\": {\"owner\": \"x\", «\"owner\"»: \"x\"}}}\n", "MSH1060"},
		"words of YAML 1.1":              {"a.yaml", "service:\n  a: {owner: «no», host: «on», namespace: «Y», serviceAccount: \"yes\"}\n", "MSH1061"},
		"numbers of YAML 1.1":            {"a.yaml", "service:\n  a:\n    ports:\n      p: {number: «0777», protocol: «12:30»}\n      q: {number: «1_000», protocol: http}\n      r: {number: «0o17», protocol: http}\n      s: {number: «-0b1», protocol: http}\n      «010»: {}\n", "MSH1061"},
		"tags":                           {"a.yaml", "service:\n  a: {owner: !!binary «aGk=», host: !own «x»}\n  b: !set «{}»\n", "MSH1062"},
		"merge keys":                     {"a.yaml", "service:\n  a: &a {owner: x}\n  b: {«<<»: *a}\n", "MSH1062"},
		"no numbers":                     {"a.yaml", "service:\n  a: {owner: «.inf», host: «.nan»}\n", "MSH1062"},
		"keys that are no text":          {"a.yaml", "service:\n  ? «[a]»\n  : {}\n  «~»: {}\n", "MSH1062"},
		"a document that is no mapping":  {"a.yaml", "service: {}\n---\n«[1, 2]»\n", "MSH1062"},
		"an anchor in itself":            {"a.yaml", "service:\n  a: &a {x: «*a»}\n", "MSH1063"},
	} {
		t.Run(name, func(t *testing.T) {
			clean, lines := marked(c.file, c.text, c.code)
			_, diags := inProcess(t, meshFS(c.file, clean))
			want(t, diags, lines...)
		})
	}
}

func TestDataThatIsSound(t *testing.T) {
	for name, c := range map[string][]string{
		"the language's own key on":    {"a.yaml", "service:\n  a:\n    versions: {v1: {}}\n    routes: {r: {to: {v1: 100}, retries: {attempts: 1, on: [reset]}}}\n"},
		"a time":                       {"a.yaml", "service:\n  a:\n    versions: {v1: {}}\n    routes: {r: {to: {v1: 100}}}\n    faults: {f: {on: r, until: 2030-01-01T00:00:00Z, delay: {fixed: 1s, percent: 0.5}}}\n"},
		"anchors and aliases":          {"a.yaml", "service:\n  a: {versions: &v {v1: {}}, ports: {p: {number: &n 80, protocol: http}}}\n  b: {versions: *v, ports: {p: {number: *n, protocol: http}}}\n"},
		"hexadecimal":                  {"a.yaml", "service:\n  a: {ports: {p: {number: 0x50, protocol: http}}}\n"},
		"an empty document":            {"a.yaml", "---\n---\nservice: {a: {}}\n---\n"},
		"namespace alone":              {"a/a.yaml", "namespace: shop\n", "a/b.cue", "package mesh\nservice: x: {}\n"},
		"YAML and JSON and CUE add up": {"a.yaml", "service: {a: {owner: x}}\n", "a.json", "{\"service\": {\"a\": {\"host\": \"a.b\"}}}", "a.cue", "package mesh\nservice: a: serviceAccount: \"s\"\n"},
	} {
		t.Run(name, func(t *testing.T) {
			m, diags := inProcess(t, meshFS(c...))
			want(t, diags)
			if len(m.Services) == 0 {
				t.Error("no service")
			}
		})
	}
}

// TestForeignDataIsLeftAlone holds that files of other tools draw one remark.
func TestForeignDataIsLeftAlone(t *testing.T) {
	for name, text := range map[string]string{
		"kustomization.yaml": "namespace: shop\nresources: [a.yaml]\n",
		"deploy.yml":         "apiVersion: v1\nkind: Service\nmetadata: {name: no}\nspec: {ports: [{port: 010}]}\n",
		"list.json":          "[1, 2]",
		"empty.yaml":         "",
		"broken.yaml":        "a: [\n",
		"twice.yaml":         "a: 1\na: 2\n",
	} {
		_, diags := inProcess(t, meshFS(name, text))
		want(t, diags, name+":0:0-0 MSH1023")
	}
}

// TestYAMLMeansWhatCUEReads compares this reader with that of CUE.
func TestYAMLMeansWhatCUEReads(t *testing.T) {
	for _, text := range yamlSeeds {
		compareWithCUE(t, text)
	}
}

var yamlSeeds = []string{
	"service:\n  a:\n    ports:\n      p: {number: 80, protocol: http}\n    routes: {r: {to: {v1: 99.5, v2: .5}}}\n",
	"a: &x {b: 1, c: [1, -2, +3, 0x1F, 1e3, 1234567890123456789]}\nd: *x\n",
	"a: |\n  two\n  lines\nb: >-\n  folded\n  text\nc: plain\n  over lines\nd: 'it''s'\ne: \"a\\tb\\u00e9\"\n",
	"a: 2030-01-01\nb: 2030-01-01T00:00:00Z\nc: ~\nd:\ne: True\nf: FALSE\n'g h': {}\n_i: []\n'#j': 1\n",
	"---\na: 1\n...\n---\nb: 2\n", "é: {ü: \"😀\", x: [ü, {a: b}]}\r\nb: 1\r\n", "\ufeffa: 1\n", "a: !!str 1\nb: !!int 2\nc: !!float 1.5\n",
	"- a\n- [b]\n", "-\n---", "---\n---\na: 1\n---\n", "a: [*b]\n", "a: &a [*a]\n", "? [x]\n: 1\n", "{a: 1, }", "a: {b: {c: {", "\t", "a: - b", "a: -.inf\n", "a: !!bool x\n",
	"a:\u0085b: 1\n", "a: 1\u2028b: 2\n", "a:   &x   !!map  {  }  # c\n", "\"\\x41\": 1\nA: 2\n", "a: &x # comment\n  b: 1\nc: *x\n",
}

// compareWithCUE holds, for what this reader takes, that it means what CUE's
// own reader says, and that all places lie in the file.
func compareWithCUE(t *testing.T, text string) {
	t.Helper()
	d := readData(file{Path: "x.yaml", Data: []byte(text)})
	lines := bytes.Split([]byte(text), []byte("\n"))
	check := func(r diag.Range) {
		if r.IsZero() || r.Start.Line == 0 {
			return
		}
		if int(r.End.Line) > len(lines) || int(r.End.Col) > len(lines[r.End.Line-1])+2 || r.End.Line < r.Start.Line {
			t.Errorf("%q: the range %+v lies outside", text, r)
		}
	}
	for _, r := range d.spans {
		check(r)
	}
	for _, dg := range d.diags {
		check(dg.Range)
	}
	if len(d.diags) > 0 || len(d.docs) != 1 {
		return
	}
	want, err := cueReads(text)
	if err != nil {
		return // CUE refuses more: labels that it cannot write
	}
	ctx := cuecontext.New()
	a, b := ctx.BuildExpr(d.docs[0]), ctx.BuildFile(want)
	if b.Err() != nil {
		return // CUE cannot build its own reading of numbers over 64 bits
	}
	x, errA := a.MarshalJSON()
	y, errB := b.MarshalJSON()
	if errA == nil && errB == nil && amongEmpty(string(x), string(y)) {
		return
	}
	if string(x) != string(y) || (errA == nil) != (errB == nil) {
		t.Errorf("%q means\n%s (%v)\nand CUE reads\n%s (%v)", text, x, errA, y, errB)
	}
}

// amongEmpty says that a list holds a document and empty ones, which CUE counts
// and this reader does not.
func amongEmpty(doc, list string) bool {
	inner, ok := strings.CutPrefix(list, "[")
	if !ok {
		return false
	}
	inner = strings.TrimSuffix(inner, "]")
	for strings.HasPrefix(inner, "null,") {
		inner = inner[len("null,"):]
	}
	for inner != doc && strings.HasSuffix(inner, ",null") {
		inner = inner[:len(inner)-len(",null")]
	}
	return inner == doc
}

// cueReads asks CUE's reader, which panics on line breaks such as U+2028.
func cueReads(text string) (f *ast.File, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("CUE panics: %v", v)
		}
	}()
	return cueyaml.Extract("x.yaml", []byte(text))
}

func FuzzYAML(f *testing.F) {
	for _, s := range yamlSeeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1000 {
			return
		}
		compareWithCUE(t, text)
	})
}
