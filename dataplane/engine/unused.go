package engine

import (
	"sync"
	"time"

	"github.com/meshc/meshc/dataplane/telemetry"
)

// closeUnused closes the files and collectors that nothing in force has written to for
// as long as connections may outlive their configuration. Before that they stay open:
// what was on its way when the configuration changed is still told of, and one that
// comes back is the rule. What is told of later still is dropped, and counted.
func (e *Engine) closeUnused(now time.Time) {
	var gone sync.WaitGroup
	for _, s := range e.takeUnused(now) {
		gone.Go(s.Close)
	}
	gone.Wait()
}

// takeUnused takes away what is to be closed. It waits for nobody: Close has the lock
// while it waits for who asks.
func (e *Engine) takeUnused(now time.Time) (list []*telemetry.Sink) {
	if !e.mu.TryLock() {
		return nil
	}
	defer e.mu.Unlock()
	if e.closed {
		return nil
	}
	used := e.current.sinks()
	for key, s := range e.sinks {
		since, known := e.unused[s]
		switch {
		case used[s]:
			delete(e.unused, s)
		case !known:
			e.unused[s] = now
		case now.Sub(since) >= e.opts.DrainCap:
			delete(e.unused, s)
			delete(e.sinks, key)
			list = append(list, s)
		}
	}
	if len(list) > 0 {
		e.everywhere(func(w *worker) { w.logs.forget(list) })
	}
	return list
}

// sinks are those that p writes to.
func (p *prepared) sinks() map[*telemetry.Sink]bool {
	used := map[*telemetry.Sink]bool{}
	for _, list := range p.logs {
		for _, t := range list {
			used[t.sink] = true
		}
	}
	for _, t := range p.traces {
		used[t.sink] = true
	}
	return used
}

// forget hands over what there is for sinks that are about to be closed.
func (l *workerLogs) forget(list []*telemetry.Sink) {
	for _, s := range list {
		if b := l.sinks[s]; b != nil {
			b.Flush()
			delete(l.sinks, s)
		}
	}
}
