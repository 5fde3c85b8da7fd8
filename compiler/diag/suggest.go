package diag

import "slices"

// EditDistance counts the insertions, deletions and replacements of bytes, and
// the exchanges of two that stand side by side, between a and b (optimal string
// alignment).
func EditDistance(a, b string) int {
	before, row := make([]int, len(b)+1), make([]int, len(b)+1) // of the two letters of a behind us
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			cost := row[j]
			if a[i] != b[j] {
				cost++
			}
			next[j+1] = min(cost, row[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}

// MeantWord gives the only word of the language that word can be a misspelling
// of, so that a fix may write it: one mistake in three letters, and no other
// word as near.
func MeantWord(word string, known []string) (string, bool) {
	return only(word, known, len(word)/3)
}

// MeantName does the same for names that users choose. "api" and "app" are two
// names and no mistake, so it takes four letters for one mistake.
func MeantName(name string, known []string) (string, bool) {
	return only(name, known, len(name)/4)
}

func only(name string, known []string, most int) (string, bool) {
	best, distance, tie := "", most+1, false
	for _, k := range slices.Compact(slices.Sorted(slices.Values(known))) {
		switch d := EditDistance(name, k); {
		case d < distance:
			best, distance, tie = k, d, false
		case d == distance:
			tie = true
		}
	}
	return best, best != "" && best != name && !tie
}
