package compiler

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// What a process that holds a mesh may take before it collects garbage, in bytes,
// and how much garbage, in percent of what it holds, it may have beyond that.
const (
	freeMemory     = 205 << 20
	garbagePercent = 20
	roomPercent    = 97 // of a limit, of which the runtime leaves 3 for what it does not foresee
	againPercent   = 90 // of the most that the heap has been, that it may be again: more would lie scattered between
)

// SaveMemory is for processes that hold a whole mesh and are to fit into a small
// CI runner: while they take little memory no garbage is collected, and beyond
// that it is collected earlier than Go does by itself. What has once been taken may
// be taken again, because to collect earlier would save nothing: the most that such
// a process takes is what its runner has to have. GOGC and GOMEMLIMIT in the
// environment win.
func SaveMemory() {
	forgetStart()
	budget{freeMemory, -1, garbagePercent, againPercent}.keep()
}

// SaveMemoryOf is for processes that go on: garbage is collected as Go does by itself,
// and earlier where that keeps the process below so many bytes. What is held counts
// for more: where it leaves no room, they are not kept to. GOGC and GOMEMLIMIT in the
// environment win.
func SaveMemoryOf(bytes int64) { budget{bytes, 100, 100, 0}.keep() }

// budget is what a process is to take, in bytes, and how much garbage, in percent of
// what it holds, it may have as long as it can be kept, and after that.
type budget struct {
	bytes         int64
	within, above int
	again         int // percent of the most that it has held with garbage, that it may hold again; 0 for none
}

func (b budget) keep() {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	debug.SetGCPercent(b.within)
	debug.SetMemoryLimit(b.bytes)
	after(&collecting{budget: b})
}

// collecting is when garbage is collected next.
type collecting struct {
	budget
	most    uint64 // bytes that the heap may have; it never falls
	percent int    // of garbage, that is set; 0 while the budget decides
}

// after waits for the next collection, and decides about those behind it.
func after(c *collecting) {
	passed := new([64]byte)
	runtime.AddCleanup(passed, func(c *collecting) {
		c.collected(heap())
		if c.percent == 0 || c.again > 0 {
			after(c)
		}
	}, c)
}

// heap gives the bytes that are held, and those beside: gaps between what is held,
// and what the runtime needs itself.
func heap() (held, beside uint64) {
	found := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/free:bytes"}, {Name: "/memory/classes/heap/released:bytes"},
	}
	metrics.Read(found)
	of := func(i int) uint64 { return found[i].Value.Uint64() }
	return of(0), of(1) - of(2) - of(3) - of(4)
}

// collected goes over from the limit to a share of what is held once the limit
// leaves no room for that: a limit that is met would have garbage collected all
// the time.
func (c *collecting) collected(held, beside uint64) {
	percent := c.next(held, beside)
	if percent == c.percent {
		return
	}
	c.percent = percent
	debug.SetGCPercent(percent)
	debug.SetMemoryLimit(math.MaxInt64)
}

// next is the share of garbage, in percent of what is held, that there may be
// before the next collection; 0 as long as the limit decides.
func (c *collecting) next(held, beside uint64) int {
	least := held / 100 * (100 + garbagePercent)
	if room := uint64(c.bytes) / 100 * roomPercent; c.percent == 0 && least+beside < room {
		return 0
	}
	c.most = max(c.most, least)
	return max(c.above, int(c.most*uint64(c.again)/max(held, 1))-100)
}
