package dataplane

import (
	"context"
	"runtime/debug"
	runtimemetrics "runtime/metrics"
	"time"
)

const (
	// settled is how long after a configuration nothing may follow it.
	settled = 2 * time.Second
	// longest is how long configurations that keep coming put it off.
	longest = 30 * time.Second
	// worthwhile is how much must have been allocated since memory was given back: a
	// change of some endpoints is no reason to collect.
	worthwhile = 16 << 20
)

// compactor gives memory back to the system after configurations. Decoding one
// leaves several times its size behind, and a proxy that allocates nothing for a
// request would keep that until the next one.
type compactor struct {
	applied   chan struct{} // of one element
	allocated func() uint64 // bytes, since the start
	release   func()
}

func newCompactor() *compactor {
	return &compactor{applied: make(chan struct{}, 1), allocated: allocated, release: debug.FreeOSMemory}
}

// note says that a configuration is in force.
func (c *compactor) note() {
	select {
	case c.applied <- struct{}{}:
	default:
	}
}

func (c *compactor) run(ctx context.Context) error {
	var last uint64
	var since time.Time // when the first came that memory was not given back for; zero: none
	timer := time.NewTimer(settled)
	timer.Stop()
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.applied:
			if since.IsZero() {
				since = time.Now()
			}
			timer.Reset(min(settled, max(0, longest-time.Since(since))))
		case <-timer.C:
			since = time.Time{}
			if now := c.allocated(); now-last >= worthwhile {
				c.release()
				last = now
			}
		}
	}
}

func allocated() uint64 {
	s := []runtimemetrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	runtimemetrics.Read(s)
	return s[0].Value.Uint64()
}
