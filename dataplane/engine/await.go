package engine

import "github.com/meshc/meshc/dataplane/filter"

// await has s wait for an event; the filter that waits is asked again then. All
// streams of a loop that wait for one event are woken by one command.
func (s *stream) await(e *filter.Event) {
	w := s.w
	s.phase, s.awaits = phaseSleep, e
	s.armTimer()
	if all := w.awaiting[e]; all != nil {
		all[s] = true
		return
	}
	if w.awaiting == nil {
		w.awaiting = map[*filter.Event]map[*stream]bool{}
	}
	w.awaiting[e] = map[*stream]bool{s: true}
	e.Then(func() { w.do(func() { w.happened(e) }) })
}

func (w *worker) happened(e *filter.Event) {
	for s := range w.awaiting[e] {
		s.awaits, s.phase = nil, phaseFilters
		s.lastMove = w.now // waiting was no idleness
		s.d.again()
	}
	delete(w.awaiting, e)
}

// leave ends the wait of a stream that is over.
func (s *stream) leave() {
	delete(s.w.awaiting[s.awaits], s)
	s.awaits = nil
}
