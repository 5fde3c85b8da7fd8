package automaton

import (
	"slices"
	"sync"
)

// walked is the memory of a product of automata: without pointers, and used again
// by the products that come after.
type walked struct {
	tuples []tuple
	parts  []part  // of all tuples
	next   []part  // of the tuple that is looked for
	places []int32 // tuples from 1, by their hash; 0 is a free place
	cuts   []int
}

// tuple is a state of the product.
type tuple struct {
	domain     int32
	begin, end int32 // in the parts of all tuples
	back       int32 // the tuple before, and the byte that led here
	hash       uint32
	by         byte
}

// part is the state of one machine.
type part struct{ machine, state int32 }

// Places that a walk begins with, and the most that are kept for the next one.
const (
	leastPlaces = 1 << 9
	mostPlaces  = 1 << 14
)

var spare = sync.Pool{New: func() any { return &walked{places: make([]int32, leastPlaces)} }}

func takeWalked() *walked { return spare.Get().(*walked) }

// release gives the memory of the walk to others; nothing can be asked of it any
// more.
func (s *splitting) release() {
	given := s.walked
	s.walked = nil
	if len(given.places) > mostPlaces || cap(given.parts) > mostPlaces {
		return
	}
	given.tuples, given.parts, given.next, given.cuts = given.tuples[:0], given.parts[:0], given.next[:0], given.cuts[:0]
	clear(given.places)
	spare.Put(given)
}

// of are the parts of a tuple.
func (w *walked) of(t *tuple) []part { return w.parts[t.begin:t.end] }

// intern gives the tuple with the parts that are looked for, which it takes away.
// If it is new, back and by lead to it.
func (w *walked) intern(domain, back int32, by byte) int32 {
	parts := w.next
	w.next = w.next[:0]
	hash := hashOf(domain, parts)
	mask := uint32(len(w.places) - 1)
	place := hash & mask
	for ; w.places[place] != 0; place = (place + 1) & mask {
		n := w.places[place] - 1
		if t := &w.tuples[n]; t.hash == hash && t.domain == domain && slices.Equal(w.of(t), parts) {
			return n
		}
	}
	n, begin := int32(len(w.tuples)), int32(len(w.parts))
	w.parts = append(w.parts, parts...)
	w.tuples = append(w.tuples, tuple{domain: domain, begin: begin, end: int32(len(w.parts)), back: back, hash: hash, by: by})
	w.places[place] = n + 1
	if len(w.tuples)*2 > len(w.places) {
		w.spread()
	}
	return n
}

// spread doubles the places.
func (w *walked) spread() {
	w.places = make([]int32, 2*len(w.places))
	mask := uint32(len(w.places) - 1)
	for n := range w.tuples {
		place := w.tuples[n].hash & mask
		for w.places[place] != 0 {
			place = (place + 1) & mask
		}
		w.places[place] = int32(n) + 1
	}
}

func hashOf(domain int32, parts []part) uint32 {
	hash := uint64(domain) + 1
	for _, p := range parts {
		hash = (hash ^ uint64(uint32(p.machine))<<32 ^ uint64(uint32(p.state))) * 0x9e3779b97f4a7c15
		hash ^= hash >> 32
	}
	return uint32(hash)
}
