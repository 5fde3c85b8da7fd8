package valid

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"sync"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/durationpb"
)

// some is the list of the reasons that are there.
func some(all ...error) []error {
	var out []error
	for _, err := range all {
		if err != nil {
			out = append(out, err)
		}
	}
	return out
}

// durations are whole, and none of Envoy's is negative (DurationUtil).
func durations(d *durationpb.Duration) []error {
	if err := d.CheckValid(); err != nil {
		return some(err)
	}
	if d.AsDuration() < 0 {
		return some(fmt.Errorf("the duration %s is negative", d.AsDuration()))
	}
	return nil
}

// maxRegexProgram bounds an expression, in instructions of Go's program. RE2's
// has up to ten for each, which stays below the bound of our bootstraps.
const maxRegexProgram = 100_000

func regexes(m *matcherv3.RegexMatcher) []error { return some(regex(m.GetRegex())) }

// taken are expressions that RE2 takes: meshes say the same ones over and over.
var taken = struct {
	sync.Mutex
	known map[string]bool
}{known: map[string]bool{}}

// Bounds of what is remembered: expressions, and bytes of each.
const (
	maxTaken  = 1 << 12
	longTaken = 1 << 8
)

// regex says why RE2 would not take an expression.
func regex(expr string) error {
	taken.Lock()
	ok := taken.known[expr]
	taken.Unlock()
	if ok {
		return nil
	}
	err := parsed(expr)
	if err == nil && len(expr) <= longTaken {
		taken.Lock()
		defer taken.Unlock()
		if len(taken.known) >= maxTaken {
			clear(taken.known)
		}
		taken.known[strings.Clone(expr)] = true
	}
	return err
}

func parsed(expr string) error {
	tree, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return fmt.Errorf("regular expression %q: %w", clip(expr), err)
	}
	program, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return fmt.Errorf("regular expression %q: %w", clip(expr), err)
	}
	if n := len(program.Inst); n > maxRegexProgram {
		return fmt.Errorf("regular expression %q has %d instructions, more than %d", clip(expr), n, maxRegexProgram)
	}
	return nil
}

func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}

var reference = regexp.MustCompile(`\\.?`)

// substitutions refer to groups that the pattern has; Envoy takes others and
// leaves the path as it is.
func substitutions(m *matcherv3.RegexMatchAndSubstitute) []error {
	expr, err := regexp.Compile(m.GetPattern().GetRegex())
	if err != nil {
		return nil // which is the pattern's fault
	}
	for _, ref := range reference.FindAllString(m.GetSubstitution(), -1) {
		switch {
		case ref == `\\`:
		case len(ref) < 2 || ref[1] < '0' || ref[1] > '9':
			return some(fmt.Errorf("substitution %q: %q is no reference to a group", clip(m.GetSubstitution()), ref))
		case int(ref[1]-'0') > expr.NumSubexp():
			return some(fmt.Errorf("substitution %q refers to %s, and the pattern has %d groups", clip(m.GetSubstitution()), ref, expr.NumSubexp()))
		}
	}
	return nil
}

// fractions are at most the whole: Envoy takes more for the whole.
func fractions(f *typev3.FractionalPercent) []error {
	whole, ok := map[typev3.FractionalPercent_DenominatorType]uint32{
		typev3.FractionalPercent_HUNDRED: 100, typev3.FractionalPercent_TEN_THOUSAND: 10_000, typev3.FractionalPercent_MILLION: 1_000_000,
	}[f.GetDenominator()]
	if !ok || f.GetNumerator() > whole {
		return some(fmt.Errorf("%d of %s is more than the whole", f.GetNumerator(), f.GetDenominator()))
	}
	return nil
}

// ranges64 hold a number: Envoy takes an empty one and never matches.
func ranges64(r *typev3.Int64Range) []error {
	if r.GetStart() >= r.GetEnd() {
		return some(fmt.Errorf("no number is from %d up to, not including, %d", r.GetStart(), r.GetEnd()))
	}
	return nil
}

func headerOptions(o *corev3.HeaderValueOption) []error {
	return some(changeable(o.GetHeader().GetKey()), format(o.GetHeader().GetValue()))
}

// changeable: pseudo headers and host are not headers that a route may change
// (HeaderParser).
func changeable(name string) error {
	if name == "" || strings.HasPrefix(name, ":") || strings.EqualFold(name, "host") {
		return fmt.Errorf("header %q cannot be changed", name)
	}
	return nil
}

var operator = regexp.MustCompile(`%(?:%|[A-Z][A-Z0-9_]*(?:\([^)]*\))?(?::[0-9]+)?%)?`)

// format says why a string with command operators cannot be parsed.
func format(text string) error {
	for _, op := range operator.FindAllString(text, -1) {
		if op == "%" {
			return fmt.Errorf("%q holds a %% that is neither doubled nor an operator", clip(text))
		}
	}
	return nil
}
