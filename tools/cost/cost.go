// Package cost measures what commands and calls take, for the benches of the
// compiler, which keep every line that they print.
package cost

import (
	"bytes"
	"fmt"
	"os/exec"
	"syscall"
	"time"
)

// Sample is one measurement.
type Sample struct {
	Wall, CPU time.Duration
	RSS       int64 // bytes: the most that the process, or the largest of several, has had
}

// Add is one after the other.
func (s *Sample) Add(o Sample) {
	s.Wall, s.CPU, s.RSS = s.Wall+o.Wall, s.CPU+o.CPU, max(s.RSS, o.RSS)
}

// Command runs a program in a directory. That it fails is an error with what it
// said.
func Command(dir, name string, args ...string) (Sample, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	start := time.Now()
	err := cmd.Run()
	wall := time.Since(start)
	if err != nil {
		return Sample{}, fmt.Errorf("%s: %w\n%.2000s", name, err, stderr.String())
	}
	out := Sample{Wall: wall, CPU: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		out.RSS = usage.Maxrss << 10
	}
	return out, nil
}

// Call measures a call and the processes that it has run and waited for, with the
// most memory that this process has had so far.
func Call(call func()) Sample {
	start, before := time.Now(), cpu()
	call()
	return Sample{Wall: time.Since(start), CPU: cpu() - before, RSS: usage(syscall.RUSAGE_SELF).Maxrss << 10}
}

// cpu is what this process and its children have taken.
func cpu() time.Duration {
	var total time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		u := usage(who)
		total += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return total
}

func usage(who int) syscall.Rusage {
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		panic("cost: getrusage: " + err.Error())
	}
	return u
}
