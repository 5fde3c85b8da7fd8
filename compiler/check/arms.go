package check

import (
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
)

// relateArms names the fields of which only one may be written, where they
// stand on other lines than the diagnostic. A zero range is a field that is not
// written.
func relateArms(d *diag.Diagnostic, arms ...diag.Range) {
	for _, at := range arms {
		if !at.IsZero() && at.Start.Line != d.Range.Start.Line {
			d.Related = append(d.Related, diag.Related{Range: at, Message: "one of them"})
		}
	}
}

// where gives the place of a value that may not be written.
func where[T any](v *intent.Value[T]) diag.Range {
	if v == nil {
		return diag.Range{}
	}
	return v.At
}

// actions gives the places of what a route does with its requests.
func actions(to diag.Range, redirect *intent.Redirect, respond *intent.Respond) []diag.Range {
	out := []diag.Range{to}
	if redirect != nil {
		out = append(out, redirect.At)
	}
	if respond != nil {
		out = append(out, respond.At)
	}
	return out
}
