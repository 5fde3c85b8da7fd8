package automaton

import (
	"encoding/binary"
	"slices"
)

// Class is a set of strings of a domain that the sets at hand do not tell
// apart.
type Class struct {
	In    []int32 // the sets that it belongs to, ascending
	Least string  // its shortest, then bytewise least member
}

// Split gives the classes of a domain under the sets that machines tell of, in
// the order of their least members: shorter first, then bytewise. No class is
// empty, and together they are the domain. No two machines tell of one set.
func Split(domain *DFA, machines []*Machine, b *Budget) ([]Class, error) {
	if domain.Empty() {
		return nil, nil
	}
	s := newSplitting(domain, machines, b)
	defer s.release()
	s.classes = map[string]bool{}
	for i := 0; i < len(s.tuples); i++ {
		s.settle(int32(i))
		if err := s.expand(int32(i)); err != nil {
			return nil, err
		}
	}
	return s.out, nil
}

// splitting walks the product of the domain and all machines, breadth first
// and with bytes ascending, so that the first way to a tuple spells the least
// string that leads there. Machines that have nothing more to tell are left out
// of a tuple: of a hundred expressions few are in play anywhere.
type splitting struct {
	*walked
	domain   *DFA
	machines []*Machine
	budget   *Budget
	classes  map[string]bool
	out      []Class
	told     func(from int32, e edge) // told of every step; may be nil

	key []byte
	in  []int32
	at  []int
}

// newSplitting has the tuple of all starts.
func newSplitting(domain *DFA, machines []*Machine, b *Budget) *splitting {
	s := &splitting{walked: takeWalked(), domain: domain, machines: machines, budget: b}
	for i := range machines {
		s.next = append(s.next, part{int32(i), 0})
	}
	s.intern(0, -1, 0)
	return s
}

// members are the sets that the strings belong to which end in tuple i, until it
// is asked again; ok is false outside the domain.
func (s *splitting) members(i int32) (in []int32, ok bool) {
	t := &s.tuples[i]
	if !s.domain.states[t.domain].accept {
		return nil, false
	}
	s.in = s.in[:0]
	for _, p := range s.of(t) {
		s.in = append(s.in, s.machines[p.machine].states[p.state].in...)
	}
	slices.Sort(s.in)
	return s.in, true
}

// settle notes the class of the strings that end in tuple i.
func (s *splitting) settle(i int32) {
	in, ok := s.members(i)
	if !ok {
		return
	}
	s.key = s.key[:0]
	for _, n := range in {
		s.key = binary.LittleEndian.AppendUint32(s.key, uint32(n))
	}
	if !s.classes[string(s.key)] {
		s.classes[string(s.key)] = true
		s.out = append(s.out, Class{slices.Clone(in), s.spell(i)})
	}
}

func (s *splitting) spell(i int32) string {
	var out []byte
	for s.tuples[i].back >= 0 {
		out = append(out, s.tuples[i].by)
		i = s.tuples[i].back
	}
	slices.Reverse(out)
	return string(out)
}

// expand follows every byte that the domain allows; bytes between two cuts all
// lead to the same tuple.
func (s *splitting) expand(i int32) error {
	t := s.tuples[i]
	parts := s.of(&t)
	s.cut(&t, parts)
	s.at = append(s.at[:0], make([]int, len(parts))...)
	for _, e := range s.domain.states[t.domain].edges {
		for k, c := range s.cuts {
			if c < int(e.lo) || c > int(e.hi) || k > 0 && s.cuts[k-1] == c {
				continue
			}
			for n, p := range parts {
				if to := s.follow(n, p, byte(c)); to != dead {
					s.next = append(s.next, part{p.machine, to})
				}
			}
			to := s.intern(e.to, i, byte(c))
			if s.told != nil {
				s.told(i, edge{byte(c), s.last(k, e), to})
			}
			if err := s.budget.spend(1+len(parts), len(s.tuples)); err != nil {
				return err
			}
		}
	}
	return nil
}

// last is the last byte that leads where the one at cut k does, along e.
func (s *splitting) last(k int, e edge) byte {
	for _, c := range s.cuts[k:] {
		if c > s.cuts[k] {
			return byte(min(c-1, int(e.hi)))
		}
	}
	return e.hi
}

// follow steps part n, whose edges are walked once while bytes ascend.
func (s *splitting) follow(n int, p part, c byte) int32 {
	edges := s.machines[p.machine].states[p.state].edges
	for s.at[n] < len(edges) && edges[s.at[n]].hi < c {
		s.at[n]++
	}
	if s.at[n] < len(edges) && edges[s.at[n]].lo <= c {
		return edges[s.at[n]].to
	}
	return dead
}

// cut collects the bytes at which some edge begins or has just ended.
func (s *splitting) cut(t *tuple, parts []part) {
	s.cuts = s.cuts[:0]
	add := func(edges []edge) {
		for _, e := range edges {
			s.cuts = append(s.cuts, int(e.lo), int(e.hi)+1)
		}
	}
	add(s.domain.states[t.domain].edges)
	for _, p := range parts {
		add(s.machines[p.machine].states[p.state].edges)
	}
	slices.Sort(s.cuts)
	s.budget.Steps -= len(s.cuts)
}
