package engine

// timer is one deadline of one connection, checked lazily: moving a deadline
// later leaves it in the heap where it is, and when it comes up early it is put
// back. A request that arms and disarms its timeouts so costs no heap operation
// at all.
type timer struct {
	owner interface{ onTimer() }
	want  int64 // when to call owner; 0: never
	index int   // in the heap, from 1; 0: not there
}

type timerEntry struct {
	at int64
	t  *timer
}

type timers struct {
	heap  []timerEntry
	floor int64 // while calls are made: when the next may be, at the earliest; else 0
}

// set asks for a call at the loop time at; 0 cancels. What is due already while
// others are called is for the next turn: a timer that sets itself to what has
// passed must not keep the loop from everything else.
func (h *timers) set(t *timer, at int64) {
	if at != 0 {
		at = max(at, h.floor)
	}
	t.want = at
	switch {
	case at == 0:
	case t.index == 0:
		h.heap = append(h.heap, timerEntry{at, t})
		t.index = len(h.heap)
		h.up(t.index - 1)
	case at < h.heap[t.index-1].at:
		h.heap[t.index-1].at = at
		h.up(t.index - 1)
	}
}

// drop takes t out: its owner is going away.
func (h *timers) drop(t *timer) {
	t.want = 0
	if t.index == 0 {
		return
	}
	i, last := t.index-1, len(h.heap)-1
	h.swap(i, last)
	h.heap[last] = timerEntry{}
	h.heap = h.heap[:last]
	t.index = 0
	if i < last {
		h.down(i)
		h.up(i)
	}
}

// next is the earliest time at which run has something to do, 0 for never.
func (h *timers) next() int64 {
	if len(h.heap) == 0 {
		return 0
	}
	return h.heap[0].at
}

func (h *timers) run(now int64) {
	h.floor = now + 1
	defer func() { h.floor = 0 }()
	for len(h.heap) > 0 && h.heap[0].at <= now {
		t := h.heap[0].t
		if t.want > now {
			h.heap[0].at = t.want
			h.down(0)
			continue
		}
		due := t.want != 0
		h.drop(t)
		if due {
			t.owner.onTimer()
		}
	}
}

func (h *timers) swap(i, j int) {
	h.heap[i], h.heap[j] = h.heap[j], h.heap[i]
	h.heap[i].t.index, h.heap[j].t.index = i+1, j+1
}

func (h *timers) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if h.heap[parent].at <= h.heap[i].at {
			return
		}
		h.swap(i, parent)
		i = parent
	}
}

func (h *timers) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(h.heap) {
			return
		}
		if child+1 < len(h.heap) && h.heap[child+1].at < h.heap[child].at {
			child++
		}
		if h.heap[i].at <= h.heap[child].at {
			return
		}
		h.swap(i, child)
		i = child
	}
}
