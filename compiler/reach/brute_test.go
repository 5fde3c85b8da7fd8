package reach

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/reach/automaton"
)

// holds is the oracle: it judges p for one request by strings and regexp,
// without automata or diagrams.
func holds(p Pred, r *Request) bool {
	switch p.what().op {
	case isIn:
		return slices.ContainsFunc(r.values(p.what().dim), func(v string) bool { return holdsText(p.what().text, v) })
	case notOf:
		return !holds(p.what().of[0], r)
	case allOf:
		return !slices.ContainsFunc(p.what().of, func(q Pred) bool { return !holds(q, r) })
	}
	return slices.ContainsFunc(p.what().of, func(q Pred) bool { return holds(q, r) })
}

func asciiLower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

var expressions = map[string]*regexp.Regexp{}

func holdsText(t Text, v string) bool {
	want := t.value
	if t.fold {
		v, want = asciiLower(v), asciiLower(want)
	}
	switch t.shape {
	case exactShape:
		return v == want
	case prefixShape:
		return strings.HasPrefix(v, want)
	case segmentPrefixShape:
		return v == want || strings.HasPrefix(v, want+"/")
	case suffixShape:
		return strings.HasSuffix(v, want)
	case containsShape:
		return strings.Contains(v, want)
	case regexShape:
		re := expressions[want]
		if re == nil {
			re = regexp.MustCompile(`\A(?:` + automaton.Latin1(want) + `)\z`)
			expressions[want] = re
		}
		return re.MatchString(automaton.Latin1(v))
	case betweenShape:
		n, err := strconv.ParseInt(v, 10, 64)
		return err == nil && t.lo <= n && n < t.hi
	}
	return true
}

// pools are small alphabets: for each coordinate the lists of values that it
// takes in exhaustive walks. The empty list is absence.
var pools = func() map[Dim][][]string {
	words := allWords("aB", 3)
	one := func(values ...string) [][]string {
		var out [][]string
		for _, v := range values {
			out = append(out, []string{v})
		}
		return out
	}
	orNone := func(lists [][]string) [][]string { return append([][]string{nil}, lists...) }
	var paths []string
	for _, w := range allWords("/aB", 4) {
		paths = append(paths, "/"+w)
	}
	var lists [][]string // of a repeated field
	for _, v := range append(words, "7", "-12") {
		lists = append(lists, []string{v})
		for _, w := range []string{"", "a", "Ba", "12", "aBa"} {
			lists = append(lists, []string{v, w})
		}
	}
	return map[Dim][][]string{
		{Kind: Path}:                one(paths...),
		{Kind: Method}:              one("GET", "POST", "PUT", "BREW"),
		{Kind: Port}:                one("80", "443", "9080", "1", "65535"),
		{Kind: Scheme}:              one("http", "https"),
		{Kind: Host}:                one("a", "b.a", "a.b", "x.b.a", "aa.b"),
		{Kind: Identity}:            orNone(one("spiffe://td/ns/a/sa/b", "spiffe://td/ns/a/sa/c", "spiffe://td/ns/b/sa/b", "spiffe://other/ns/a/sa/b")),
		{Kind: Header, Name: "x"}:   orNone(lists),
		{Kind: Header, Name: "y"}:   orNone(one(words...)),
		{Header, "user-agent"}:      orNone(append(one(words...), []string{"a", "B"}, []string{"", "a"})),
		{Kind: Query, Name: "q"}:    orNone(one(words...)),
		{Kind: Query, Name: "r"}:    orNone(one("", "1", "2", "15", "a")),
		{Kind: Cookie, Name: "c"}:   orNone(one(words...)),
		{Kind: Label, Name: "tier"}: orNone(one(words...)),
		{Kind: Claim, Name: "iss"}:  orNone(lists[:40]),
	}
}()

