// Package show writes what package expect found.
package show

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/expect"
)

// Text writes a report for a reader, a line for each expectation that holds and
// the counterexample of one that does not. place names a file as the reader does.
func Text(w io.Writer, r *expect.Report, place func(diag.Range) string) error {
	var b strings.Builder
	for i := range r.Results {
		result(&b, &r.Results[i], place)
	}
	fmt.Fprintln(&b, Closing(r))
	_, err := io.WriteString(w, b.String())
	return err
}

// marks of verdicts, of one width.
var marks = map[expect.Verdict]string{
	expect.Holds: "ok     ", expect.Fails: "FAIL   ", expect.Vacuous: "VACUOUS", expect.Unknown: "UNKNOWN",
}

func result(b *strings.Builder, r *expect.Result, place func(diag.Range) string) {
	fmt.Fprintf(b, "%s  %s %s  %s  [%s]\n", marks[r.Verdict], r.Owner, r.Name, looked(r), place(r.At))
	line := func(label, text string) {
		if text != "" {
			fmt.Fprintf(b, "         %-9s%s\n", label, text)
		}
	}
	for _, u := range r.Unmet {
		line("unmet", u)
	}
	if r.Verdict != expect.Holds {
		line("request", r.Request)
		line("rule", ruleText(r))
		line("why", r.Why)
		line("replay", r.Replay)
	}
	for _, u := range r.Unknown {
		line("unknown", u)
	}
	for _, m := range r.Remarks {
		line("remark", m)
	}
}

// looked says what was looked at.
func looked(r *expect.Result) string {
	switch {
	case r.Kind == "request":
		return "1 request"
	case r.Kind == expect.RuleKind:
		return "what it says"
	case r.Regions == 1:
		return r.Kind + ", 1 region of requests"
	}
	return fmt.Sprintf("%s, %d regions of requests", r.Kind, r.Regions)
}

func ruleText(r *expect.Result) string {
	if r.Rule == "" && r.RuleAt == "" {
		return ""
	}
	at := cmp.Or(r.RuleAt, "built-in default")
	if r.Rule == "" {
		return "[" + at + "]"
	}
	return fmt.Sprintf("%q  [%s]", r.Rule, at)
}

// Closing says in one line how it stands.
func Closing(r *expect.Report) string {
	out := fmt.Sprintf("%d hold", r.Count(expect.Holds))
	for _, v := range []expect.Verdict{expect.Fails, expect.Vacuous, expect.Unknown} {
		if n := r.Count(v); n > 0 {
			out += fmt.Sprintf(", %d %s", n, map[expect.Verdict]string{expect.Fails: "fail", expect.Vacuous: "about nothing", expect.Unknown: "unknown"}[v])
		}
	}
	of := "expectations"
	if slices.ContainsFunc(r.Results, func(e expect.Result) bool { return e.Kind == expect.RuleKind }) {
		of += " and tests of rules"
	}
	return fmt.Sprintf("%d of %d %s: %s", len(r.Results), r.Written, of, out)
}
