package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
)

// meant is the help for an unknown name: the nearest known one, or all of a
// few; "" where there is nothing to say.
func meant(name string, known []string) string {
	known = slices.Sorted(slices.Values(known))
	switch best := nearest(name, known); {
	case best != "":
		return fmt.Sprintf("did you mean %q?", best)
	case len(known) > 0 && len(known) <= 8:
		return "known here: " + strings.Join(known, ", ")
	}
	return ""
}

// nearest gives the first of the known names that differ least from name, in at
// most half of its bytes; "" when there is none.
func nearest(name string, known []string) string {
	best, distance := "", len(name)/2+1
	for _, k := range known {
		if d := diag.EditDistance(name, k); d < distance {
			best, distance = k, d
		}
	}
	return best
}
