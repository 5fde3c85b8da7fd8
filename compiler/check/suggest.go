package check

import (
	"fmt"
	"slices"
	"strings"
)

// meant is the help for an unknown name: the nearest known one, or all of a
// few; "" where there is nothing to say.
func meant(name string, known []string) string {
	known = slices.Sorted(slices.Values(known))
	best, distance := "", len(name)/2+1
	for _, k := range known {
		if d := editDistance(name, k); d < distance {
			best, distance = k, d
		}
	}
	switch {
	case best != "":
		return fmt.Sprintf("did you mean %q?", best)
	case len(known) > 0 && len(known) <= 8:
		return "known here: " + strings.Join(known, ", ")
	}
	return ""
}

// editDistance counts the insertions, deletions and replacements of bytes
// between a and b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
