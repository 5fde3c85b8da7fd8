package automaton

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func plenty() *Budget { return &Budget{Steps: 50_000_000, States: 1 << 16} }

// words are all strings of up to most of the letters.
func words(letters []string, most int) []string {
	all, last := []string{""}, []string{""}
	for ; most > 0; most-- {
		var next []string
		for _, w := range last {
			for _, l := range letters {
				next = append(next, w+l)
			}
		}
		all, last = append(all, next...), next
	}
	return all
}

var letters = []string{"a", "B", "/", "0", " ", "\n", "é", "K", "\xff"}

// piece draws an expression that RE2 takes.
func piece(t *rapid.T, depth int, label string) string {
	atoms := []string{"a", "B", "/", "0", ".", "[^a]", "[aB]", `\w`, `\W`, `\d`, `\b`, `\B`, "^", "$", `\A`, `\z`, "é", "k", "[[:alpha:]]", `\pL`, "(?i:b)", "(?i:k)", "(?m:^)", "(?m:$)", "(?s:.)", "", `\x{ff}`, "[à-ÿ]", `[^\x00-\x7f]`}
	if depth == 0 {
		return rapid.SampledFrom(atoms).Draw(t, label)
	}
	a := piece(t, depth-1, label+"l")
	switch rapid.IntRange(0, 5).Draw(t, label+"op") {
	case 0:
		return a + piece(t, depth-1, label+"r")
	case 1:
		return "(?:" + a + "|" + piece(t, depth-1, label+"r") + ")"
	case 2:
		return "(?:" + a + ")" + rapid.SampledFrom([]string{"*", "+", "?", "{0,2}", "{2}", "*?"}).Draw(t, label+"rep")
	case 3:
		return "(" + a + ")" + piece(t, depth-1, label+"r")
	default:
		return a
	}
}

func TestRegexAcceptsWhatRegexpMatchesInFull(t *testing.T) {
	all := words(letters, 4)
	rapid.Check(t, func(t *rapid.T) {
		expr := piece(t, 3, "e")
		re, err := regexp.Compile(`\A(?:` + Latin1(expr) + `)\z`)
		if err != nil {
			t.Skip(err)
		}
		d, err := Regex(expr, plenty())
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range all {
			want := re.MatchString(Latin1(w))
			if got := d.Accepts(w); got != want {
				t.Fatalf("%s on %q: %v, regexp says %v", expr, w, got, want)
			}
		}
	})
}

// TestBytesAreCharacters holds expressions to what Envoy 1.40 answered for them.
func TestBytesAreCharacters(t *testing.T) {
	values := []string{"\x80", "\xff", "a\x80a", "\xc3\xa9", "\xed\xa0\x80", "\xc3", "b\xff"}
	for expr, want := range map[string]string{
		".+": "yyyyyyy", "[^v]+": "yyyyyyy", `\PL+`: "y------", ".": "yy---y-", "..": "---y--y", "a.a": "--y----",
		"é": "---y---", `\xff`: "-y-----", `\x{ff}`: "-y-----", `[\x80-\xff]+`: "yy-yyy-",
	} {
		d, err := Regex(expr, plenty())
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range values {
			if d.Accepts(v) != (want[i] == 'y') {
				t.Errorf("%s on %q: %v", expr, v, d.Accepts(v))
			}
		}
	}
}

func lower(s string) string {
	b := []byte(s)
	for i := range b {
		b[i] = lowerByte(b[i])
	}
	return string(b)
}

// shapes are the literal kinds with what they mean.
var shapes = []struct {
	name  string
	build func(string, bool) *DFA
	means func(s, want string) bool
}{
	{"exact", Exact, func(s, want string) bool { return s == want }},
	{"prefix", Prefix, strings.HasPrefix},
	{"suffix", Suffix, strings.HasSuffix},
	{"contains", Contains, strings.Contains},
	{"segment prefix", SegmentPrefix, func(s, want string) bool { return s == want || strings.HasPrefix(s, want+"/") }},
}

