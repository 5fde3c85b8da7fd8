package local

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// eventually polls, because processes of others have no channel to wait on.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatal("not in time: " + what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func gone(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || strings.Contains(string(stat), ") Z ")
}

// An application may be a script: what it started ends with it, whether it is
// stopped or ends by itself.
func TestNothingThatAProgramStartedStaysBehind(t *testing.T) {
	for name, script := range map[string]string{
		"stopped":              `sleep 1000 & echo $! >"$FILE"; wait`,
		"ends by itself":       `sleep 1000 & echo $! >"$FILE"; exit 1`,
		"does not mind a TERM": `trap "" TERM; sleep 1000 & echo $! >"$FILE"; while :; do wait; done`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := filepath.Join(dir, "pid")
			s := NewSupervisor(dir, func(string, ...any) {})
			err := s.Run(&Command{Name: "app", Path: "/bin/sh", Args: []string{"-c", script}, Env: []string{"FILE=" + file}})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Stop("app")
			var child int
			eventually(t, "the child starts", func() bool {
				raw, _ := os.ReadFile(file)
				child, _ = strconv.Atoi(strings.TrimSpace(string(raw)))
				return child != 0
			})
			if name != "ends by itself" {
				s.Stop("app")
			}
			eventually(t, "the child ends", func() bool { return gone(child) })
		})
	}
}
