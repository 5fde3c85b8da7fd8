package automaton

import "encoding/binary"

// Canonical writes how a domain is divided into blocks: equal divisions give
// equal bytes, whatever machines tell of them. block gives the block of the
// strings that belong to these sets, from 0. order numbers the blocks as the
// bytes do.
func Canonical(domain *DFA, machines []*Machine, block func(in []int32) int32, b *Budget) (code []byte, order map[int32]int32, err error) {
	order = map[int32]int32{}
	if domain.Empty() {
		return nil, order, nil
	}
	product, label, err := blocks(domain, machines, block, b)
	if err != nil {
		return nil, nil, err
	}
	group, ok := product.refine(label, b.Steps)
	if !ok {
		return nil, nil, ErrTooLarge
	}
	labels := map[int32]int32{}
	for i, g := range group {
		labels[g] = label[i]
	}
	code = product.quotient(group).write(func(at int32) int32 {
		// quotient has put the start's group first
		switch at {
		case 0:
			at = group[0]
		case group[0]:
			at = 0
		}
		return labels[at]
	}, order)
	return code, order, nil
}

// blocks is the product of a domain and machines, with the block of each state
// plus one, or 0 outside the domain.
func blocks(domain *DFA, machines []*Machine, block func(in []int32) int32, b *Budget) (*DFA, []int32, error) {
	var states []state
	var label []int32
	s := newSplitting(domain, machines, b)
	defer s.release()
	s.told = func(from int32, e edge) { states[from].edges = append(states[from].edges, e) }
	for i := 0; i < len(s.tuples); i++ {
		in, accepted := s.members(int32(i))
		states, label = append(states, state{accept: accepted}), append(label, 0)
		if accepted {
			label[i] = block(in) + 1
		}
		if err := s.expand(int32(i)); err != nil {
			return nil, nil, err
		}
	}
	return &DFA{states}, label, nil
}

// write numbers states and blocks in the order in which a breadth-first walk
// with bytes ascending meets them.
func (d *DFA) write(label func(state int32) int32, order map[int32]int32) []byte {
	var code []byte
	number := map[int32]int32{0: 0}
	for walk := []int32{0}; len(walk) > 0; walk = walk[1:] {
		l := label(walk[0])
		if l > 0 {
			if _, ok := order[l-1]; !ok {
				order[l-1] = int32(len(order))
			}
			l = order[l-1] + 1
		}
		code = binary.LittleEndian.AppendUint32(code, uint32(l))
		code = binary.LittleEndian.AppendUint32(code, uint32(len(d.states[walk[0]].edges)))
		for _, e := range d.states[walk[0]].edges {
			if _, ok := number[e.to]; !ok {
				number[e.to] = int32(len(number))
				walk = append(walk, e.to)
			}
			code = append(code, e.lo, e.hi)
			code = binary.LittleEndian.AppendUint32(code, uint32(number[e.to]))
		}
	}
	return code
}
