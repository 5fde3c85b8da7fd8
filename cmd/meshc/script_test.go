package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/meshc/meshc/compiler/load"
)

func TestMain(m *testing.M) {
	load.MaybeRunChild()
	testscript.Main(m, map[string]func(){
		"meshc": func() { os.Exit(meshc()) },
	})
}

// TestScript runs testdata/script: each file is one behaviour of the command
// line. MESHC_UPDATE=1 rewrites expected output.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: os.Getenv("MESHC_UPDATE") != "",
		Setup: func(env *testscript.Env) error {
			bookinfo, err := filepath.Abs(filepath.Join("..", "..", "examples", "bookinfo", "mesh"))
			env.Setenv("BOOKINFO", bookinfo)
			return err
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status": checkStatus,
		},
	})
}

// checkStatus is the command `status N meshc ARGS...`: it runs a command and
// requires the exit status N.
func checkStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N COMMAND ARGS...")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		got = exit.ProcessState.String()[len("exit status "):]
	} else if err != nil {
		ts.Fatalf("%s: %v", args[1], err)
	}
	if got != args[0] {
		ts.Fatalf("exit status %s, want %s", got, args[0])
	}
}
