package reach

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/reach/automaton"
	"github.com/meshc/meshc/compiler/reach/diagram"
)

// Digest is equal for two tables of rules, of whatever Spaces, exactly when they
// give every request outcomes of the same name: classes that no outcome tells
// apart are one, coordinates without influence are none, and the order of what
// is left is that of their names. A rule's Then is an index of names.
func Digest(limits Limits, rules []Pred, then []int, otherwise int, names []string) ([sha256.Size]byte, error) {
	s, err := New(limits, append(inOrder(rules), rules...)...)
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	var table []Rule
	for i, p := range rules {
		set, err := s.Set(p)
		if err != nil {
			return [sha256.Size]byte{}, err
		}
		table = append(table, Rule{set, then[i]})
	}
	f, err := s.FirstMatch(table, otherwise)
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	c := &canon{space: s, names: names, limits: limits, number: map[diagram.Node]uint32{}, blocks: map[*axis][]int32{}, order: map[*axis]map[int32]int32{}}
	root, err := c.joinRepeated(f.node)
	if err != nil {
		return [sha256.Size]byte{}, unknown("the normal form", err)
	}
	if err := c.axes(root); err != nil {
		return [sha256.Size]byte{}, err
	}
	c.node(root)
	return sha256.Sum256(c.out), nil
}

// inOrder mentions every coordinate once, sorted, so that the order of the rules
// does not decide that of the variables.
func inOrder(ps []Pred) []Pred {
	var dims []Dim
	seen := map[*condition]bool{}
	for _, p := range ps {
		p.atoms(seen, func(d Dim, _ Text) { dims = append(dims, d) })
	}
	slices.SortFunc(dims, func(a, b Dim) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name)) })
	var out []Pred
	for _, d := range slices.Compact(dims) {
		out = append(out, Present(d))
	}
	return out
}

// canon writes a function in normal form.
type canon struct {
	space  *Space
	names  []string
	limits Limits
	out    []byte
	number map[diagram.Node]uint32
	blocks map[*axis][]int32         // of each class; for one variable, of each of its numbers
	order  map[*axis]map[int32]int32 // of blocks
}

// joinRepeated finds the classes of repeated coordinates of which it does not
// matter which one a value lies in, and leaves the least of each block in f.
func (c *canon) joinRepeated(f diagram.Node) (diagram.Node, error) {
	tested := map[int]bool{}
	c.space.store.Each(f, func(n diagram.Node) {
		if _, constant := n.Constant(); !constant {
			v, _ := c.space.store.Variable(n)
			tested[v] = true
		}
	})
	var err error
	for _, a := range c.space.axes {
		if !a.kind.repeated {
			continue
		}
		blocks := slices.Repeat([]int32{-1}, len(a.classes))
		for i := len(a.classes) - 1; i >= 0; i-- { // the least first
			for j := i + 1; j < len(a.classes) && tested[a.first+i]; j++ {
				if blocks[j] != int32(j) {
					continue
				}
				alike, err := c.alike(f, a.first+i, a.first+j)
				if err != nil {
					return f, err
				}
				if alike {
					blocks[i] = int32(j)
					break
				}
			}
			if blocks[i] < 0 && tested[a.first+i] {
				blocks[i] = int32(i)
			}
		}
		for i, b := range blocks {
			if b >= 0 && b != int32(i) {
				if f, err = c.space.store.Fix(f, a.first+i, 0); err != nil {
					return f, err
				}
			}
		}
		c.blocks[a] = blocks
	}
	return f, nil
}

// alike says that it makes no difference whether a value lies in one class, in
// the other, or values in both.
func (c *canon) alike(f diagram.Node, x, y int) (bool, error) {
	var results [3]diagram.Node
	for k, v := range [3][2]int{{1, 0}, {0, 1}, {1, 1}} {
		n, err := c.space.store.Fix(f, x, v[0])
		if err == nil {
			n, err = c.space.store.Fix(n, y, v[1])
		}
		if err != nil {
			return false, err
		}
		results[k] = n
	}
	return results[0] == results[1] && results[1] == results[2], nil
}

