package automaton

import "encoding/binary"

// minimised merges states that accept the same. It is an economy: when the
// rounds of refinement would cost too much, d itself comes back.
func (d *DFA) minimised(b *Budget) *DFA {
	label := make([]int32, len(d.states))
	for i := range d.states {
		if d.states[i].accept {
			label[i] = 1
		}
	}
	group, ok := d.refine(label, b.Steps/4)
	if !ok {
		return d
	}
	return d.quotient(group)
}

// refine gives the coarsest partition of the states that keeps labels apart
// and is respected by every edge (Moore's algorithm); ok is false when it takes
// more than steps.
func (d *DFA) refine(label []int32, steps int) (group []int32, ok bool) {
	group = label
	for count := 0; ; {
		next := make([]int32, len(d.states))
		known := map[string]int32{}
		var key []byte
		for i := range d.states {
			key = d.signature(key[:0], i, group)
			steps -= 1 + len(d.states[i].edges)
			g, seen := known[string(key)]
			if !seen {
				g = int32(len(known))
				known[string(key)] = g
			}
			next[i] = g
		}
		if len(known) == count {
			return next, true
		}
		if steps < 0 {
			return nil, false
		}
		group, count = next, len(known)
	}
}

// signature tells states apart by their group and where their edges lead.
func (d *DFA) signature(key []byte, i int, group []int32) []byte {
	key = binary.LittleEndian.AppendUint32(key, uint32(group[i]))
	edges := d.states[i].edges
	for k := 0; k < len(edges); k++ {
		hi, to := edges[k].hi, group[edges[k].to]
		lo := edges[k].lo
		for k+1 < len(edges) && int(edges[k+1].lo) == int(hi)+1 && group[edges[k+1].to] == to {
			k++
			hi = edges[k].hi
		}
		key = append(key, lo, hi)
		key = binary.LittleEndian.AppendUint32(key, uint32(to))
	}
	return key
}

// quotient has one state per group; the start's group is the start.
func (d *DFA) quotient(group []int32) *DFA {
	count := int32(0)
	for _, g := range group {
		count = max(count, g+1)
	}
	swap := func(g int32) int32 { // the start's group becomes 0
		switch g {
		case group[0]:
			return 0
		case 0:
			return group[0]
		}
		return g
	}
	states, done := make([]state, count), make([]bool, count)
	for i := range d.states {
		g := swap(group[i])
		if done[g] {
			continue
		}
		done[g] = true
		var row [256]int32
		for c := range row {
			row[c] = dead
		}
		for _, e := range d.states[i].edges {
			for c := int(e.lo); c <= int(e.hi); c++ {
				row[c] = swap(group[e.to])
			}
		}
		states[g] = state{d.states[i].accept, compress(&row)}
	}
	return &DFA{states}
}
