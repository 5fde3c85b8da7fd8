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
func SaveMemory() {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(freeMemory)
	afterCollection()
}

// afterCollection waits for the next collection, and goes over to a share of what
// is held once the limit leaves no room for it: a limit that is met would have
// garbage collected all the time.
func afterCollection() {
	passed := new([64]byte)
	runtime.AddCleanup(passed, func(struct{}) {
		held := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(held)
		if held[0].Value.Uint64()/100*(100+garbagePercent) < freeMemory-20<<20 {
			afterCollection()
			return
		}
		debug.SetGCPercent(garbagePercent)
		debug.SetMemoryLimit(math.MaxInt64)
	}, struct{}{})
}
