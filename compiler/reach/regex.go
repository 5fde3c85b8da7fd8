package reach

import (
	"regexp"
	"sync"

	"github.com/meshc/meshc/compiler/reach/automaton"
)

// compiled keeps anchored expressions; one mesh holds few.
var compiled sync.Map // string → *regexp.Regexp, nil when it does not compile

// AcceptsRegex says whether the RE2 expression matches all of s, as Envoy's
// safe_regex does, where every byte is one character (automaton.Regex).
func AcceptsRegex(expr, s string) bool {
	re := anchored(expr)
	return re != nil && re.MatchString(automaton.Latin1(s))
}

func anchored(expr string) *regexp.Regexp {
	if v, ok := compiled.Load(expr); ok {
		return v.(*regexp.Regexp)
	}
	var re *regexp.Regexp
	if _, err := regexp.Compile(automaton.Latin1(expr)); err == nil {
		re, _ = regexp.Compile(`\A(?:` + automaton.Latin1(expr) + `)\z`)
	}
	compiled.Store(expr, re)
	return re
}
