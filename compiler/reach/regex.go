package reach

import (
	"regexp"
	"sync"
	"sync/atomic"

	"github.com/meshc/meshc/compiler/reach/automaton"
)

// compiled and prefixes keep what was made of expressions, as they are asked for
// pair by pair and request by request.
var (
	compiled memo[*regexp.Regexp] // anchored; nil for what does not compile
	prefixes memo[string]
)

// memo keeps what a function gives for a text. A process that reads many meshes
// sees no end of texts, so that it begins anew when there are mostKept of them.
type memo[V any] struct {
	kept atomic.Pointer[sync.Map]
	n    atomic.Int64
}

const mostKept = 20_000

func (m *memo[V]) of(text string, f func(string) V) V {
	kept := m.kept.Load()
	if kept == nil || m.n.Load() >= mostKept {
		m.n.Store(0)
		kept = &sync.Map{}
		m.kept.Store(kept)
	}
	if v, ok := kept.Load(text); ok {
		return v.(V)
	}
	v := f(text)
	kept.Store(text, v)
	m.n.Add(1)
	return v
}

// AcceptsRegex says whether the RE2 expression matches all of s, as Envoy's
// safe_regex does, where every byte is one character (automaton.Regex).
func AcceptsRegex(expr, s string) bool {
	re := compiled.of(expr, anchored)
	return re != nil && re.MatchString(automaton.Latin1(s))
}

func anchored(expr string) *regexp.Regexp {
	if _, err := regexp.Compile(automaton.Latin1(expr)); err != nil {
		return nil
	}
	re, _ := regexp.Compile(`\A(?:` + automaton.Latin1(expr) + `)\z`)
	return re
}
