package automaton

// Minus accepts what a accepts and b does not.
func Minus(a, b *DFA, budget *Budget) (*DFA, error) {
	type both struct{ a, b int32 }
	known := map[both]int32{{0, 0}: 0}
	all := []both{{0, 0}}
	var states []state
	for i := 0; i < len(all); i++ {
		at := all[i]
		var row [256]int32
		for c := range row {
			row[c] = dead
		}
		for _, e := range a.states[at.a].edges {
			for c := int(e.lo); c <= int(e.hi); c++ {
				next := both{e.to, dead}
				if at.b != dead {
					next.b = step(b.states[at.b].edges, byte(c))
				}
				to, ok := known[next]
				if !ok {
					to = int32(len(all))
					known[next] = to
					all = append(all, next)
				}
				row[c] = to
			}
		}
		accept := a.states[at.a].accept && (at.b == dead || !b.states[at.b].accept)
		states = append(states, state{accept, compress(&row)})
		if err := budget.spend(256, len(all)); err != nil {
			return nil, err
		}
	}
	return trim(states).minimised(budget), nil
}
