package main

import (
	"net"
	"os"
	"os/exec"
	"testing"
	"time"
)

// A controller that cannot have its port says so and ends: one that hangs
// would neither serve nor be started again by its supervisor.
func TestEndsWhenAPortIsTaken(t *testing.T) {
	for name, pick := range map[string]func(*rig) string{
		"CA":  func(r *rig) string { return r.ca },
		"ADS": func(r *rig) string { return r.ads },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			l, err := net.Listen("tcp", pick(r))
			must(t, err)
			defer l.Close()
			cmd := exec.Command(os.Args[0], "--repo", r.repo, "--path", "mesh", "--state", r.state, "--workloads", r.workloads,
				"--ads-address", r.ads, "--ca-address", r.ca, "--interval", "100ms")
			cmd.Env = append(os.Environ(), asController+"=1")
			must(t, cmd.Start())
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			select {
			case <-ended:
			case <-time.After(20 * time.Second):
				_ = cmd.Process.Kill()
				<-ended
				t.Fatal("the controller hangs")
			}
			if code := cmd.ProcessState.ExitCode(); code != 2 {
				t.Errorf("exit status %d, want 2", code)
			}
		})
	}
}
