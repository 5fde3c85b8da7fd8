package diagram

import (
	"slices"
	"sync"
)

// slabs is the memory of a store: without pointers, so that a garbage collector
// has nothing to follow in it, and used again by the stores that come after, so
// that it has little to collect.
type slabs struct {
	nodes  []node // number 0 is a constant
	all    []Run  // of all nodes
	made   []Run  // of nodes that are being made, the innermost last
	unique []Node // by the hash of their runs; 0 is a free place
	known  []applied
	count  int // of results that are known
	pairs  map[[2]Node]int
	paired [][2]int
}

// applied is the result of an application; one with op 0 is a free place.
type applied struct {
	op   uint32 // from 1
	a, b Node
	is   Node
}

// Places that a store begins with, and the most that are kept for the next one:
// what one large store has taken is not to stay.
const (
	leastPlaces = 1 << 9
	mostPlaces  = 1 << 14
)

var spare = sync.Pool{New: func() any {
	return &slabs{nodes: make([]node, 1), unique: make([]Node, leastPlaces), known: make([]applied, leastPlaces), pairs: map[[2]Node]int{}}
}}

func takeSlabs() *slabs { return spare.Get().(*slabs) }

// Release gives the memory of the store to others. Nothing can be asked of the
// store any more, and runs that Variable gave are not to be read.
func (s *Store) Release() {
	given := s.slabs
	s.slabs = nil
	if given == nil || len(given.unique) > mostPlaces || len(given.known) > mostPlaces || cap(given.all) > mostPlaces {
		return
	}
	given.nodes, given.all, given.made = given.nodes[:1], given.all[:0], given.made[:0]
	given.count = 0
	clear(given.unique)
	clear(given.known)
	clear(given.pairs)
	given.paired = given.paired[:0]
	spare.Put(given)
}

// of are the runs of a node.
func (s *slabs) of(n Node) []Run { return s.all[s.nodes[n].begin:s.nodes[n].end] }

// find gives the place of the node with these runs, or where it is to be.
func (s *slabs) find(variable int32, runs []Run, hash uint32) (place uint32, found bool) {
	mask := uint32(len(s.unique) - 1)
	for place = hash & mask; s.unique[place] != 0; place = (place + 1) & mask {
		n := s.unique[place]
		if s.nodes[n].hash == hash && s.nodes[n].variable == variable && slices.Equal(s.of(n), runs) {
			return place, true
		}
	}
	return place, false
}

// add makes a node, at a place that find gave.
func (s *slabs) add(variable int32, runs []Run, hash, place uint32) Node {
	n, begin := Node(len(s.nodes)), int32(len(s.all))
	s.all = append(s.all, runs...)
	s.nodes = append(s.nodes, node{variable, begin, int32(len(s.all)), hash})
	s.unique[place] = n
	if len(s.nodes)*2 > len(s.unique) {
		s.spreadNodes()
	}
	return n
}

// spreadNodes doubles the places of nodes.
func (s *slabs) spreadNodes() {
	s.unique = make([]Node, 2*len(s.unique))
	mask := uint32(len(s.unique) - 1)
	for n := 1; n < len(s.nodes); n++ {
		place := s.nodes[n].hash & mask
		for s.unique[place] != 0 {
			place = (place + 1) & mask
		}
		s.unique[place] = Node(n)
	}
}

// remembered is the result of an application that was made before.
func (s *slabs) remembered(k application) (Node, bool) {
	place := s.placeOf(k)
	return s.known[place].is, s.known[place].op != 0
}

// placeOf an application, or where it is to be.
func (s *slabs) placeOf(k application) uint32 {
	mask := uint32(len(s.known) - 1)
	place := mixed(mixed(uint32(k.op)+1, uint32(k.a)), uint32(k.b)) & mask
	for {
		r := &s.known[place]
		if r.op == 0 || r.a == k.a && r.b == k.b && r.op == uint32(k.op)+1 {
			return place
		}
		place = (place + 1) & mask
	}
}

func (s *slabs) remember(k application, is Node) {
	s.known[s.placeOf(k)] = applied{uint32(k.op) + 1, k.a, k.b, is}
	if s.count++; s.count*2 <= len(s.known) {
		return
	}
	old := s.known
	s.known = make([]applied, 2*len(old))
	for _, r := range old {
		if r.op != 0 {
			s.known[s.placeOf(application{operation(r.op - 1), r.a, r.b})] = r
		}
	}
}

func hashOf(variable int32, runs []Run) uint32 {
	hash := uint32(variable) + 1
	for _, r := range runs {
		hash = mixed(mixed(hash, uint32(r.End)), uint32(r.To))
	}
	return hash
}

// mixed adds a number to a hash: a multiplication whose upper half comes back to
// the lower one, which places are taken from.
func mixed(hash, more uint32) uint32 {
	wide := (uint64(hash)<<32 | uint64(more)) * 0x9e3779b97f4a7c15
	return uint32(wide>>32) ^ uint32(wide)
}
