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
	freeMemory     = 230 << 20
	garbagePercent = 25
)

// SaveMemory is for processes that hold a whole mesh and are to fit into a small
// CI runner: while they take little memory no garbage is collected, and beyond
// that it is collected earlier than Go does by itself. GOGC and GOMEMLIMIT in the
// environment win.
func SaveMemory() { budget{freeMemory, -1, garbagePercent}.keep() }

// SaveMemoryOf is for processes that go on: garbage is collected as Go does by itself,
// and earlier where that keeps the process below so many bytes. What is held counts
// for more: where it leaves no room, they are not kept to. GOGC and GOMEMLIMIT in the
// environment win.
func SaveMemoryOf(bytes int64) { budget{bytes, 100, 100}.keep() }

// budget is what a process is to take, in bytes, and how much garbage, in percent of
// what it holds, it may have as long as it can be kept, and after that.
type budget struct {
	bytes         int64
	within, above int
}

func (b budget) keep() {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	debug.SetGCPercent(b.within)
	debug.SetMemoryLimit(b.bytes)
	b.afterCollection()
}

// afterCollection waits for the next collection, and goes over to a share of what
// is held once the limit leaves no room for it: a limit that is met would have
// garbage collected all the time.
func (b budget) afterCollection() {
	passed := new([64]byte)
	runtime.AddCleanup(passed, func(struct{}) {
		held := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(held)
		if held[0].Value.Uint64()/100*(100+garbagePercent) < uint64(b.bytes)-20<<20 {
			b.afterCollection()
			return
		}
		debug.SetGCPercent(b.above)
		debug.SetMemoryLimit(math.MaxInt64)
	}, struct{}{})
}
