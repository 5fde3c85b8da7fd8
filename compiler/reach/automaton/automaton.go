// Package automaton decides questions about sets of byte strings: a literal, a
// prefix, a suffix, a substring, an RE2 expression or a range of integers goes
// in, a deterministic automaton comes out; several automata over one domain
// split it into the classes that they can tell apart, each with its shortest,
// then bytewise least member. Work is bounded by a Budget; what does not fit is
// refused with ErrTooLarge.
package automaton

import "errors"

// ErrTooLarge says that a Budget was used up.
var ErrTooLarge = errors.New("the automaton grows too large")

// Budget bounds the work of one question. It is used up by all that it is
// handed to, and is not safe for concurrent use.
type Budget struct {
	Steps  int // elementary steps over everything
	States int // states of any one automaton
}

func (b *Budget) spend(steps, states int) error {
	if b.Steps -= steps; b.Steps < 0 || states > b.States {
		return ErrTooLarge
	}
	return nil
}

// DFA is a deterministic automaton over bytes. State 0 is the start; a missing
// edge rejects. Every state but perhaps the start leads to an accepting one. It
// is immutable.
type DFA struct {
	states []state
}

type state struct {
	accept bool
	edges  []edge // disjoint, ascending
}

type edge struct {
	lo, hi byte
	to     int32
}

// Accepts says whether s belongs to the set.
func (d *DFA) Accepts(s string) bool {
	at := int32(0)
	for i := range len(s) {
		if at = step(d.states[at].edges, s[i]); at < 0 {
			return false
		}
	}
	return d.states[at].accept
}

// Empty says that no string belongs to the set.
func (d *DFA) Empty() bool { return !d.states[0].accept && len(d.states[0].edges) == 0 }

// Size is the number of states.
func (d *DFA) Size() int { return len(d.states) }

// step follows one byte.
func step(edges []edge, c byte) int32 {
	i, end := 0, len(edges)
	for i < end {
		if half := (i + end) / 2; edges[half].hi < c {
			i = half + 1
		} else {
			end = half
		}
	}
	if i < len(edges) && edges[i].lo <= c {
		return edges[i].to
	}
	return dead
}

const dead = -1

// compress turns one row of a transition table into edges.
func compress(row *[256]int32) []edge {
	var out []edge
	for c, to := range row {
		if to == dead {
			continue
		}
		if n := len(out); n > 0 && out[n-1].to == to && int(out[n-1].hi) == c-1 {
			out[n-1].hi = byte(c)
			continue
		}
		out = append(out, edge{byte(c), byte(c), to})
	}
	return out
}

// trim drops what leads to no accepting state, keeping the start.
func trim(states []state) *DFA {
	useful := backwards(states)
	number := make([]int32, len(states))
	var kept []int
	for i := range states {
		number[i] = dead
		if useful[i] || i == 0 {
			number[i] = int32(len(kept))
			kept = append(kept, i)
		}
	}
	out := make([]state, len(kept))
	for n, i := range kept {
		out[n].accept = states[i].accept
		for _, e := range states[i].edges {
			if !useful[e.to] {
				continue
			}
			e.to = number[e.to]
			out[n].edges = append(out[n].edges, e)
		}
	}
	return &DFA{out}
}

// backwards marks the states from which an accepting one can be reached.
func backwards(states []state) []bool {
	from := make([][]int32, len(states))
	useful := make([]bool, len(states))
	var work []int32
	for i := range states {
		for _, e := range states[i].edges {
			from[e.to] = append(from[e.to], int32(i))
		}
		if states[i].accept {
			useful[i] = true
			work = append(work, int32(i))
		}
	}
	for len(work) > 0 {
		i := work[len(work)-1]
		work = work[:len(work)-1]
		for _, j := range from[i] {
			if !useful[j] {
				useful[j] = true
				work = append(work, j)
			}
		}
	}
	return useful
}
