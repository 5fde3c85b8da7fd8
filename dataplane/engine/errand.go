package engine

import "github.com/meshc/meshc/dataplane/message"

// errand is what the proxy's own requests have in common: a stream, and the part
// of its downstream that no client is needed for.
type errand struct {
	w      *worker
	stream stream
	req    message.Request
	timer  timer
	queued bool
	over   bool
}

// run goes on with the errand's stream.
func (e *errand) run() {
	if !e.over {
		e.stream.run()
	}
}

func (e *errand) onTimer() {
	if !e.over {
		e.stream.onTimer()
		e.run()
	}
}

func (e *errand) setTimer(at int64) { e.w.timers.set(&e.timer, at) }

func (e *errand) again() { e.w.later(e) }

func (e *errand) isQueued() *bool { return &e.queued }

func (e *errand) onTurn() { e.run() }

func (e *errand) bodyFault() *fault { return nil }

func (e *errand) sendContinue() {}

func (e *errand) takesBody() bool { return true }

func (e *errand) room() int { return largeBuffer }

func (e *errand) flush() ioState { return ioOK }

func (e *errand) gone() bool { return false }

func (e *errand) closeAfter() {}
