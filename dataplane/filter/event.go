package filter

import "sync"

// Event happens once, and requests wait for it. The zero value has not happened.
type Event struct {
	mu       sync.Mutex
	happened bool
	then     []func()
}

// Then has f called once the event has happened: at once if it has, else on the
// goroutine that makes it happen. f must not block.
func (e *Event) Then(f func()) {
	e.mu.Lock()
	if !e.happened {
		e.then = append(e.then, f)
		e.mu.Unlock()
		return
	}
	e.mu.Unlock()
	f()
}

// Happen makes the event happen, if it has not.
func (e *Event) Happen() {
	e.mu.Lock()
	list := e.then
	e.happened, e.then = true, nil
	e.mu.Unlock()
	for _, f := range list {
		f()
	}
}
