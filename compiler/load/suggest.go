package load

import (
	"fmt"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
)

// nearest is the help for a name that nobody knows: the nearest known one, or
// all of a few; "" where there is nothing to say.
func nearest(name string, known []string) string {
	best, distance := "", len(name)/3+1
	for _, k := range known {
		if d := diag.EditDistance(name, k); d <= distance && (best == "" || d < distance) {
			best, distance = k, d
		}
	}
	switch {
	case best != "":
		return fmt.Sprintf("did you mean %q?", best)
	case len(known) > 0 && len(known) <= 12:
		return "known here: " + strings.Join(known, ", ")
	}
	return ""
}
