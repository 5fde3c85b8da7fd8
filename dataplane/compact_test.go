package dataplane

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestCompactAfterConfigurations: memory is given back once for a run of
// configurations, when the last one has settled, and not for a small one.
func TestCompactAfterConfigurations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bytes atomic.Uint64 // the clock of a test orders nothing for the race detector
		var given atomic.Int64
		c := newCompactor()
		c.allocated, c.release = bytes.Load, func() { given.Add(1) }
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go func() { _ = c.run(ctx) }()
		step := func(allocates uint64, then time.Duration) {
			bytes.Add(allocates)
			c.note()
			time.Sleep(then)
			synctest.Wait()
		}
		for range 5 {
			step(worthwhile, settled/2)
		}
		if times := given.Load(); times != 0 {
			t.Fatalf("given back %d times before the last configuration settled", times)
		}
		time.Sleep(settled)
		synctest.Wait()
		if times := given.Load(); times != 1 {
			t.Fatalf("given back %d times after a run of configurations, want once", times)
		}
		step(worthwhile-1, 2*settled)
		if given.Load() != 1 {
			t.Error("a small configuration had memory given back")
		}
		step(1, 2*settled)
		if given.Load() != 2 {
			t.Error("small configurations together had no memory given back")
		}
		for range 2 * longest / settled { // which never settle
			step(worthwhile, settled/2)
		}
		if times := given.Load(); times != 3 {
			t.Errorf("given back %d times in %v of configurations, want once more", times-2, longest)
		}
	})
}

func TestAllocatedGrows(t *testing.T) {
	before := allocated()
	sink = make([]byte, 1<<20)
	if after := allocated(); after-before < 1<<20 {
		t.Errorf("1 MiB was allocated, and %d bytes are said", after-before)
	}
}

var sink []byte
