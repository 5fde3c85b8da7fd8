package lower

import "slices"

// precedence is a strict partial order over rules 0..n-1, kept transitively
// closed: row i holds, as bits, the rules that come after i.
type precedence struct {
	rows [][]uint64
}

func newPrecedence(n int) *precedence {
	p := &precedence{rows: make([][]uint64, n)}
	for i := range p.rows {
		p.rows[i] = make([]uint64, (n+63)/64)
	}
	return p
}

// before says that i comes before j.
func (p *precedence) before(i, j int) bool { return p.rows[i][j/64]&(1<<(j%64)) != 0 }

// add puts i before j. It refuses, and changes nothing, when that would close
// a circle.
func (p *precedence) add(i, j int) bool {
	if i == j || p.before(j, i) {
		return false
	}
	if p.before(i, j) {
		return true
	}
	for k := range p.rows {
		if k != i && !p.before(k, i) {
			continue
		}
		p.rows[k][j/64] |= 1 << (j % 64)
		for w, bits := range p.rows[j] {
			p.rows[k][w] |= bits
		}
	}
	return true
}

// order lists all rules so that each comes after those before it; among free
// ones the lowest number is first.
func (p *precedence) order() []int {
	waiting := make([]int, len(p.rows)) // predecessors not yet placed
	for i := range p.rows {
		for j := range p.rows {
			if p.before(i, j) {
				waiting[j]++
			}
		}
	}
	var out []int
	for range p.rows {
		next := slices.Index(waiting, 0)
		waiting[next] = -1
		out = append(out, next)
		for j := range p.rows {
			if p.before(next, j) {
				waiting[j]--
			}
		}
	}
	return out
}
