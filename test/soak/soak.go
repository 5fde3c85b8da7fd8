// Package soak says how much of a long test this process is to run. It is for
// tests alone.
package soak

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// On says that tests run in full, by MESHC_SOAK: what takes hours and is left
// out of a short run.
func On() bool { return os.Getenv("MESHC_SOAK") != "" }

// Part is which part of how many this process runs of a test that is run in
// parts, by MESHC_SOAK_PART: 2/4 is the second quarter. part is from 1 to of.
func Part(t testing.TB) (part, of uint64) {
	t.Helper()
	text := os.Getenv("MESHC_SOAK_PART")
	if text == "" {
		return 1, 1
	}
	if _, err := fmt.Sscanf(text, "%d/%d", &part, &of); err != nil || part < 1 || part > of {
		t.Fatalf("MESHC_SOAK_PART is %q, want such as 2/4", text)
	}
	return part, of
}

// Within is what may pass by the clock until something has happened that a goal
// wants within a time. The goal itself is held in a soak, which has the machine to
// itself; beside other work there is more time, and less than a wait for something
// that does not come.
func Within(goal time.Duration) time.Duration {
	if On() {
		return goal
	}
	return 5 * goal
}

// Seeds gives the seeds of a run, to not among them: few, or the part of many
// that this process runs of a soak.
func Seeds(t testing.TB, few, many uint64) (from, to uint64) {
	t.Helper()
	if !On() {
		return 0, few
	}
	return Share(t, many)
}

// Share is the part of n things that this process runs, to not among them.
func Share(t testing.TB, n uint64) (from, to uint64) {
	t.Helper()
	part, of := Part(t)
	return (part - 1) * n / of, part * n / of
}
