package show

import (
	"fmt"
	"strings"

	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/diag"
)

// codes of changes by class.
var codes = map[behave.Class]diag.Code{
	behave.Blackhole: diag.ChangeBlackhole,
	behave.Expose:    diag.ChangeExpose,
	behave.Weaken:    diag.ChangeWeaken,
	behave.Fault:     diag.ChangeFault,
	behave.Narrow:    diag.ChangeNarrow,
	behave.Reroute:   diag.ChangeReroute,
	behave.Restart:   diag.ChangeRestart,
	behave.Shift:     diag.ChangeShift,
	behave.Harden:    diag.ChangeHarden,
	behave.Tune:      diag.ChangeTune,
}

// Diagnostics gives one for every change and class, at its line in the tree
// after, for annotations of a pull request and for SARIF.
func Diagnostics(r *behave.Report) diag.List {
	var out diag.List
	for i := range r.Objects {
		o := &r.Objects[i]
		for j := range o.Changes {
			for _, class := range o.Changes[j].Classes {
				out.Add(diagnostic(o, &o.Changes[j], class))
			}
		}
		for _, u := range o.Unknown {
			out.Add(diag.New(diag.ChangeUnknown, o.Origin[1], "what changes about %s %s is not known: %s", o.Kind, o.Ref, u))
		}
	}
	return out
}

func diagnostic(o *behave.Object, c *behave.Change, class behave.Class) diag.Diagnostic {
	var parts []string
	place := diag.Range{}
	for _, d := range c.Deltas {
		if d.Class != class {
			continue
		}
		parts = append(parts, fmt.Sprintf("%s %s → %s", Label(d), ends(d, d.Before), ends(d, d.After)))
		if place.IsZero() {
			place = d.AfterAt
		}
	}
	if place.IsZero() {
		place = o.Origin[1]
	}
	d := diag.New(codes[class], place, "%s %s %s: %s, for %s", class, o.Kind, o.Ref, strings.Join(parts, "; "), whatText(c))
	d.Witness = c.Witness.String()
	if len(c.From) > 0 {
		d.Message += ", from " + strings.Join(c.From, "; or ")
	}
	if len(c.Callers) > 0 {
		d.Help = "callers affected: " + refText(c.Callers)
	}
	return d
}
