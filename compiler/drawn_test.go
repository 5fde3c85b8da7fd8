package compiler_test

import (
	"context"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/behave/show"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/expect"
	expectshow "github.com/meshc/meshc/compiler/expect/show"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/compiler/snapshot"
	"github.com/meshc/meshc/policies"
	"github.com/meshc/meshc/reconciler"
)

// drawn are the diagnostics of a fixture: of vet, and where it is sound so far, of
// what else is asked of it.
func (f *fixture) drawn(t *testing.T) diag.List {
	t.Helper()
	head, out := f.compiled(t, f.files)
	if head.Model == nil {
		return out
	}
	out = append(out, vetted(t, head)...)
	if f.base != nil {
		base, diags := f.compiled(t, f.base)
		if base.Model == nil {
			t.Fatalf("the base has errors: %v", diags)
		}
		out = append(out, f.compared(t, base, head)...)
	}
	if f.given != nil && f.given.test {
		out = append(out, tested(t, head)...)
	}
	if f.given != nil && f.given.running != "" {
		out = append(out, reconciler.ForeignTrust(head, f.given.running, f.given.vouched)...)
	}
	return out
}

// compiled is one tree of the fixture, with the diagnostics of the snapshot beside it.
func (f *fixture) compiled(t *testing.T, files map[string]string) (*compiler.Result, diag.List) {
	t.Helper()
	opts := compiler.Options{Now: now, Load: load.Options{InProcess: f.given == nil || !f.given.child}}
	var unread diag.List
	mesh := map[string]string{}
	for name, data := range files {
		if name == "snapshot.json" {
			opts.Snapshot, unread = snapshot.Read(name, []byte(data))
			continue
		}
		mesh[name] = data
	}
	if f.given != nil {
		opts.Load.Limits = f.given.limits
		if f.given.kill {
			defer killing(t)()
		}
	}
	res, err := compiler.Compile(context.Background(), f.given.tree(mesh), opts)
	if err != nil {
		t.Fatal(err)
	}
	return res, append(res.Diags, unread...)
}

// inProcess is for rules that are known to be harmless.
var inProcess = load.RuleEvaluator{Options: load.Options{InProcess: true}}

// vetted is what `meshc vet` says beyond the compile.
func vetted(t *testing.T, res *compiler.Result) diag.List {
	t.Helper()
	violations, err := policies.Mesh(res.Intent, res.Model, now)
	if err != nil {
		t.Fatal(err)
	}
	found, err := policies.RulesOfMesh(t.Context(), res.Intent, res.Model, inProcess, now)
	if err != nil {
		t.Fatal(err)
	}
	return append(violations, found...)
}

// compared is what `meshc diff` says. A change has several classes as a rule, and
// breaks a policy by what it does: of the classes only the one that f is about counts.
func (f *fixture) compared(t *testing.T, base, head *compiler.Result) diag.List {
	t.Helper()
	r := behave.Meshes(base.Model, head.Model)
	c := policies.Compare(&policies.Tree{Intent: base.Intent, Model: base.Model}, &policies.Tree{Intent: head.Intent, Model: head.Model}, r, now)
	violations, err := c.Policies()
	if err != nil {
		t.Fatal(err)
	}
	found, err := c.Rules(t.Context(), inProcess)
	if err != nil {
		t.Fatal(err)
	}
	classes := slices.DeleteFunc(show.Diagnostics(r), func(d diag.Diagnostic) bool { return d.Code != f.code })
	return append(append(classes, violations...), found...)
}

// tested is what `meshc test` says.
func tested(t *testing.T, res *compiler.Result) diag.List {
	t.Helper()
	r := expect.Run(res.Intent, res.Model, expect.Options{Now: now})
	rules, diags, err := policies.TestRules(t.Context(), res.Intent, madeUp, inProcess, nil)
	if err != nil || diags.HasErrors() {
		t.Fatal(err, diags)
	}
	r.Join(rules)
	return expectshow.Diagnostics(r)
}

// madeUp compiles the mesh that a test of a rule makes up.
func madeUp(ctx context.Context, text string, at time.Time) (*policies.Tree, diag.List, error) {
	fsys, err := policies.Made(text)
	if err != nil {
		return nil, nil, err
	}
	res, err := compiler.Compile(ctx, fsys, compiler.Options{Now: at, Load: inProcess.Options})
	if err != nil {
		return nil, nil, err
	}
	return &policies.Tree{Intent: res.Intent, Model: res.Model}, res.Diags, nil
}

// killing ends children of this process that have worked for a second, as a machine
// without memory does, until what it returns is called.
func killing(t *testing.T) (stop func()) {
	t.Helper()
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
				for _, pid := range workers() {
					_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
				}
			}
		}
	})
	return func() { close(done); wg.Wait() }
}

// workers are the children of this process that had a second of a processor
// (proc(5): of /proc/PID/stat, after the name, field 4 is the parent and field 14 the
// time of the user, in hundredths).
func workers() (out []int) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		data, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(data), ") ")
		fields := strings.Fields(rest)
		if len(fields) < 12 || fields[1] != strconv.Itoa(os.Getpid()) {
			continue
		}
		if used, err := strconv.Atoi(fields[11]); err == nil && used >= 100 {
			out = append(out, pid)
		}
	}
	return out
}
