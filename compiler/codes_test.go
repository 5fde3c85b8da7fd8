package compiler_test

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

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
	res, err := compiler.Compile(context.Background(), fsys, compiler.Options{Now: now, Load: load.Options{InProcess: true}})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// TestCodes reads one archive per code: each directory bad* is a mesh with one
// or more mistakes, in marks «like this», that gives one diagnostic of the code
// per mark and no other error or warning; each directory good* is a near miss
// that gives none at all. Places that no mark can show, such as a whole file,
// are lines of a file "want". A file without content takes a usual one away.
func TestCodes(t *testing.T) {
	archives, err := filepath.Glob("testdata/codes/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatal(err, archives)
	}
	for _, name := range archives {
		code := diag.Code(strings.TrimSuffix(filepath.Base(name), ".txtar"))
		a, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		meshes := map[string]map[string]string{}
		for _, f := range a.Files {
			dir, rest, _ := strings.Cut(f.Name, "/")
			if meshes[dir] == nil {
				meshes[dir] = map[string]string{}
			}
			meshes[dir][rest] = string(f.Data)
		}
		for dir, files := range meshes {
			t.Run(path.Join(string(code), dir), func(t *testing.T) { checkMesh(t, code, dir, files) })
		}
	}
}

func checkMesh(t *testing.T, code diag.Code, dir string, files map[string]string) {
	var want []string
	for _, place := range strings.Fields(files["want"]) {
		want = append(want, fmt.Sprintf("%s %s", code, place))
	}
	delete(files, "want")
	for name, data := range files {
		clean, ranges := marks(t, name, data)
		files[name] = clean
		for _, r := range ranges {
			want = append(want, fmt.Sprintf("%s %s", code, span(r)))
		}
	}
	if strings.HasPrefix(dir, "bad") != (len(want) > 0) {
		t.Fatalf("%d marks in %s", len(want), dir)
	}
	var got []string
	var messages strings.Builder
	for _, d := range compileBeside(t, files).Diags {
		if d.Severity == diag.Info && d.Code != code {
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
