package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/meshc/meshc/reconciler/status"
	"github.com/meshc/meshc/reconciler/store"
)

// TestStatusScript runs testdata/status, where a test plays the controller.
func TestStatusScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/status",
		UpdateScripts:       os.Getenv("MESHC_UPDATE") != "",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("GIT_CONFIG_GLOBAL", "/dev/null")
			for _, role := range []string{"AUTHOR", "COMMITTER"} {
				env.Setenv("GIT_"+role+"_NAME", "a")
				env.Setenv("GIT_"+role+"_EMAIL", "a@example.com")
				env.Setenv("GIT_"+role+"_DATE", "2026-01-02T03:04:05Z")
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status": checkStatus,
			"report": report,
			"hash":   hash,
		},
	})
}

// report is the command `report DIR FILE`: it saves the JSON in FILE as the
// status of the state directory DIR. $NAME in it is a variable of the script.
func report(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: report DIR FILE")
	}
	var s status.Status
	dec := json.NewDecoder(strings.NewReader(os.Expand(ts.ReadFile(args[1]), ts.Getenv)))
	dec.DisallowUnknownFields()
	ts.Check(dec.Decode(&s))
	if s.Controller.PID == 0 {
		s.Controller.PID = os.Getpid()
	}
	if s.Controller.HeartbeatAt.IsZero() {
		s.Controller.HeartbeatAt = time.Now()
	}
	l, err := store.Open(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(l.SaveStatus(&s))
	ts.Check(l.Close())
}

// hash is the command `hash NAME REV`: it sets $NAME to the hash of a commit
// of the repository in the working directory.
func hash(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: hash NAME REV")
	}
	c, err := resolveRevision(ts.MkAbs("."), args[1])
	ts.Check(err)
	ts.Setenv(args[0], c.Hash)
}
