package lower

import (
	"math/bits"
	"slices"
)

// precedence is a strict partial order over rules 0..n-1, kept transitively
// closed, as it is looked up for every pair: of each rule those that come after
// it and those that come before it.
type precedence struct {
	after, before []bitset
}

// bitset holds numbers of rules.
type bitset []uint64

func (b bitset) has(i int) bool { return b[i/64]&(1<<(i%64)) != 0 }

func (b bitset) put(i int) { b[i/64] |= 1 << (i % 64) }

func (b bitset) putAll(of bitset) {
	for w := range b {
		b[w] |= of[w]
	}
}

func (b bitset) len() int {
	n := 0
	for _, word := range b {
		n += bits.OnesCount64(word)
	}
	return n
}

// without calls f for each number of b that is not in others.
func (b bitset) without(others bitset, f func(int)) {
	for w := range b {
		for word := b[w] &^ others[w]; word != 0; word &= word - 1 {
			f(w*64 + bits.TrailingZeros64(word))
		}
	}
}

func newPrecedence(n int) *precedence {
	p := &precedence{after: make([]bitset, n), before: make([]bitset, n)}
	words := (n + 63) / 64
	all := make(bitset, 2*n*words)
	for i := range n {
		p.after[i], p.before[i] = all[:words:words], all[words:2*words:2*words]
		all = all[2*words:]
	}
	return p
}

// first says that i comes before j.
func (p *precedence) first(i, j int) bool { return p.after[i].has(j) }

// add puts i before j. It refuses, and changes nothing, when that would close
// a circle.
func (p *precedence) add(i, j int) bool {
	if i == j || p.first(j, i) {
		return false
	}
	if p.first(i, j) {
		return true
	}
	// What is before j already comes before all that follows it, and what is after
	// i follows all that is before it. The rows of i and j are what the others are
	// held against, and change last.
	early := func(k int) { p.after[k].put(j); p.after[k].putAll(p.after[j]) }
	late := func(k int) { p.before[k].put(i); p.before[k].putAll(p.before[i]) }
	p.before[i].without(p.before[j], early)
	p.after[j].without(p.after[i], late)
	early(i)
	late(j)
	return true
}

// order lists all rules so that each comes after those before it; among free
// ones the lowest number is first.
func (p *precedence) order() []int {
	waiting := make([]int, len(p.before)) // predecessors not yet placed
	for i, before := range p.before {
		waiting[i] = before.len()
	}
	var out []int
	for range waiting {
		next := slices.Index(waiting, 0)
		waiting[next] = -1
		out = append(out, next)
		for j := range waiting {
			if p.first(next, j) {
				waiting[j]--
			}
		}
	}
	return out
}
