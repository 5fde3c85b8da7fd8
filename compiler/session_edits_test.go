package compiler_test

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/cache"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/test/soak"
	"github.com/meshc/meshc/testdata/genmesh/gen"
)

// edited is a mesh on its way through edits.
type edited struct {
	dice   *rand.Rand
	first  fstest.MapFS // as it was generated
	fsys   fstest.MapFS
	passed time.Duration // since now
}

// edits change a mesh in ways that reach far: what depends on what they change is
// elsewhere. Some leave it unsound.
var edits = []func(e *edited){
	func(e *edited) { e.number(e.file()) },
	func(e *edited) { e.number(e.file()) },
	func(e *edited) { e.dropLine(e.file(), func(string) bool { return true }) },
	func(e *edited) { e.dropLine(e.file(), func(l string) bool { return strings.Contains(l, "uses:") }) },
	func(e *edited) { e.use(e.file()) },
	func(e *edited) { e.swapWord(e.file()) },
	func(e *edited) { // as it was
		name := e.file()
		e.write(name, string(e.first[name].Data))
	},
	func(e *edited) { maps.Copy(e.fsys, e.first) },
	func(e *edited) { e.rename() },
	func(e *edited) { delete(e.fsys, e.file()) },
	func(e *edited) { // lines move
		name := e.file()
		e.write(name, strings.Replace(string(e.fsys[name].Data), "package mesh\n", "package mesh\n\n// moved\n", 1))
	},
	func(e *edited) { // the mesh as a whole
		blocks := []string{
			"traffic: connectTimeout: \"2s\"", "traffic: {outliers: consecutive5xx: 9}", "mtls: \"permissive\"",
			"telemetry: accessLog: to: \"stderr\"", "traffic: {health: {http: path: \"/well\", interval: \"9s\", timeout: \"1s\"}}",
		}
		e.write("extra.cue", "package mesh\nmesh: "+blocks[e.dice.IntN(len(blocks))]+"\n")
	},
	func(e *edited) { delete(e.fsys, "extra.cue") },
	func(e *edited) { // another service, whom somebody may use
		e.write("added.cue", fmt.Sprintf("package mesh\nservice: added: {namespace: \"shop\", ports: http: {number: %d, protocol: \"http\"}, versions: v1: {}}\n", 7000+e.dice.IntN(3)))
	},
	func(e *edited) { e.passed = time.Duration(e.dice.IntN(3)) * 45 * 365 * 24 * time.Hour },
}

func (e *edited) write(name, text string) {
	e.fsys[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
}

// file draws a file of the first mesh.
func (e *edited) file() string {
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(e.first)), func(n string) bool {
		return strings.HasPrefix(n, "cue.mod") || e.fsys[n] == nil && e.dice.IntN(4) > 0
	})
	name := names[e.dice.IntN(len(names))]
	if e.fsys[name] == nil {
		e.fsys[name] = e.first[name]
	}
	return name
}

var (
	numbers = regexp.MustCompile(`[0-9]+`)
	words   = regexp.MustCompile(`"[a-zA-Z/0-9-]+"`)
)

// number makes a number of the text another one.
func (e *edited) number(name string) {
	text := string(e.fsys[name].Data)
	if all := numbers.FindAllStringIndex(text, -1); len(all) > 0 {
		at := all[e.dice.IntN(len(all))]
		e.write(name, text[:at[0]]+fmt.Sprint(1+e.dice.IntN(40))+text[at[1]:])
	}
}

// swapWord puts a word of another place in the place of one.
func (e *edited) swapWord(name string) {
	text := string(e.fsys[name].Data)
	if all := words.FindAllStringIndex(text, -1); len(all) > 0 {
		at, by := all[e.dice.IntN(len(all))], all[e.dice.IntN(len(all))]
		e.write(name, text[:at[0]]+text[by[0]:by[1]]+text[at[1]:])
	}
}

// dropLine takes a line away that is a field of its own.
func (e *edited) dropLine(name string, wanted func(string) bool) {
	lines := strings.SplitAfter(string(e.fsys[name].Data), "\n")
	var at []int
	for i, l := range lines[1:] {
		open := strings.Count(l, "{") + strings.Count(l, "[") - strings.Count(l, "}") - strings.Count(l, "]")
		if open == 0 && strings.Contains(l, ":") && wanted(l) {
			at = append(at, i+1)
		}
	}
	if len(at) > 0 {
		i := at[e.dice.IntN(len(at))]
		e.write(name, strings.Join(slices.Delete(lines, i, i+1), ""))
	}
}

var named = regexp.MustCompile(`(?m)^(service|gateway|external): ([a-z0-9]+): \{$`)

