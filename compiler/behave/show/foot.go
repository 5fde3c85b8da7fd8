package show

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/model"
)

// foot sums up what a reviewer asks first: who may call what, what must restart,
// and how much care the change wants. There is none where nothing differs.
func foot(r *behave.Report) []string {
	if r.Equal() {
		return nil
	}
	return []string{
		"security  " + touched(r, "no change", behave.Expose, behave.Weaken, behave.Narrow, behave.Harden),
		"restarts  " + touched(r, "none", behave.Restart),
		"risk      " + risk(r),
	}
}

// touched names the objects with changes of some classes, by class.
func touched(r *behave.Report, none string, classes ...behave.Class) string {
	var out []string
	for _, c := range classes {
		var who []model.Ref
		for i := range r.Objects {
			if slices.Contains(r.Objects[i].Classes, c) {
				who = append(who, r.Objects[i].Ref)
			}
		}
		if len(who) > 0 {
			out = append(out, fmt.Sprintf("%s %s", c, refText(who)))
		}
	}
	switch {
	case len(out) == 0 && r.Unknown():
		return "not known"
	case len(out) == 0:
		return none
	case r.Unknown():
		out = append(out, "and what is not known")
	}
	return strings.Join(out, "; ")
}

// risk is that of the most serious class, and what the class stands for. What is
// not known may be anything.
func risk(r *behave.Report) string {
	classes := r.Classes()
	level := strings.ToUpper(behave.Risk(classes))
	switch {
	case r.Unknown() && level != "HIGH":
		return "NOT KNOWN"
	case len(classes) == 0:
		return level
	}
	return fmt.Sprintf("%s  %s: %s", level, classes[0], classes[0].Meaning())
}

// title is what a comment is headed with.
func title(r *behave.Report) string {
	if r.Equal() {
		return "no request is treated differently"
	}
	level, _, _ := strings.Cut(risk(r), "  ")
	sign := map[string]string{"HIGH": "🔴 high risk", "MEDIUM": "🟡 medium risk", "LOW": "🟢 low risk"}[level]
	if sign == "" {
		sign = "⚪ risk not known"
	}
	var who []model.Ref
	for i := range r.Objects {
		who = append(who, r.Objects[i].Ref)
	}
	return fmt.Sprintf("%s · %s · %s", sign, classText(r.Classes()), refText(who))
}

// barWidth is how many cells stand for 100 %.
const barWidth = 20

// bar shows the share that a destination has afterwards, "" for other deltas: at
// least one cell for any share, and all of them for the whole alone.
func bar(d behave.Delta) string {
	if !strings.HasPrefix(d.Name, "to ") {
		return ""
	}
	percent, ok := strings.CutSuffix(ends(d, d.After), " %")
	share, err := strconv.ParseFloat(percent, 64)
	if !ok || err != nil {
		return ""
	}
	full := int(share / 100 * barWidth)
	if share > 0 {
		full = max(full, 1)
	}
	return strings.Repeat("█", full) + strings.Repeat("░", barWidth-full) + "  "
}