func TestLiteralShapes(t *testing.T) {
	all := words([]string{"a", "A", "b", "/"}, 5)
	for _, w := range words([]string{"a", "A", "b", "/"}, 4) {
		for _, shape := range shapes {
			exact, folded := shape.build(w, false), shape.build(w, true)
			for _, s := range all {
				if exact.Accepts(s) != shape.means(s, w) {
					t.Fatalf("%s %q on %q: %v", shape.name, w, s, exact.Accepts(s))
				}
				if folded.Accepts(s) != shape.means(lower(s), lower(w)) {
					t.Fatalf("%s %q without case on %q: %v", shape.name, w, s, folded.Accepts(s))
				}
			}
		}
	}
}

func TestBetweenReadsNumbersAsParseInt(t *testing.T) {
	bounds := []int64{-1 << 63, -1<<63 + 1, -1001, -100, -10, -7, -1, 0, 1, 7, 10, 99, 100, 1234, 65535, 1<<63 - 1}
	var texts []string
	for _, n := range bounds {
		for _, d := range []int64{-1, 0, 1} {
			text := strconv.FormatInt(n+d, 10) // may wrap, which is a number too
			digits := strings.TrimPrefix(text, "-")
			texts = append(texts, text, "+"+digits, "-"+digits, "00"+digits, "-0"+digits, digits+"0")
		}
	}
	texts = append(texts, "", "+", "-", "--1", "1.0", " 1", "99999999999999999999", "9223372036854775808", "-9223372036854775809", "0000", "-00", "1e3")
	for _, lo := range bounds {
		for _, hi := range bounds {
			d, err := Between(lo, hi, plenty())
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range texts {
				n, err := strconv.ParseInt(s, 10, 64)
				if want := err == nil && lo <= n && n < hi; d.Accepts(s) != want {
					t.Fatalf("[%d, %d) on %q: %v", lo, hi, s, d.Accepts(s))
				}
			}
		}
	}
}

