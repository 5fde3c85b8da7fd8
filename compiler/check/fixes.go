package check

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
)

// meantText gives the help for an unknown name in a text, and the fix where
// only one name can be meant. The fix is left out when beside, the list that
// the text stands in, has that name already.
func meantText(d *diag.Diagnostic, v intent.Value[string], known []string, beside []intent.Value[string]) {
	d.Help = meant(v.V, known)
	if name, ok := diag.MeantName(v.V, known); ok && !listed(beside, name) {
		writeText(d, v, name)
	}
}

// meantWord is meantText for words of the language.
func meantWord(d *diag.Diagnostic, v intent.Value[string], known []string, beside []intent.Value[string]) {
	d.Help = meant(v.V, known)
	if word, ok := diag.MeantWord(v.V, known); ok && !listed(beside, word) {
		writeText(d, v, word)
	}
}

// meantLabel is meantText for a name that is a label.
func meantLabel(d *diag.Diagnostic, v intent.Value[string], known []string, taken bool) {
	d.Help = meant(v.V, known)
	if name, ok := diag.MeantName(v.V, known); ok && !taken {
		d.WithFix(fmt.Sprintf("write %q", name), diag.Edit{Op: diag.Rename, Range: v.At, Old: v.V, New: name})
	}
}

func writeText(d *diag.Diagnostic, v intent.Value[string], text string) {
	d.WithFix(fmt.Sprintf("write %q", text), diag.Edit{Op: diag.SetText, Range: v.At, Old: v.V, New: text})
}

func listed(list []intent.Value[string], name string) bool {
	return slices.ContainsFunc(list, func(v intent.Value[string]) bool { return v.V == name })
}

// unitless is a number, and perhaps a unit in words.
var unitless = regexp.MustCompile(`^\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*$`)

// units are the words that people write for the units of a duration. Without
// one, seconds are meant: no field of the language counts anything else.
var units = map[string]string{
	"": "s", "s": "s", "sec": "s", "secs": "s", "second": "s", "seconds": "s",
	"ms": "ms", "msec": "ms", "millis": "ms", "millisecond": "ms", "milliseconds": "ms",
	"m": "m", "min": "m", "mins": "m", "minute": "m", "minutes": "m", "h": "h", "hour": "h", "hours": "h",
}

// meantDuration writes the unit that is missing, or the one that is meant.
func meantDuration(d *diag.Diagnostic, v intent.Value[string]) {
	m := unitless.FindStringSubmatch(v.V)
	if m == nil {
		return
	}
	unit, ok := units[strings.ToLower(m[2])]
	if text := m[1] + unit; ok && text != v.V {
		if _, err := literal.Duration(text); err == nil {
			writeText(d, v, text)
		}
	}
}

// meantMethod writes a method in upper case.
func meantMethod(d *diag.Diagnostic, v intent.Value[string], beside []intent.Value[string]) {
	if upper := strings.ToUpper(v.V); upper != "CONNECT" && methodName.MatchString(upper) && !listed(beside, upper) {
		writeText(d, v, upper)
	}
}

// rounded gives a percentage with two decimals, rounded half up.
func rounded(percent string) (string, bool) {
	whole, fraction, _ := strings.Cut(percent, ".")
	if len(fraction) <= 2 {
		return "", false
	}
	bp, err := literal.Percent(whole + "." + fraction[:2])
	if err != nil {
		return "", false
	}
	if fraction[2] >= '5' {
		bp++
	}
	return literal.FormatPercent(bp), true
}

// roundPercent writes the share of a fault with two decimals, unless nothing
// is left of it.
func roundPercent(d *diag.Diagnostic, v intent.Value[string]) {
	if text, ok := rounded(v.V); ok && text != "0" {
		d.WithFix("write "+text, diag.Edit{Op: diag.SetLiteral, Range: v.At, New: text})
	}
}

// roundWeight writes a weight with two decimals, if all weights of the route
// then add up to 100.
func roundWeight(d *diag.Diagnostic, r *intent.Route, w *intent.Weight) {
	sum := uint32(0)
	for _, o := range r.To {
		text, ok := rounded(o.Percent.V)
		if !ok {
			text = o.Percent.V
		}
		bp, err := literal.Percent(text)
		if err != nil {
			return
		}
		sum += bp
	}
	if text, ok := rounded(w.Percent.V); ok && sum == model.BasisPointsWhole {
		d.WithFix("write "+text, diag.Edit{Op: diag.SetLiteral, Range: w.Percent.At, New: text})
	}
}

// withoutRest takes away what `retries` says beside `attempts: 0`; `on` is
// required, so it stays, empty.
func withoutRest(d *diag.Diagnostic, re *intent.Retries) {
	if re.PerTryIdle != nil || re.Backoff != nil || re.AvoidTried != nil || re.RateLimited != nil {
		return // which of so much is meant is for the user to say
	}
	var edits []diag.Edit
	if len(re.On) > 0 {
		edits = append(edits, diag.Edit{Op: diag.Empty, Range: re.On[0].At})
	}
	if re.PerTry != nil {
		edits = append(edits, diag.Edit{Op: diag.RemoveValue, Range: re.PerTry.At})
	}
	if len(re.Methods) > 0 {
		edits = append(edits, diag.Edit{Op: diag.RemoveAround, Range: re.Methods[0].At})
	}
	d.WithFix("take them away", edits...)
}

// sameCondition says that two conditions hold for the same values.
func sameCondition(a, b *intent.NamedMatch) bool {
	not := func(n *intent.NamedMatch) bool { return n.Not != nil && n.Not.V }
	return a.Kind.V == b.Kind.V && a.Value.V == b.Value.V && not(a) == not(b)
}
