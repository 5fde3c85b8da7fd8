package compiler_test

import (
	"context"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/load"
)

func TestMain(m *testing.M) {
	load.MaybeRunChild()
	os.Exit(m.Run())
}

// now is the present of every test.
var now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// usual are the files that a mesh has unless it says otherwise.
var usual = map[string]string{
	"cue.mod/module.cue": "module: \"mesh.example\"\nlanguage: version: \"v0.17.0\"\n",
	"mesh.cue": `package mesh

import m "meshc.dev/mesh"

mesh:     m.#Config
service:  m.#Services
gateway:  m.#Gateways
external: m.#Externals
`,
}

func compile(t *testing.T, files map[string]string) *compiler.Result {
	t.Helper()
	res, err := compiler.Compile(context.Background(), treeOf(files), compiler.Options{Now: now, Load: load.Options{InProcess: true}})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// treeOf adds the usual files; one without content takes a usual one away.
func treeOf(files map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, data := range usual {
		fsys[name] = &fstest.MapFile{Data: []byte(data)}
	}
	for name, data := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(data)}
		if data == "" {
			delete(fsys, name)
		}
	}
	return fsys
}

// TestCodes reads one archive per code: each directory bad* is a mesh with one
// or more mistakes, in marks «like this», that gives one diagnostic of the code
// per mark and no other error or warning; each directory good* is a near miss
// that gives none at all. Places that no mark can show, such as a whole file,
// are lines of a file "want". A file without content takes a usual one away.
// What there is besides the mesh stands beside it, as fixture says.
func TestCodes(t *testing.T) {
	for _, f := range fixtures(t) {
		t.Run(path.Join(string(f.code), f.dir), f.check)
	}
}

func (f *fixture) check(t *testing.T) {
	if strings.HasPrefix(f.dir, "bad") != (len(f.want) > 0) {
		t.Fatalf("%d marks in %s", len(f.want), f.dir)
	}
	var want, got []string
	for _, place := range f.want {
		want = append(want, fmt.Sprintf("%s %s", f.code, place))
	}
	var messages strings.Builder
	for _, d := range f.drawn(t) {
		if d.Severity == diag.Info && d.Code != f.code {
			continue // remarks that many fixtures draw by the way
		}
		got = append(got, fmt.Sprintf("%s %s", d.Code, span(d.Range)))
		fmt.Fprintf(&messages, "%s: %s\n", d.Range, d.Message)
	}
	slices.Sort(want)
	slices.Sort(got)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s\n%s", d, messages.String())
	}
}

func span(r diag.Range) string {
	return fmt.Sprintf("%s:%d:%d-%d:%d", r.File, r.Start.Line, r.Start.Col, r.End.Line, r.End.Col)
}

// marks takes «marks» out of a file and gives their ranges.
func marks(t *testing.T, name, data string) (clean string, ranges []diag.Range) {
	const opening, closing = "«", "»"
	var out strings.Builder
	at := func() diag.Pos {
		text := out.String()
		line := strings.Count(text, "\n") + 1
		return diag.NewPos(line, len(text)-(strings.LastIndex(text, "\n")+1)+1)
	}
	for {
		before, rest, found := strings.Cut(data, opening)
		out.WriteString(before)
		if !found {
			return out.String(), ranges
		}
		inside, after, closed := strings.Cut(rest, closing)
		if !closed {
			t.Fatalf("%s: a mark is not closed", name)
		}
		start := at()
		out.WriteString(inside)
		ranges = append(ranges, diag.Range{File: name, Start: start, End: at()})
		data = after
	}
}
