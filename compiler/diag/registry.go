package diag

import (
	"cmp"
	"fmt"
	"slices"
)

// Entry is what the registry knows of one code. Bad and Good are the smallest
// mesh fragments that do and do not produce it; they may be empty for a code
// that no fragment shows.
type Entry struct {
	Code     Code     `json:"code"`
	Severity Severity `json:"severity"`
	Title    string   `json:"title"`
	Explain  string   `json:"explain"`
	Bad      string   `json:"bad,omitempty"`
	Good     string   `json:"good,omitempty"`
}

// blocks of the registry, in any order; each has its file.
var blocks = [][]Entry{
	shape,
	dataFiles,
	suppress,
	routing,
	vain,
	callers,
	migration,
	aliases,
	change,
	expecting,
	guardrails,
	trace,
	matching,
	limits,
	edge,
	security,
	rules,
	tokens,
	originTLS,
	resilience,
	traffic,
	place,
	callGraph,
	capacity,
	overlap,
	cluster,
	telemetry,
	workload,
	compile,
	raw,
	running,
	internal,
}

// Registry gives every code in ascending order.
func Registry() []Entry {
	var all []Entry
	for _, block := range blocks {
		all = append(all, block...)
	}
	slices.SortFunc(all, func(a, b Entry) int { return cmp.Compare(a.Code, b.Code) })
	return all
}

// byCode is the registry as a map; built once, never written again.
var byCode = index(Registry())

func index(all []Entry) map[Code]Entry {
	m := make(map[Code]Entry, len(all))
	for _, e := range all {
		m[e.Code] = e
	}
	return m
}

// Lookup finds the entry of a code.
func Lookup(c Code) (Entry, bool) {
	e, ok := byCode[c]
	return e, ok
}

// New makes a diagnostic of a registered code at r; the severity is the
// registry's. It panics on a code that is not registered, which is a bug of
// the caller.
func New(c Code, r Range, format string, args ...any) Diagnostic {
	e, ok := byCode[c]
	if !ok {
		panic(fmt.Sprintf("diag: code %s is not registered", c))
	}
	return Diagnostic{Code: c, Severity: e.Severity, Range: r, Message: fmt.Sprintf(format, args...)}
}