// axes writes how every coordinate that f looks at is divided.
func (c *canon) axes(f diagram.Node) error {
	leads := map[*axis][][]diagram.Node{} // for one variable: where its numbers lead, node by node
	seen := map[*axis]bool{}
	c.space.store.Each(f, func(n diagram.Node) {
		if _, constant := n.Constant(); constant {
			return
		}
		v, runs := c.space.store.Variable(n)
		a := c.space.owner[v]
		seen[a] = true
		if !a.kind.repeated {
			var to []diagram.Node
			for begin, r := int32(0), 0; r < len(runs); begin, r = runs[r].End, r+1 {
				to = append(to, slices.Repeat([]diagram.Node{runs[r].To}, int(runs[r].End-begin))...)
			}
			leads[a] = append(leads[a], to)
		}
	})
	for _, a := range c.space.axes {
		if !seen[a] {
			continue
		}
		if !a.kind.repeated {
			c.blocks[a] = together(leads[a])
		}
		if err := c.axis(a); err != nil {
			return unknown(a.dim.String(), err)
		}
	}
	return nil
}

// together numbers the values of a variable that lead to the same everywhere.
func together(leads [][]diagram.Node) []int32 {
	out := make([]int32, len(leads[0]))
	known := map[string]int32{}
	for i := range out {
		var key []byte
		for _, to := range leads {
			key = binary.LittleEndian.AppendUint32(key, uint32(to[i]))
		}
		n, ok := known[string(key)]
		if !ok {
			n = int32(len(known))
			known[string(key)] = n
		}
		out[i] = n
	}
	return out
}

// axis writes the languages of the blocks, and to which of them absence belongs.
func (c *canon) axis(a *axis) error {
	blocks := c.blocks[a][a.absence():]
	budget := &automaton.Budget{Steps: c.limits.Steps, States: c.limits.Products}
	code, order, err := automaton.Canonical(a.kind.domain(a.dim.Name), a.machines, func(in []int32) int32 {
		return blocks[a.byKey[keyOf(in)]]
	}, budget)
	if err != nil {
		return err
	}
	if a.absence() == 1 {
		if _, ok := order[c.blocks[a][0]]; !ok {
			order[c.blocks[a][0]] = int32(len(order))
		}
		code = binary.LittleEndian.AppendUint32(code, uint32(order[c.blocks[a][0]]))
	}
	c.order[a] = order
	c.text(a.dim.String())
	c.text(string(code))
	return nil
}

func (c *canon) text(s string) {
	c.out = binary.LittleEndian.AppendUint32(c.out, uint32(len(s)))
	c.out = append(c.out, s...)
}

// node writes a function after those that it leads to, each once.
func (c *canon) node(n diagram.Node) uint32 {
	if number, ok := c.number[n]; ok {
		return number
	}
	var line []byte
	if value, constant := n.Constant(); constant {
		line = []byte(c.names[value-1])
	} else {
		v, runs := c.space.store.Variable(n)
		a := c.space.owner[v]
		line = append([]byte(a.dim.String()), 0)
		if a.kind.repeated {
			line = binary.LittleEndian.AppendUint32(line, uint32(c.order[a][c.blocks[a][v-a.first]]))
		}
		to := map[uint32]diagram.Node{}
		for begin, r := int32(0), 0; r < len(runs); begin, r = runs[r].End, r+1 {
			for value := begin; value < runs[r].End; value++ {
				key := uint32(value)
				if !a.kind.repeated {
					key = uint32(c.order[a][c.blocks[a][value]])
				}
				to[key] = runs[r].To
			}
		}
		for key := range uint32(len(to)) {
			line = binary.LittleEndian.AppendUint32(line, c.node(to[key]))
		}
	}
	c.text(string(line))
	c.number[n] = uint32(len(c.number))
	return c.number[n]
}
