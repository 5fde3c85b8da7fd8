// Package bombs is the corpus of meshes that ask for more than a machine has. It is for
// tests alone.
package bombs

import (
	"strings"

	"github.com/meshc/meshc/compiler/diag"
)

// Bomb is a small mesh that asks for more than a machine has. It ends with one
// of the codes, at the file; small ones end soon because a rule refuses them.
type Bomb struct {
	Files []string // path, content
	Codes []diag.Code
	At    string // the file to blame
}

var limitHit = []diag.Code{diag.EvaluationLimit}

const bombFile = "shop/bomb.cue"

// cueBomb is a bomb in one file of CUE, beside one that is harmless: so the
// file has to be found, and is not the only one.
func cueBomb(text string, codes ...diag.Code) Bomb {
	if codes == nil {
		codes = limitHit
	}
	return Bomb{[]string{bombFile, "package mesh\n" + text, "shop/a.cue", "package mesh\nservice: y: owner: \"a\"\n"}, codes, bombFile}
}

func inOwner(expr string) string { return "service: x: owner: \"\\(" + expr + ")\"\n" }

// All are the kinds by name. The meshes are those of module shop.example/mesh.
var All = map[string]Bomb{
	"nested disjunctions":      cueBomb(nestedDisjunctions(24)),
	"a long list":              cueBomb("import \"list\"\n" + inOwner("len(list.Range(0, 100000000, 1))")),
	"a long text":              cueBomb("import \"strings\"\n_a: strings.Repeat(\"aaaaaaaaaa\", 10000000)\n"+inOwner("len(strings.Repeat(_a, 100))"), diag.EvaluationLimit, diag.WrongValue),
	"a huge number":            cueBomb("import \"math/bits\"\n" + inOwner("bits.Lsh(1, 10000000000)")),
	"a huge power":             cueBomb("import \"math\"\n"+inOwner("math.Pow(7, 100000000)"), diag.EvaluationLimit, diag.WrongValue, diag.NotConcrete, diag.EvaluationCrash),
	"exponential references":   cueBomb("import \"encoding/json\"\n" + billionLaughs(12)),
	"doubling interpolation":   cueBomb(Doubling(40)),
	"three loops":              cueBomb("import \"list\"\n_n: list.Range(0, 3000, 1)\n" + inOwner("len([for a in _n for b in _n for c in _n {a+b+c}])")),
	"loops that make entries":  cueBomb("import \"list\"\n_n: list.Range(0, 3000, 1)\nfor a in _n for b in _n {service: \"s-\\(a)-\\(b)\": owner: \"o\"}\n"),
	"a sorted product":         cueBomb("import \"list\"\n_n: list.Range(0, 4000, 1)\n" + inOwner("len(list.SortStable([for a in _n for b in _n {a*b}], list.Descending))")),
	"a validator over a range": cueBomb("import \"list\"\n_l: [for a in list.Range(0, 300000, 1) {{n: a, s: \"x\"}}]\n_l: list.UniqueItems\n" + inOwner("len(_l)")),
	"deep nesting of structs":  cueBomb("service: x: owner: "+strings.Repeat("{a: ", 100_000)+"1"+strings.Repeat("}", 100_000)+"\n", diag.EvaluationLimit, diag.Syntax),
	"deep nesting of parens":   cueBomb("service: x: owner: "+strings.Repeat("(", 400_000)+"\"a\""+strings.Repeat(")", 400_000)+"\n", diag.EvaluationLimit, diag.Syntax),
	"structural recursion":     cueBomb("#T: {a: #T, b: #T}\nservice: x: routes: r: #T\n", diag.EvaluationLimit, diag.WrongValue, diag.UnknownField, diag.NotConcrete, diag.Conflict, diag.MissingField),
	"a recursive function":     cueBomb("_f: {n: int, out: {if n > 0 {(_f & {\"n\": n - 1}).out + (_f & {\"n\": n - 2}).out}, if n <= 0 {1}}}\n"+inOwner("(_f & {n: 60}).out"), diag.EvaluationLimit, diag.WrongValue, diag.NotConcrete, diag.Conflict),
	"a large regular expression": cueBomb("service: x: owner: =~\"^"+strings.Repeat("(a{0,900}){0,900}", 8)+"$\"\nservice: x: owner: \""+strings.Repeat("a", 100)+"\"\n",
		diag.EvaluationLimit, diag.WrongValue, diag.Conflict, diag.NotConcrete),
	"packages that import each other": {[]string{
		"a/a.cue", "package a\nimport \"shop.example/mesh/b\"\nX: b.X\n", "b/b.cue", "package b\nimport \"shop.example/mesh/a\"\nX: a.X\n",
		bombFile, "package mesh\nimport \"shop.example/mesh/a\"\nservice: x: owner: a.X\n",
	}, []diag.Code{diag.ImportRefused}, "b/b.cue"},
	"a huge file":      {[]string{"shop/huge.yaml", "service:\n" + strings.Repeat("  # x\n", 200_000)}, []diag.Code{diag.InputRefused}, "shop/huge.yaml"},
	"many files":       {manyFiles(20_100), []diag.Code{diag.InputRefused}, "f/19999.cue"},
	"deep directories": {[]string{strings.Repeat("d/", 2_000) + "a.cue", "package mesh\nservice: x: owner: 1\n"}, []diag.Code{diag.WrongValue}, strings.Repeat("d/", 2_000) + "a.cue"},
	"YAML aliases":     {[]string{"shop/laughs.yaml", yamlLaughs(12)}, []diag.Code{diag.DataTooLarge}, "shop/laughs.yaml"},
	"deep YAML":        {[]string{"shop/deep.yaml", "service: {x: " + strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000) + "}\n"}, []diag.Code{diag.DataTooLarge}, "shop/deep.yaml"},
	"deep JSON":        {[]string{"shop/deep.json", "{\"service\": {\"x\": " + strings.Repeat("[", 400_000) + strings.Repeat("]", 400_000) + "}}\n"}, []diag.Code{diag.Syntax, diag.EvaluationLimit}, "shop/deep.json"},
	"YAML in one line": {[]string{"shop/line.yaml", "service: {x: {owner: é, uses: [" + strings.Repeat("é,", 200_000) + "]}}\n"}, []diag.Code{diag.WrongValue, diag.EvaluationLimit}, "shop/line.yaml"},
}
