package reach

import (
	"regexp"
	"sync"
	"unicode/utf8"
)

// compiled keeps anchored expressions; one mesh holds few.
var compiled sync.Map // string → *regexp.Regexp, nil when it does not compile

// AcceptsRegex says whether the RE2 expression matches all of s, as Envoy's
// safe_regex does. RE2 reads UTF-8, so text that is not UTF-8 never matches in
// full, where Go's regexp would take a broken byte for U+FFFD.
func AcceptsRegex(expr, s string) bool {
	re := anchored(expr)
	return re != nil && utf8.ValidString(s) && re.MatchString(s)
}

func anchored(expr string) *regexp.Regexp {
	if v, ok := compiled.Load(expr); ok {
		return v.(*regexp.Regexp)
	}
	var re *regexp.Regexp
	if _, err := regexp.Compile(expr); err == nil {
		re, _ = regexp.Compile(`\A(?:` + expr + `)\z`)
	}
	compiled.Store(expr, re)
	return re
}
