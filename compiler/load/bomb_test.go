package load

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/test/soak"
)

// bomb is a small mesh that asks for more than a machine has. It ends with one
// of the codes, at the file; small ones end soon because a rule refuses them.
type bomb struct {
	files []string // path, content
	codes []diag.Code
	at    string // the file to blame
}

var limitHit = []diag.Code{diag.EvaluationLimit}

const bombFile = "shop/bomb.cue"

// cueBomb is a bomb in one file of CUE, beside one that is harmless: so the
// file has to be found, and is not the only one.
func cueBomb(text string, codes ...diag.Code) bomb {
	if codes == nil {
		codes = limitHit
	}
	return bomb{[]string{bombFile, "package mesh\n" + text, "shop/a.cue", "package mesh\nservice: y: owner: \"a\"\n"}, codes, bombFile}
}

func inOwner(expr string) string { return "service: x: owner: \"\\(" + expr + ")\"\n" }

var bombs = map[string]bomb{
	"nested disjunctions":      cueBomb(nestedDisjunctions(24)),
	"a long list":              cueBomb("import \"list\"\n" + inOwner("len(list.Range(0, 100000000, 1))")),
	"a long text":              cueBomb("import \"strings\"\n_a: strings.Repeat(\"aaaaaaaaaa\", 10000000)\n"+inOwner("len(strings.Repeat(_a, 100))"), diag.EvaluationLimit, diag.WrongValue),
	"a huge number":            cueBomb("import \"math/bits\"\n" + inOwner("bits.Lsh(1, 10000000000)")),
	"a huge power":             cueBomb("import \"math\"\n"+inOwner("math.Pow(7, 100000000)"), diag.EvaluationLimit, diag.WrongValue, diag.NotConcrete, diag.EvaluationCrash),
	"exponential references":   cueBomb("import \"encoding/json\"\n" + billionLaughs(12)),
	"doubling interpolation":   cueBomb(doubling(40)),
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

// doubling writes a text of 2^n bytes.
func doubling(n int) string {
	var b strings.Builder
	b.WriteString("_s0: \"x\"\n")
	for i := range n {
		fmt.Fprintf(&b, "_s%d: \"\\(_s%d)\\(_s%d)\"\n", i+1, i, i)
	}
	fmt.Fprintf(&b, "service: x: owner: \"\\(len(_s%d))\"\n", n)
	return b.String()
}

func manyFiles(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("f/%05d.cue", i), "package mesh\n")
	}
	return out
}

func yamlLaughs(depth int) string {
	var b strings.Builder
	b.WriteString("service:\n  l0: &l0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < depth; i++ {
		fmt.Fprintf(&b, "  l%d: &l%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*l%d, ", i-1), 10), ", "))
	}
	return b.String()
}

func nestedDisjunctions(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "_d%d: {a%d: 1} | {b%d: 1}\n", i, i, i)
	}
	b.WriteString("service: x: owner: \"\\(len(_all))\"\n_all: _d0")
	for i := 1; i < n; i++ {
		fmt.Fprintf(&b, " & _d%d", i)
	}
	return b.String() + "\n"
}

func billionLaughs(depth int) string {
	var b strings.Builder
	b.WriteString("_l0: [\"lol\", \"lol\", \"lol\", \"lol\", \"lol\", \"lol\", \"lol\", \"lol\", \"lol\", \"lol\"]\n")
	for i := 1; i < depth; i++ {
		fmt.Fprintf(&b, "_l%d: [%s_l%d]\n", i, strings.Repeat(fmt.Sprintf("_l%d, ", i-1), 9), i-1)
	}
	fmt.Fprintf(&b, "service: x: owner: json.Marshal(_l%d)\n", depth-1)
	return b.String()
}

// TestBombsEndInOneError holds the promise about hostile input: an error after
// at most 12 s of a processor, all processes together, that names the file, and
// a parent that stays small. In a soak, which has the machine to itself, the
// error is there within 12 s.
func TestBombsEndInOneError(t *testing.T) {
	if testing.Short() {
		t.Skip("bombs take up to 12 s each")
	}
	for name, b := range bombs {
		t.Run(name, func(t *testing.T) { // one at a time: the children of all are counted
			before, used := settled(), usedCPU(t)
			start := time.Now()
			_, diags, err := Mesh(t.Context(), meshFS(b.files...), Options{})
			took, used := time.Since(start), usedCPU(t)-used
			if err != nil {
				t.Fatal(err)
			}
			if used > mostOfBomb || soak.On() && took > mostOfBomb {
				t.Errorf("took %v of a CPU in %v", used, took)
			}
			if grown := settled() - before; grown > 64<<20 {
				t.Errorf("the parent grew by %d MiB", grown>>20)
			}
			b.check(t, diags)
			t.Logf("%v of a CPU in %v: %s", used.Round(time.Millisecond), took.Round(time.Millisecond), diags[0].Message)
		})
	}
}