// fragments are what literals and expressions of a coordinate are drawn from.
func fragments(d Dim, rng *rand.Rand) (literal, expression string) {
	pick := func(list ...string) string { return list[rng.IntN(len(list))] }
	word := allWords("aB", 2)
	switch d.Kind {
	case Path:
		return "/" + pick(allWords("/aB", 2)...), pick("/a.*", "/[aB]", "/a(/B)?", ".*", "/(a|B)/?", "/B+", "(?i)/A/b", `/.*\bB`, `[^B]*`, "/.{2,3}", ".*a", "a")
	case Method:
		return pick("GET", "POST", "P"), pick("GET|POST", "P.*", "[^P].*", ".{3}")
	case Port:
		return pick("80", "443", "9080"), pick("[0-9]{2}", ".*80", "[1-9]")
	case Scheme:
		return pick("http", "https"), pick("https?", "https")
	case Host:
		return pick("a", "b.a", ".a", ".b", "a.b"), pick(`.*\.a`, "[^.]*", "a.*")
	case Identity:
		return pick("spiffe://td/ns/a/sa/b", "spiffe://td/", "spiffe://td/ns/a", "/sa/b"), pick(`spiffe://[^/]*/ns/a/sa/.*`, `.*/sa/b`)
	}
	return pick(append(word, "1", "12")...), pick("a.*", "[aB]+", "aB?", ".*B", "(?i)A+", `a\b.*`, "[^a]*", "(aB)*", `\d+`, "")
}

func randomText(d Dim, rng *rand.Rand) Text {
	literal, expression := fragments(d, rng)
	build := []func(string) Text{Exactly, BeginsWith, Below, EndsWith, Containing}
	switch rng.IntN(10) {
	case 0, 1, 2:
		return Matching(expression)
	case 3:
		return AnyValue()
	case 4:
		lo := int64(rng.IntN(30) - 15)
		return Between(lo, lo+int64(rng.IntN(12)))
	case 5:
		return build[rng.IntN(len(build))](literal).WithoutCase()
	}
	return build[rng.IntN(len(build))](literal)
}

func randomPred(dims []Dim, depth int, rng *rand.Rand) Pred {
	if depth == 0 || rng.IntN(5) == 0 {
		d := dims[rng.IntN(len(dims))]
		p := Is(d, randomText(d, rng))
		if rng.IntN(4) == 0 {
			p = Not(p)
		}
		return p
	}
	parts := make([]Pred, 1+rng.IntN(3))
	for i := range parts {
		parts[i] = randomPred(dims, depth-1, rng)
	}
	switch rng.IntN(5) {
	case 0:
		return Not(All(parts...))
	case 1, 2:
		return Any(parts...)
	}
	return All(parts...)
}

// walk calls visit for every request over the pools of dims.
func walk(dims []Dim, visit func(*Request)) {
	r := &Request{Scheme: "http", Method: "GET", Path: "/", Host: "a", Port: 80}
	var step func(int)
	step = func(i int) {
		if i == len(dims) {
			visit(r)
			return
		}
		for _, values := range pools[dims[i]] {
			restore := *r
			for _, v := range values {
				r.give(dims[i], v)
			}
			step(i + 1)
			*r = restore
		}
	}
	step(0)
}

// drawRequest is one request over all pools.
func drawRequest(rng *rand.Rand) *Request {
	r := &Request{Scheme: "http", Method: "GET", Path: "/"}
	for _, d := range poolDims {
		for _, v := range pools[d][rng.IntN(len(pools[d]))] {
			r.give(d, v)
		}
	}
	return r
}

var poolDims = func() []Dim {
	var out []Dim
	for d := range pools {
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b Dim) int { return strings.Compare(a.String(), b.String()) })
	return out
}()

// legal says what a valid request is, apart from the domains.
func legal(r *Request) bool {
	token := regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
	for _, h := range append(r.Fields(), r.Query...) {
		if strings.ContainsAny(h.Value, "\r\n\x00") || strings.Trim(h.Value, " \t") != h.Value {
			return false
		}
	}
	for _, q := range r.Query {
		if strings.ContainsAny(q.Value, "&# ") {
			return false
		}
	}
	return strings.HasPrefix(r.Path, "/") && !strings.ContainsAny(r.Path, "?# ") && token.MatchString(r.Method) &&
		(r.Host == "" || regexp.MustCompile(`^[a-z0-9._:\[\]-]+$`).MatchString(r.Host)) && strings.HasPrefix(r.Scheme, "http")
}

func allWords(letters string, most int) []string {
	all := []string{""}
	for last := all; most > 0; most-- {
		var next []string
		for _, w := range last {
			for _, l := range letters {
				next = append(next, w+string(l))
			}
		}
		all, last = append(all, next...), next
	}
	return all
}
