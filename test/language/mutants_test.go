package language

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/test/soak"
	"github.com/meshc/meshc/testdata/genmesh/gen"
)

// A soak tries every kind of mutant of every field once in Bookinfo and once in
// a generated mesh; a short run tries one of mutantShare of those.
const (
	mutantMeshes = 400
	mutantShare  = 50
	mutantLeast  = 2000
	mutantSites  = 50 // of one field that are looked at for kinds that are missing
)

// source is a mesh that is mutated.
type source struct {
	name  string
	files map[string]string
}

// sources are Bookinfo and generated meshes, small ones first.
func sources(t *testing.T, meshes uint64) []*source {
	t.Helper()
	var out []*source
	for seed := range meshes {
		out = append(out, &source{name: fmt.Sprint("seed ", seed), files: gen.Whole(seed).Files})
	}
	size := func(s *source) (sum int) {
		for _, text := range s.files {
			sum += len(text)
		}
		return sum
	}
	slices.SortStableFunc(out, func(a, b *source) int { return cmp.Compare(size(a), size(b)) })
	out = append([]*source{{name: "Bookinfo", files: bookinfo(t)}}, out...)
	return out
}

// bookinfo gives the files of the example.
func bookinfo(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	root := os.DirFS("../../examples/bookinfo/mesh")
	err := fs.WalkDir(root, ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(path, ".cue") {
			return err
		}
		raw, err := fs.ReadFile(root, path)
		out[path] = string(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// drawn says that a short run tries what has a key.
func drawn(key string) bool {
	h := fnv.New32a()
	h.Write([]byte(key))
	return soak.On() || h.Sum32()%mutantShare == 0
}

// TestMutantsAreReported: a valid mesh with one change that makes it wrong has
// one error, which is about the line of the change: it stands there or, where
// two lines contradict each other, at the other one and names it. What is wrong
// follows from how a mutant is made, and every field of the schema has mutants.
func TestMutantsAreReported(t *testing.T) {
	type job struct {
		of *source
		m  *mutant
	}
	var jobs []job
	fields, kinds, visits := map[string]bool{}, map[string]bool{}, map[string]int{}
	meshes := uint64(mutantMeshes)
	if !soak.On() {
		meshes /= 10
	}
	for i, s := range sources(t, meshes) {
		all := sites(t, s.files)
		for _, one := range all {
			if visits[one.place.field]++; visits[one.place.field] > mutantSites {
				continue
			}
			for _, m := range wrong(one, all) {
				key := m.key()
				if i == 0 {
					if m.kind == noValue {
						continue // Bookinfo gives values to all services at once
					}
					key += " of Bookinfo"
				}
				if !kinds[key] && drawn(key) {
					jobs = append(jobs, job{s, m})
				}
				kinds[key], fields[one.place.field] = true, true
			}
		}
	}
	for _, f := range load.SchemaFields() {
		if soak.On() && f.Leaf && !isNeverWritten(f.Field) && !fields[f.Field] {
			t.Errorf("no mutant of %s: a mesh of gen.Whole has to write it", f.Field)
		}
	}
	each(jobs, func(j job) { checkMutant(t, j.of, j.m) })
	t.Logf("%d mutants of %d fields, out of %d", len(jobs), len(fields), len(kinds))
	if soak.On() && len(jobs) < mutantLeast {
		t.Errorf("%d mutants, want %d", len(jobs), mutantLeast)
	}
}

// each calls do for every job, as many at once as there are processors.
func each[T any](jobs []T, do func(T)) {
	queue := make(chan T)
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for j := range queue {
				do(j)
			}
		})
	}
	for _, j := range jobs {
		queue <- j
	}
	close(queue)
	group.Wait()
}

func (m *mutant) isAt(r diag.Range) bool { return r.File == m.site.file && int(r.Start.Line) == m.line }

func checkMutant(t *testing.T, of *source, m *mutant) {
	t.Helper()
	fsys := (&gen.Generated{Files: m.files(of.files)}).FS()
	res, err := compiler.Compile(t.Context(), fsys, compiler.Options{Now: now, Load: load.Options{InProcess: true}})
	if err != nil {
		t.Errorf("%s: %s: %v", of.name, m, err)
		return
	}
	var found []string
	there := 0
	for _, d := range res.Diags {
		if d.Severity != diag.Error {
			continue
		}
		found = append(found, fmt.Sprintf("%s: %s %s", d.Range, d.Code, d.Message))
		if m.isAt(d.Range) || slices.ContainsFunc(d.Related, func(r diag.Related) bool { return m.isAt(r.Range) }) {
			there++
		}
	}
	switch {
	case len(found) == 0:
		t.Errorf("NONE %s: %s: no error", of.name, m)
	case there == 0:
		t.Errorf("ELSEWHERE %s: %s: line %d is not named:\n\t%s", of.name, m, m.line, strings.Join(found, "\n\t"))
	case len(found) > 1:
		t.Errorf("MORE %s: %s: one mistake, %d errors:\n\t%s", of.name, m, len(found), strings.Join(found, "\n\t"))
	}
}
