package compiler

import "testing"

// What is collected follows what is held on its way up, and what has been held on
// its way down.
func TestGarbageThatMayBe(t *testing.T) {
	const mib = 1 << 20
	c := &collecting{budget: budget{230 * mib, -1, garbagePercent, againPercent}}
	for i, step := range []struct {
		held uint64
		want int
	}{
		{100 * mib, 0}, // the limit leaves room
		{151 * mib, 0},
		{400 * mib, 20},
		{1000 * mib, 20},
		{600 * mib, 80}, // up to nine tenths of 1200 MiB, which it was before
		{480 * mib, 125},
		{2000 * mib, 20},
		{1000 * mib, 116},
	} {
		got := c.next(step.held, 40*mib)
		if diff := got - step.want; diff < -1 || diff > 1 {
			t.Errorf("step %d, %d MiB held: %d percent, want %d", i, step.held/mib, got, step.want)
		}
		c.percent = got
	}
}