// use lets a service use something else.
func (e *edited) use(name string) {
	var all []string
	for _, n := range slices.Sorted(maps.Keys(e.fsys)) {
		text := string(e.fsys[n].Data)
		if m := named.FindStringSubmatch(text); m != nil && m[1] != "gateway" {
			all = append(all, path.Base(path.Dir(n))+"/"+m[2])
		}
	}
	text := string(e.fsys[name].Data)
	if at := named.FindStringIndex(text); at != nil && len(all) > 0 {
		e.write(name, text[:at[1]]+"\n\tuses: \""+all[e.dice.IntN(len(all))]+"\": {}"+text[at[1]:])
	}
}

// rename gives a thing another name wherever it is written.
func (e *edited) rename() {
	m := named.FindStringSubmatch(string(e.fsys[e.file()].Data))
	if m == nil {
		return
	}
	word := regexp.MustCompile(`\b` + m[2] + `\b`)
	for _, n := range slices.Sorted(maps.Keys(e.fsys)) {
		if !strings.HasPrefix(n, "cue.mod") {
			e.write(n, word.ReplaceAllString(string(e.fsys[n].Data), m[2]+"x"))
		}
	}
}

// hashed is a tree whose files and directories have names of their contents, as
// those of Git have.
type hashed struct{ fstest.MapFS }

type hashedInfo struct {
	fs.FileInfo
	sum string
}

type hashedFile struct {
	fs.File
	info fs.FileInfo
}

func (i hashedInfo) Sys() any            { return i }
func (i hashedInfo) ContentName() string { return i.sum }

func (f hashedFile) Stat() (fs.FileInfo, error) { return f.info, nil }

func (h hashed) Lstat(name string) (fs.FileInfo, error) {
	info, err := h.MapFS.Lstat(name)
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	for _, n := range slices.Sorted(maps.Keys(h.MapFS)) {
		if name == "." || n == name || strings.HasPrefix(n, name+"/") {
			fmt.Fprintf(sum, "%q %q\n", n, h.MapFS[n].Data)
		}
	}
	return hashedInfo{info, string(sum.Sum(nil))}, nil
}

func (h hashed) Open(name string) (fs.File, error) {
	f, err := h.MapFS.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := h.Lstat(name)
	if _, dir := f.(fs.ReadDirFile); dir {
		return f, err
	}
	return hashedFile{f, info}, err
}

// However far an edit of a mesh that uses the whole language reaches, a session
// says what a compile from nothing says.
func TestSessionIsColdHoweverFarAnEditReaches(t *testing.T) {
	steps := 25
	if soak.On() {
		steps = 60
	}
	models, writes, followed := 0, 0, 0
	from, to := soak.Seeds(t, 4, 400)
	for seed := from; seed < to; seed++ {
		generated := gen.Whole(seed + 1)
		if seed%4 == 3 {
			generated = gen.Mesh(seed)
		}
		first := generated.FS().(fstest.MapFS)
		e := &edited{dice: rand.New(rand.NewPCG(seed, 0x65646974)), first: first, fsys: maps.Clone(first)}
		sound, out := e.run(t, seed, steps)
		models, writes, followed = models+sound, writes+out.writes, followed+out.followed
	}
	t.Logf("%d of %d writes went by the difference of two models", followed, writes)
	if followed < writes/5 || followed == writes {
		t.Errorf("%d of %d writes went by the difference of two models", followed, writes)
	}
	if states := int(to-from) * steps; models < states/5 {
		t.Errorf("only %d of %d states are sound", models, states)
	}
}

func (e *edited) run(t *testing.T, seed uint64, steps int) (models int, out *output) {
	session, sound := new(compiler.Session), maps.Clone(e.fsys)
	kept, err := cache.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	out = newOutput(t, kept, seed)
	for step := range steps {
		opts := compiler.Options{Now: now.Add(e.passed), Load: load.Options{InProcess: true}}
		res, err := compiler.Compile(t.Context(), e.fsys, opts)
		cold := judge(t, res, err)
		var fsys fs.FS = e.fsys
		if seed%2 == 0 {
			fsys = hashed{e.fsys}
		}
		res, err = session.Compile(t.Context(), fsys, opts)
		if d := cmp.Diff(cold, judge(t, res, err)); d != "" {
			t.Fatalf("seed %d, step %d (- cold, + session):\n%s", seed, step, d)
		}
		opts.Load.Cache = kept
		other, err := compiler.Compile(t.Context(), e.fsys, opts)
		if d := cmp.Diff(cold, judge(t, other, err)); d != "" {
			t.Fatalf("seed %d, step %d (- cold, + another process with the cache):\n%s", seed, step, d)
		}
		out.write(t, other, opts.Now)
		if res.Model != nil {
			models++
			sound = maps.Clone(e.fsys)
		} else if e.dice.IntN(4) > 0 {
			e.fsys = maps.Clone(sound)
		}
		for range 1 + e.dice.IntN(2) {
			edits[e.dice.IntN(len(edits))](e)
		}
	}
	return models, out
}