func drawSet(t *rapid.T, label string) *DFA {
	if rapid.IntRange(0, 2).Draw(t, label+"kind") == 0 {
		expr := rapid.SampledFrom([]string{"(ab)*", "a+b?", "[^a]*", ".*a.", "b|ba|bab", ".{2}", `.*\bb.*`}).Draw(t, label+"re")
		d, err := Regex(expr, plenty())
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	shape := rapid.SampledFrom(shapes).Draw(t, label+"shape")
	return shape.build(rapid.StringMatching("[ab/]{0,3}").Draw(t, label), false)
}

func machines(sets ...*DFA) []*Machine {
	var out []*Machine
	for i, d := range sets {
		out = append(out, d.Machine(int32(i)))
	}
	return out
}

// TestMachinesOfLiterals compares them with the automata of each literal.
func TestMachinesOfLiterals(t *testing.T) {
	all := words([]string{"a", "A", "b", "/"}, 6)
	rapid.Check(t, func(t *rapid.T) {
		fold := rapid.Bool().Draw(t, "fold")
		var beginnings, endings []Literal
		var begin, end []*DFA
		for i := range rapid.IntRange(0, 7).Draw(t, "n") {
			text := rapid.StringMatching("[aAb/]{0,4}").Draw(t, "text")
			shape := LiteralShape(rapid.IntRange(0, 2).Draw(t, "shape"))
			beginnings = append(beginnings, Literal{int32(i), text, shape})
			endings = append(endings, Literal{Number: int32(i), Text: text})
			begin = append(begin, []func(string, bool) *DFA{Exact, Prefix, SegmentPrefix}[shape](text, fold))
			end = append(end, Suffix(text, fold))
		}
		b, e := Beginnings(beginnings, fold), Endings(endings, fold)
		for _, w := range all {
			check(t, w, b.In(w), begin)
			check(t, w, e.In(w), end)
		}
	})
}

func check(t *rapid.T, w string, got []int32, sets []*DFA) {
	var want []int32
	for i, d := range sets {
		if d.Accepts(w) {
			want = append(want, int32(i))
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%q is in %v, want %v", w, got, want)
	}
}

// TestSplit compares classes with a walk over all short words. Few classes of
// these small sets have longer words only: there the witness is one that the walk
// would have met later.
func TestSplit(t *testing.T) {
	domain, err := Regex("[ab/]*", plenty())
	if err != nil {
		t.Fatal(err)
	}
	const longest = 8
	all := words([]string{"/", "a", "b"}, longest)
	rapid.Check(t, func(t *rapid.T) {
		var sets []*DFA
		for i := range rapid.IntRange(0, 4).Draw(t, "n") {
			sets = append(sets, drawSet(t, fmt.Sprint(i)))
		}
		holding := func(w string) []int32 {
			var in []int32
			for i, d := range sets {
				if d.Accepts(w) {
					in = append(in, int32(i))
				}
			}
			return in
		}
		var want []Class
		seen := map[string]bool{}
		for _, w := range all {
			in := holding(w)
			if key := fmt.Sprint(in); !seen[key] {
				seen[key] = true
				want = append(want, Class{in, w})
			}
		}
		got, err := Split(domain, machines(sets...), plenty())
		if err != nil {
			t.Fatal(err)
		}
		for len(got) > len(want) {
			last := got[len(got)-1]
			if len(last.Least) <= longest || seen[fmt.Sprint(last.In)] || !slices.Equal(holding(last.Least), last.In) {
				t.Fatalf("%v is a class of its own", last)
			}
			got = got[:len(got)-1]
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("got %v\nwant %v", got, want)
		}
	})
}

func TestMinimisedAcceptsTheSame(t *testing.T) {
	all := words([]string{"a", "b"}, 7)
	rapid.Check(t, func(t *rapid.T) {
		expr := rapid.StringMatching(`(a|b|\(a\|b\)|a\*|b\?|\(ab\)\+|\[ab\]){1,6}`).Draw(t, "e")
		d, err := Regex(expr, &Budget{Steps: 1 << 12, States: 1 << 12}) // too poor to minimise much
		if err != nil {
			t.Skip(err)
		}
		small := d.minimised(plenty())
		for _, w := range all {
			if d.Accepts(w) != small.Accepts(w) {
				t.Fatalf("%s on %q", expr, w)
			}
		}
		if small.Size() > d.Size() {
			t.Fatalf("%s grew from %d to %d", expr, d.Size(), small.Size())
		}
	})
}

func TestWhatIsTooLargeIsRefused(t *testing.T) {
	for _, expr := range []string{`.*a.{20}`, `(\pL{1,50}){1,10}`, strings.Repeat(`(a|b)?`, 300) + "c"} {
		if _, err := Regex(expr, &Budget{Steps: 2_000_000, States: 4096}); err != nil && !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", expr, err)
		}
	}
	if _, err := Regex(`.*a.{20}`, &Budget{Steps: 2_000_000, States: 4096}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a million states fit into a small budget: %v", err)
	}
	if _, err := Regex("(", plenty()); err == nil || errors.Is(err, ErrTooLarge) {
		t.Errorf("a broken expression: %v", err)
	}
}

func FuzzRegex(f *testing.F) {
	for _, s := range []string{"a", `\b.*`, "(?m)^a$", `\x{10ffff}`, "(?i)ß"} {
		f.Add(s, "a\nb")
	}
	f.Fuzz(func(t *testing.T, expr, s string) {
		d, err := Regex(expr, &Budget{Steps: 1_000_000, States: 1 << 12})
		if err != nil {
			return
		}
		re, err := regexp.Compile(`\A(?:` + Latin1(expr) + `)\z`)
		if _, alone := regexp.Compile(expr); err != nil || alone != nil {
			return
		}
		if want := re.MatchString(Latin1(s)); d.Accepts(s) != want {
			t.Fatalf("%q on %q: %v", expr, s, !want)
		}
		if least, err := Split(All(), machines(d), plenty()); err == nil {
			for _, c := range least {
				if slices.Contains(c.In, 0) != d.Accepts(c.Least) {
					t.Fatalf("%q: %q is in the wrong class", expr, c.Least)
				}
			}
		}
	})
}
