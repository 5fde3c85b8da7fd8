package compiler_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/digest"
	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/emit/xds/artifact"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/test/soak"
	"github.com/meshc/meshc/testdata/genmesh/gen"
)

// judged is all that a compile says, and all that is made of it.
type judged struct {
	Intent, Model digest.Sum
	Diags         diag.List
	Suppressed    []diag.Suppressed
	Files         digest.Sum
}

func judge(t *testing.T, res *compiler.Result, err error) judged {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	out := judged{Intent: digest.Of(res.Intent), Model: digest.Of(res.Model), Diags: res.Diags, Suppressed: res.Suppressed}
	if res.Model == nil {
		return out
	}
	files, err := artifact.New(res.Model, xds.DefaultWorkloads(res.Model), xds.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	names, err := files.Names()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := files.Render(&all, name); err != nil {
			t.Fatal(err)
		}
	}
	out.Files = digest.Of(all.String())
	return out
}

// changes edit one file of a mesh in ways that people do; most keep it sound.
var changes = []func(dice *rand.Rand, fsys fstest.MapFS, name string){
	func(_ *rand.Rand, fsys fstest.MapFS, name string) { swap(fsys, name, `timeout: "5s"`, `timeout: "6s"`) },
	func(_ *rand.Rand, fsys fstest.MapFS, name string) { swap(fsys, name, `timeout: "6s"`, `timeout: "5s"`) },
	func(_ *rand.Rand, fsys fstest.MapFS, name string) { swap(fsys, name, `prefix: "/`, `prefix: "/x/`) },
	func(_ *rand.Rand, fsys fstest.MapFS, name string) {
		swap(fsys, name, "package mesh\n", "package mesh\n\n// moved down\n")
	},
	func(_ *rand.Rand, fsys fstest.MapFS, name string) {
		swap(fsys, name, `exact: "beta"`, `exact: "gamma"`)
	},
	func(_ *rand.Rand, fsys fstest.MapFS, name string) { swap(fsys, name, "number: 8080", "number: 8081") },
	func(_ *rand.Rand, fsys fstest.MapFS, name string) { swap(fsys, name, "attempts: 1", "attempts: 2") },
	func(_ *rand.Rand, fsys fstest.MapFS, name string) {
		swap(fsys, name, ": {}\n\t}", ": {}\n\t\tnobody: {}\n\t}")
	},
	func(_ *rand.Rand, fsys fstest.MapFS, name string) { swap(fsys, name, "\t\tnobody: {}\n", "") },
	func(_ *rand.Rand, fsys fstest.MapFS, name string) { delete(fsys, name) },
	func(dice *rand.Rand, fsys fstest.MapFS, name string) { // computes
		fsys[path.Join(path.Dir(name), "odd.cue")] = &fstest.MapFile{Data: fmt.Appendf(nil,
			"package mesh\n_n: %d\nservice: odd: {ports: a: {number: 1 + _n, protocol: \"http\"}, versions: v1: {}}\n", dice.IntN(9))}
	},
	func(dice *rand.Rand, fsys fstest.MapFS, _ string) { // a layer above all
		fsys["prod/owner.cue"] = &fstest.MapFile{Data: fmt.Appendf(nil, "package mesh\nservice: [string]: owner: \"team-%d\"\n", dice.IntN(2))}
	},
	func(_ *rand.Rand, fsys fstest.MapFS, _ string) { delete(fsys, "prod/owner.cue") },
}

func swap(fsys fstest.MapFS, name, from, to string) {
	fsys[name] = &fstest.MapFile{Data: []byte(strings.Replace(string(fsys[name].Data), from, to, 1)), Mode: 0o644}
}

// However a mesh is edited, a session says of it what a compile from nothing
// says, and what is made of it is the same to the byte.
func TestSessionIsCold(t *testing.T) {
	steps := 12
	if soak.On() {
		steps = 40
	}
	opts := compiler.Options{Now: now, Load: load.Options{InProcess: true}}
	from, to := soak.Seeds(t, 3, 200)
	for seed := from; seed < to; seed++ {
		dice := rand.New(rand.NewPCG(seed, 0x73657373))
		fsys := large(t, gen.LargeOptions{Services: 60, PerDir: 1 + dice.IntN(20), Seed: seed})
		if seed%3 == 2 {
			fsys = gen.Mesh(seed).FS().(fstest.MapFS)
		}
		session, models, sound := new(compiler.Session), 0, maps.Clone(fsys)
		var last, lastCold judged
		for step := range steps {
			res, err := compiler.Compile(t.Context(), fsys, opts)
			cold := judge(t, res, err)
			res, err = session.Compile(t.Context(), fsys, opts)
			warm := judge(t, res, err)
			if d := cmp.Diff(cold, warm); d != "" {
				t.Fatalf("seed %d, step %d (- cold, + session):\n%s", seed, step, d)
			}
			if d := cmp.Diff(lastCold, last); d != "" {
				t.Fatalf("seed %d, step %d: the next compile changed what the last one gave:\n%s", seed, step, d)
			}
			if last, lastCold = warm, cold; res.Model != nil {
				models++
				sound = maps.Clone(fsys)
			} else if dice.IntN(3) > 0 {
				fsys = maps.Clone(sound)
			}
			for range 1 + dice.IntN(2) {
				names := slices.DeleteFunc(slices.Sorted(maps.Keys(fsys)), func(n string) bool {
					return !strings.HasPrefix(n, "prod/") && seed%3 < 2 || strings.HasPrefix(n, "cue.mod")
				})
				changes[dice.IntN(len(changes))](dice, fsys, names[dice.IntN(len(names))])
			}
		}
		if models < steps/4 {
			t.Errorf("seed %d: only %d of %d states are sound", seed, models, steps)
		}
	}
}

// Calls that overlap do not disturb each other.
func TestSessionIsForMany(t *testing.T) {
	opts := compiler.Options{Now: now, Load: load.Options{InProcess: true}}
	session := new(compiler.Session)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			fsys := large(t, gen.LargeOptions{Services: 20 + i%2})
			for range 3 {
				res, err := session.Compile(context.Background(), fsys, opts)
				if err != nil || res.Model == nil || len(res.Model.Services) != 20+i%2 {
					t.Error(err, res)
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkSession compiles 1,000 services again of which one is another.
func BenchmarkSession(b *testing.B) {
	fsys := large(b, gen.LargeOptions{Services: 1000})
	opts := compiler.Options{Now: now, Load: load.Options{InProcess: true}}
	session, i := new(compiler.Session), 0
	run := func() {
		from, to := `timeout: "5s"`, `timeout: "6s"`
		if i++; i%2 == 0 {
			from, to = to, from
		}
		swap(fsys, "prod/team-0000/svc-00002.cue", from, to)
		if res, err := session.Compile(context.Background(), fsys, opts); err != nil || res.Model == nil {
			b.Fatal(err, res)
		}
	}
	run()
	for b.Loop() {
		run()
	}
}
