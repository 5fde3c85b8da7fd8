package automaton

import (
	"encoding/binary"
	"regexp/syntax"
	"slices"
)

// context is what stands on one side of a position, as far as conditions on
// positions can tell.
type context uint8

const (
	edgeOfText context = iota
	lineBreak
	wordByte
	otherByte
	contexts
)

func contextOf(c byte) context {
	switch {
	case c == '\n':
		return lineBreak
	case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '_':
		return wordByte
	}
	return otherByte
}

// sample is a rune that stands for a context in syntax.EmptyOpContext.
func (c context) sample() rune {
	return [...]rune{edgeOfText: -1, lineBreak: '\n', wordByte: 'a', otherByte: '!'}[c]
}

// subsets is the subset construction under way. A state is the set of nodes
// before conditions on the position are looked at, with what stands before it:
// what comes after it is only known with the next byte.
type subsets struct {
	*program
	budget *Budget
	known  map[string]int32
	sets   [][]int32
	before []context
	states []state

	seen  []int // mark per node of the closure under way
	mark  int
	stack []int32
}

func (p *program) determinise(b *Budget) (*DFA, error) {
	s := &subsets{program: p, budget: b, known: map[string]int32{}, seen: make([]int, len(p.nodes))}
	s.intern([]int32{p.start}, edgeOfText)
	for i := 0; i < len(s.sets); i++ {
		if err := s.expand(i); err != nil {
			return nil, err
		}
	}
	return trim(s.states), nil
}

func (s *subsets) intern(set []int32, before context) int32 {
	key := make([]byte, 0, 4*len(set)+1)
	for _, n := range set {
		key = binary.LittleEndian.AppendUint32(key, uint32(n))
	}
	key = append(key, byte(before))
	if i, ok := s.known[string(key)]; ok {
		return i
	}
	i := int32(len(s.sets))
	s.known[string(key)] = i
	s.sets, s.before, s.states = append(s.sets, set), append(s.before, before), append(s.states, state{})
	return i
}

// expand finds the edges of one state.
func (s *subsets) expand(i int) error {
	var next [256][]int32
	for after := edgeOfText; after < contexts; after++ {
		nodes, matches := s.closure(s.sets[i], s.before[i], after)
		if after == edgeOfText {
			s.states[i].accept = matches
			continue
		}
		if !s.looks { // one closure is as good as another
			s.gather(nodes, &next, func(byte) bool { return true })
			break
		}
		s.gather(nodes, &next, func(c byte) bool { return contextOf(c) == after })
	}
	s.states[i].edges = s.row(&next)
	return s.budget.spend(256+len(s.sets[i]), len(s.sets))
}

// row gives the edges to the sets that each byte leads to.
func (s *subsets) row(next *[256][]int32) []edge {
	var row [256]int32
	for c := range next {
		row[c] = dead
		if len(next[c]) == 0 {
			continue
		}
		slices.Sort(next[c])
		next[c] = slices.Compact(next[c])
		before := s.seenAs(byte(c))
		if c > 0 && before == s.seenAs(byte(c-1)) && slices.Equal(next[c], next[c-1]) {
			row[c] = row[c-1]
			continue
		}
		row[c] = s.intern(next[c], before)
	}
	return compress(&row)
}

func (s *subsets) gather(nodes []int32, next *[256][]int32, takes func(byte) bool) {
	for _, n := range nodes {
		for _, e := range s.nodes[n].edges {
			s.budget.Steps -= 1 + int(e.hi-e.lo)/8
			for c := int(e.lo); c <= int(e.hi); c++ {
				if takes(byte(c)) {
					next[c] = append(next[c], e.to)
				}
			}
		}
	}
}

// seenAs is the context that a byte leaves behind, no finer than conditions of
// this program ask for.
func (s *subsets) seenAs(c byte) context {
	switch before := contextOf(c); {
	case before == lineBreak && s.lines, before == wordByte && s.words:
		return before
	}
	return otherByte
}

// closure follows everything that reads nothing, and gives the reading nodes
// and whether a match is among what was passed.
func (s *subsets) closure(set []int32, before, after context) (nodes []int32, matches bool) {
	holds := syntax.EmptyOpContext(before.sample(), after.sample())
	s.mark++
	s.stack = append(s.stack[:0], set...)
	for len(s.stack) > 0 {
		n := s.stack[len(s.stack)-1]
		s.stack = s.stack[:len(s.stack)-1]
		if s.seen[n] == s.mark {
			continue
		}
		s.seen[n] = s.mark
		s.budget.Steps--
		switch node := &s.nodes[n]; node.kind {
		case reading:
			nodes = append(nodes, n)
		case forking:
			s.stack = append(s.stack, node.next[0], node.next[1])
		case looking:
			if node.cond&^holds == 0 {
				s.stack = append(s.stack, node.next[0])
			}
		case matching:
			matches = true
		}
	}
	return nodes, matches
}
