package automaton

import "slices"

// Replaced accepts what begins with a string of cut, of which, with put in the
// place of that, d accepts the whole. All strings of cut have one length.
func Replaced(cut *DFA, put string, d *DFA) *DFA {
	start := int32(0)
	for i := range len(put) {
		if start = step(d.states[start].edges, put[i]); start < 0 {
			return None()
		}
	}
	out := slices.Clone(cut.states)
	moved := int32(len(out))
	for _, s := range d.states {
		s.edges = slices.Clone(s.edges)
		for i := range s.edges {
			s.edges[i].to += moved
		}
		out = append(out, s)
	}
	behind := out[moved+start]
	for i := range cut.states { // what ends cut goes on as what follows put
		if cut.states[i].accept {
			out[i] = behind
		}
	}
	return trim(out)
}
