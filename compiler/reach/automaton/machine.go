package automaton

import (
	"encoding/binary"
	"slices"
)

// Machine is a deterministic automaton that tells, of any string, to which of
// several numbered sets it belongs. Many literals share one machine, which
// walks them all at once. It is immutable.
type Machine struct{ states []labelled }

type labelled struct {
	in    []int32 // ascending
	edges []edge
}

// In gives the sets that s belongs to, ascending.
func (m *Machine) In(s string) []int32 {
	at := int32(0)
	for i := range len(s) {
		if at = step(m.states[at].edges, s[i]); at < 0 {
			return nil
		}
	}
	return m.states[at].in
}

// Machine tells of one set, which it gives the number.
func (d *DFA) Machine(number int32) *Machine {
	in := []int32{number}
	m := &Machine{make([]labelled, len(d.states))}
	for i, s := range d.states {
		m.states[i].edges = s.edges
		if s.accept {
			m.states[i].in = in
		}
	}
	return m
}

// Literal is one entry of Beginnings or Endings.
type Literal struct {
	Number int32
	Text   string
	Shape  LiteralShape // of Beginnings
}

// LiteralShape says which strings belong to the set of a literal.
type LiteralShape uint8

// Shapes: the text alone, what begins with it, or the text alone and what
// begins with it and a slash.
const (
	Whole LiteralShape = iota
	Start
	Segments
)

// trie is the tree of the texts of literals.
type trie struct {
	next [][]edge // of each node, ascending by byte
	ends [][]int  // the literals whose text ends there
}

func newTrie(literals []Literal) *trie {
	t := &trie{next: [][]edge{nil}, ends: [][]int{nil}}
	for i, l := range literals {
		at := int32(0)
		for k := range len(l.Text) {
			at = t.child(at, l.Text[k])
		}
		t.ends[at] = append(t.ends[at], i)
	}
	return t
}

func (t *trie) child(at int32, c byte) int32 {
	i, found := slices.BinarySearchFunc(t.next[at], c, func(e edge, c byte) int { return int(e.lo) - int(c) })
	if !found {
		to := int32(len(t.next))
		t.next, t.ends = append(t.next, nil), append(t.ends, nil)
		t.next[at] = slices.Insert(t.next[at], i, edge{c, c, to})
	}
	return t.next[at][i].to
}

// Beginnings is the machine of literals by how strings begin. With fold, ASCII
// letters stand for both cases.
func Beginnings(literals []Literal, fold bool) *Machine {
	if fold {
		literals = lowered(literals)
	}
	b := &beginnings{literals: literals, trie: newTrie(literals), beyond: map[string]int32{}, fold: fold}
	b.states = make([]labelled, len(b.next))
	b.visit(0, nil)
	return &Machine{b.states}
}

func lowered(literals []Literal) []Literal {
	out := slices.Clone(literals)
	for i := range out {
		text := []byte(out[i].Text)
		for k, c := range text {
			text[k] = lowerByte(c)
		}
		out[i].Text = string(text)
	}
	return out
}

type beginnings struct {
	*trie
	literals []Literal
	states   []labelled
	beyond   map[string]int32 // behind all texts, by the sets that stay
	fold     bool
}

// visit labels the node at and all below. always are the sets that every longer
// string belongs to.
func (b *beginnings) visit(at int32, always []int32) {
	in, behindSlash := always, always
	if len(b.ends[at]) > 0 {
		in, behindSlash = slices.Clone(always), slices.Clone(always)
	}
	for _, i := range b.ends[at] {
		l := b.literals[i]
		in = append(in, l.Number)
		switch l.Shape {
		case Start:
			always = append(slices.Clone(always), l.Number)
			behindSlash = append(behindSlash, l.Number)
		case Segments:
			behindSlash = append(behindSlash, l.Number)
		}
	}
	if len(b.ends[at]) > 0 {
		slices.Sort(in)
		in = slices.Compact(in)
		slices.Sort(always)
		slices.Sort(behindSlash)
	}
	b.states[at].in = in
	var row [256]int32
	rest := b.stay(always)
	for c := range row {
		row[c] = rest
	}
	row['/'] = rest
	if len(b.ends[at]) > 0 {
		row['/'] = b.stay(behindSlash)
	}
	for _, e := range b.next[at] {
		row[e.lo] = e.to
		if e.lo == '/' {
			b.visit(e.to, behindSlash)
		} else {
			b.visit(e.to, always)
		}
	}
	if b.fold {
		for c := byte('A'); c <= 'Z'; c++ {
			row[c] = row[lowerByte(c)]
		}
	}
	b.states[at].edges = compress(&row)
}

// stay gives the state that is never left, whose strings belong to these sets.
func (b *beginnings) stay(in []int32) int32 {
	if len(in) == 0 {
		return dead
	}
	in = slices.Clone(in)
	slices.Sort(in)
	in = slices.Compact(in)
	var key []byte
	for _, n := range in {
		key = binary.LittleEndian.AppendUint32(key, uint32(n))
	}
	if to, ok := b.beyond[string(key)]; ok {
		return to
	}
	to := int32(len(b.states))
	b.beyond[string(key)] = to
	b.states = append(b.states, labelled{in, []edge{{0, 255, to}}})
	return to
}

// Endings is the machine of literals by how strings end: the automaton of Aho
// and Corasick.
func Endings(literals []Literal, fold bool) *Machine {
	if fold {
		literals = lowered(literals)
	}
	t := newTrie(literals)
	m := &Machine{make([]labelled, len(t.next))}
	rows := make([][256]int32, len(t.next))
	behind := make([]int32, len(t.next)) // the longest proper end that is in the trie
	for queue := []int32{0}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		in := slices.Clone(m.states[behind[at]].in)
		for _, i := range t.ends[at] {
			in = append(in, literals[i].Number)
		}
		slices.Sort(in)
		m.states[at].in = slices.Compact(in)
		if at != 0 {
			rows[at] = rows[behind[at]]
		}
		for _, e := range t.next[at] {
			if at != 0 {
				behind[e.to] = rows[behind[at]][e.lo]
			}
			rows[at][e.lo] = e.to
			queue = append(queue, e.to)
		}
	}
	for i := range rows {
		row := rows[i]
		if fold {
			for c := byte('A'); c <= 'Z'; c++ {
				row[c] = row[lowerByte(c)]
			}
		}
		m.states[i].edges = compress(&row)
	}
	return m
}