// mostOfBomb is what a load may take, whatever it is given.
const mostOfBomb = 12 * time.Second

// usedCPU is what this process, and its children that have ended, have had of
// all processors.
func usedCPU(t *testing.T) time.Duration {
	t.Helper()
	var sum time.Duration
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var u unix.Rusage
		if err := unix.Getrusage(who, &u); err != nil {
			t.Fatal(err)
		}
		sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return sum
}

// check wants an error at the file. Where the bomb is a value that CUE refuses,
// what refers to it may have an error as well.
func (b bomb) check(t *testing.T, diags diag.List) {
	t.Helper()
	named := false
	for _, d := range diags {
		if d.Severity != diag.Error {
			continue
		}
		named = named || d.Range.File == b.at
		if !slices.Contains(b.codes, d.Code) {
			t.Errorf("%s at %q: %s", d.Code, d.Range.File, shorten(d.Message))
		}
	}
	if !named {
		t.Errorf("no error names %q: %+v", b.at, diags)
	}
}

// settled gives the resident bytes of this process after what is garbage has
// gone.
func settled() int64 {
	debug.FreeOSMemory()
	return resident(os.Getpid())
}

// TestBombsDoNotAddUp loads bombs one after the other: a parent that lives for
// months stays as small as it was.
func TestBombsDoNotAddUp(t *testing.T) {
	fast := Options{Limits: Limits{CPU: time.Second, Memory: 128 << 20}}
	fsys := meshFS(bombs["doubling interpolation"].files...)
	detonate := func() {
		if _, diags, err := Mesh(t.Context(), fsys, fast); err != nil || !hasCode(diags, diag.EvaluationLimit) {
			t.Fatalf("%v, diagnostics %+v", err, diags)
		}
	}
	detonate()
	before, open := settled(), openFiles(t)
	for range 10 {
		detonate()
	}
	if grown := settled() - before; grown > 8<<20 {
		t.Errorf("the parent grew by %d KiB in ten bombs", grown>>10)
	}
	if now := openFiles(t); now > open {
		t.Errorf("%d files are open, and were %d", now, open)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// TestTimeIsUp: what has neither processor nor memory to blame ends as well.
func TestTimeIsUp(t *testing.T) {
	limits := Limits{Wall: 20 * time.Millisecond}
	_, diags, err := Mesh(t.Context(), meshFS(bombs["nested disjunctions"].files...), Options{Limits: limits})
	if err != nil || len(diags) != 1 || diags[0].Code != diag.EvaluationLimit || !strings.Contains(diags[0].Message, "exceeded 20ms of time") {
		t.Errorf("%v, %+v", err, diags)
	}
}

// TestBombOfSeveralFiles names all files of the directory when none explodes
// alone.
func TestBombOfSeveralFiles(t *testing.T) {
	half, rest, _ := strings.Cut(doubling(40), "_s20: ")
	fsys := meshFS("shop/a.cue", "package mesh\n"+half, "shop/b.cue", "package mesh\n_s20: "+rest)
	_, diags, err := Mesh(t.Context(), fsys, Options{Limits: Limits{Memory: 256 << 20}})
	if err != nil {
		t.Fatal(err)
	}
	if len(diags) != 1 || diags[0].Code != diag.EvaluationLimit || len(diags[0].Related) != 2 {
		t.Fatalf("%+v", diags)
	}
}

// TestOutputIsCapped gives a child less room than its answer needs.
func TestOutputIsCapped(t *testing.T) {
	fsys := meshFS("shop/cart.cue", "package mesh\nservice: cart: owner: \""+strings.Repeat("x", 100_000)+"\"\n")
	_, diags, err := Mesh(t.Context(), fsys, Options{AllCUE: true, Limits: Limits{Output: 10_000}})
	if err != nil {
		t.Fatal(err)
	}
	if len(diags) != 1 || diags[0].Code != diag.EvaluationLimit {
		t.Fatalf("diagnostics %+v", diags)
	}
}

// TestCancelledLoadIsAnError tells an impatient caller from a bad mesh.
func TestCancelledLoadIsAnError(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(200*time.Millisecond, cancel)
	_, diags, err := Mesh(ctx, meshFS(bombs["nested disjunctions"].files...), Options{})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, diagnostics %+v", err, diags)
	}
}
