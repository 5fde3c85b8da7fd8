package automaton

// Literal shapes. With fold, ASCII letters compare without regard to case and
// all other bytes as they are, which is how Envoy folds.

// Exact accepts s alone.
func Exact(s string, fold bool) *DFA {
	states := chain(s, fold)
	states[len(s)].accept = true
	return &DFA{states}
}

// Prefix accepts whatever begins with s.
func Prefix(s string, fold bool) *DFA {
	states := chain(s, fold)
	states[len(s)] = state{true, []edge{{0, 255, int32(len(s))}}}
	return &DFA{states}
}

// SegmentPrefix accepts s, and whatever begins with s and a slash.
func SegmentPrefix(s string, fold bool) *DFA {
	states := chain(s, fold)
	rest := int32(len(s) + 1)
	states[len(s)] = state{true, []edge{{'/', '/', rest}}}
	return &DFA{append(states, state{true, []edge{{0, 255, rest}}})}
}

// Suffix accepts whatever ends with s.
func Suffix(s string, fold bool) *DFA { return search(s, fold, false) }

// Contains accepts whatever s is a part of.
func Contains(s string, fold bool) *DFA { return search(s, fold, true) }

// All accepts every string.
func All() *DFA { return Prefix("", false) }

// chain has one state per byte of s that is still to come, and a last one
// without edges.
func chain(s string, fold bool) []state {
	states := make([]state, len(s)+1)
	for i := range len(s) {
		to := int32(i + 1)
		lower, upper := s[i], s[i]
		if fold {
			lower, upper = lowerByte(s[i]), upperByte(s[i])
		}
		if lower == upper {
			states[i].edges = []edge{{s[i], s[i], to}}
		} else {
			states[i].edges = []edge{{upper, upper, to}, {lower, lower, to}}
		}
	}
	return states
}

// search is the automaton of Knuth, Morris and Pratt: state i says that the
// longest end of the input which begins s has i bytes.
func search(s string, fold, stay bool) *DFA {
	pattern := []byte(s)
	if fold {
		for i, c := range pattern {
			pattern[i] = lowerByte(c)
		}
	}
	n := len(pattern)
	rows := make([][256]int32, n+1)
	behind := int32(0) // where the input without its first byte would be
	for i := range rows {
		if i > 0 {
			rows[i] = rows[behind]
		}
		if i == n {
			break
		}
		rows[i][pattern[i]] = int32(i + 1)
		if i > 0 {
			behind = rows[behind][pattern[i]]
		}
	}
	if stay {
		for c := range rows[n] {
			rows[n][c] = int32(n)
		}
	}
	return fromRows(rows, n, fold)
}

func fromRows(rows [][256]int32, accepting int, fold bool) *DFA {
	states := make([]state, len(rows))
	for i := range rows {
		if fold {
			for c := byte('A'); c <= 'Z'; c++ {
				rows[i][c] = rows[i][lowerByte(c)]
			}
		}
		states[i] = state{i == accepting, compress(&rows[i])}
	}
	return &DFA{states}
}

func lowerByte(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func upperByte(c byte) byte {
	if 'a' <= c && c <= 'z' {
		return c - ('a' - 'A')
	}
	return c
}

// Framed accepts the empty string, and strings whose first and last bytes outer
// takes and whose other bytes inner takes; inner takes all that outer does.
func Framed(outer, inner func(byte) bool) *DFA {
	var first, again [256]int32
	for c := range 256 {
		first[c], again[c] = dead, dead
		switch {
		case outer(byte(c)):
			first[c], again[c] = 1, 1
		case inner(byte(c)):
			again[c] = 2
		}
	}
	return &DFA{[]state{{true, compress(&first)}, {true, compress(&again)}, {false, compress(&again)}}}
}

// None accepts nothing.
func None() *DFA { return &DFA{make([]state, 1)} }
