package compiler_test

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/fix"
	"github.com/meshc/meshc/compiler/load"
)

// hiders are fixtures whose mistake ends the stage of load, and of the check of
// intent, with and without a fix.
var hiders = []string{"MSH1002.txtar/bad", "MSH1003.txtar/bad", "MSH2013.txtar/bad"}

// TestBeyondFindsWhatErrorsHideAndNothingElse puts the mistakes of two fixtures
// into one mesh, each in a directory and namespace of its own. What is reported
// are mistakes of one or the other, each once; none is an echo of mending.
func TestBeyondFindsWhatErrorsHideAndNothingElse(t *testing.T) {
	alone := map[string]map[string]string{}
	eachFixture(t, func(t *testing.T, files map[string]string) {
		name := strings.TrimPrefix(t.Name(), strings.SplitN(t.Name(), "/", 2)[0]+"/")
		if _, simple := files["a.cue"]; simple && len(files) == 1 && !strings.Contains(files["a.cue"], "namespace") {
			alone[name] = files
		}
	})
	wantY := map[string][]string{}
	for name, files := range alone {
		if strings.Contains(name, "/bad") {
			wantY[name] = placesIn(t, "y", files)
		}
	}
	hidden, found, missed := 0, 0, map[string]int{}
	for _, hider := range hiders {
		if alone[hider] == nil {
			t.Fatalf("no fixture %s", hider)
		}
		wantX := placesIn(t, "x", alone[hider])
		for _, other := range slices.Sorted(maps.Keys(wantY)) {
			if strings.Contains(alone[hider]["a.cue"], "external:") && strings.Contains(alone[other]["a.cue"], ".example") {
				continue // their hosts clash
			}
			want := slices.Concat(wantX, wantY[other])
			got := placesOf(vet(t, together(alone[hider], alone[other])))
			for _, p := range got {
				if !slices.Contains(want, p) {
					t.Errorf("%s and %s: %s is an echo", hider, other, p)
				}
			}
			if c := slices.Compact(slices.Clone(got)); len(c) != len(got) {
				t.Errorf("%s and %s: one is said twice: %v", hider, other, got)
			}
			for _, p := range want {
				if !slices.Contains(got, p) {
					missed[p[:7]]++
				}
			}
			hidden += len(want)
			found += len(got)
		}
	}
	t.Logf("%d of %d mistakes found in one run; missed by code: %v", found, hidden, missed)
	if found*100 < hidden*90 {
		t.Errorf("%d of %d mistakes found in one run: codes are missing in compiler/fix/scope.go", found, hidden)
	}
}

// together is a mesh with a fixture in each of two directories.
func together(x, y map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, data := range usual {
		fsys[name] = &fstest.MapFile{Data: []byte(data)}
	}
	for dir, files := range map[string]map[string]string{"x": x, "y": y} {
		fsys[dir+"/namespace.cue"] = &fstest.MapFile{Data: []byte(fmt.Sprintf("package mesh\n\nnamespace: %q\n", dir))}
		for name, data := range files {
			fsys[path.Join(dir, name)] = &fstest.MapFile{Data: []byte(data)}
		}
	}
	return fsys
}

// vet judges as `meshc vet` does.
func vet(t *testing.T, fsys fstest.MapFS) diag.List {
	t.Helper()
	opts := compiler.Options{Now: now, Load: load.Options{InProcess: true}}
	res, err := compiler.Compile(t.Context(), fsys, opts)
	if err != nil {
		t.Fatal(err)
	}
	more, err := fix.Beyond(t.Context(), fsys, opts, res)
	if err != nil {
		t.Fatal(err)
	}
	return append(res.Diags, more...)
}

// placesIn are the places of what a fixture gives alone in its directory.
func placesIn(t *testing.T, dir string, files map[string]string) []string {
	if dir == "x" {
		return placesOf(vet(t, together(files, nil)))
	}
	return placesOf(vet(t, together(nil, files)))
}

func placesOf(l diag.List) []string {
	var out []string
	for _, d := range l {
		if d.Severity != diag.Info {
			out = append(out, fmt.Sprintf("%s %s", d.Code, span(d.Range)))
		}
	}
	slices.Sort(out)
	return out
}
