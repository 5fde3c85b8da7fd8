package endpoint

import "math"

// edf is a schedule by earliest deadline first: what weighs w comes up w times
// in the time that what weighs 1 comes up once, and weights may change at every
// turn. Ties go to whoever has waited longest.
type edf struct {
	heap  []turn
	now   float64
	order uint64
}

type turn struct {
	at    float64
	order uint64
	i     int
}

// newEDF schedules n entries, all due at once, from the first-th on.
func newEDF(n, first int) *edf {
	e := &edf{heap: make([]turn, n), order: uint64(n)}
	for k := range n {
		e.heap[k] = turn{order: uint64(k), i: (first + k) % n}
	}
	return e
}

// leastWeight keeps deadlines finite.
const leastWeight = 1e-9

// take gives the entry that is due and schedules its next turn by its weight. An
// entry's first turn is a weight's time away, too: it is given when it comes up.
func (e *edf) take(weight func(i int) float64) int {
	for {
		t := &e.heap[0]
		i, fresh := t.i, t.at == 0
		e.now = t.at
		t.at = e.now + 1/max(weight(i), leastWeight)
		if math.IsInf(t.at, 0) || t.at == e.now {
			t.at = math.Nextafter(e.now, math.Inf(1))
		}
		t.order = e.order
		e.order++
		e.down()
		if !fresh {
			return i
		}
	}
}

func (e *edf) less(a, b int) bool {
	x, y := &e.heap[a], &e.heap[b]
	return x.at < y.at || x.at == y.at && x.order < y.order
}

func (e *edf) down() {
	for i := 0; ; {
		child := 2*i + 1
		if child >= len(e.heap) {
			return
		}
		if child+1 < len(e.heap) && e.less(child+1, child) {
			child++
		}
		if !e.less(child, i) {
			return
		}
		e.heap[i], e.heap[child] = e.heap[child], e.heap[i]
		i = child
	}
}
