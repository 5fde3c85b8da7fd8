package language

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/compiler/model"
)

func TestMain(m *testing.M) {
	load.MaybeRunChild()
	if os.Getenv(sameEnv) != "" {
		if err := printDigests(os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// now is the present of every compile here.
var now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

const (
	moduleCUE = "module: \"mesh.example\"\nlanguage: version: \"v0.17.0\"\n"
	rootCUE   = `package mesh

import m "meshc.dev/mesh"

mesh:     m.#Config
service:  m.#Services
gateway:  m.#Gateways
external: m.#Externals
`
)

// archive is one mesh and what is expected of it. Its comment says what it is
// about. The files under want/ are outputs. An archive whose name begins with
// "envoy_" is about what Envoy serves and meshc-proxy does not.
type archive struct {
	name  string // without the extension
	path  string
	txtar *txtar.Archive
	fsys  fstest.MapFS
}

func archives(t *testing.T) []*archive {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatal("no archives", err)
	}
	var all []*archive
	for _, p := range paths {
		a := &archive{name: strings.TrimSuffix(filepath.Base(p), ".txtar"), path: p}
		if a.txtar, err = txtar.ParseFile(p); err != nil {
			t.Fatal(err)
		}
		a.fsys = fstest.MapFS{
			"cue.mod/module.cue": {Data: []byte(moduleCUE)},
			"mesh.cue":           {Data: []byte(rootCUE)},
		}
		for _, f := range a.txtar.Files {
			if !strings.HasPrefix(f.Name, "want/") {
				a.fsys[path.Clean(f.Name)] = &fstest.MapFile{Data: f.Data}
			}
		}
		all = append(all, a)
	}
	return all
}

// envoyOnly says that meshc-proxy does not serve what the archive is about.
func (a *archive) envoyOnly() bool { return strings.HasPrefix(a.name, "envoy_") }

// compile gives the model; an archive has neither errors nor warnings.
func (a *archive) compile(t *testing.T) *model.Mesh {
	t.Helper()
	res, err := compiler.Compile(t.Context(), a.fsys, compiler.Options{Now: now, Load: load.Options{InProcess: true}})
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv("MESHC_UPDATE") == "1" && a.pin(t, res.Diags) {
		return a.compile(t)
	}
	for _, d := range res.Diags {
		if d.Severity == diag.Info {
			continue
		}
		t.Errorf("%s: %s %s: %s", d.Range, d.Severity, d.Code, d.Message)
	}
	if res.Model == nil {
		t.FailNow()
	}
	return res.Model
}

var newHash = regexp.MustCompile(`write hash: "([^"]*)"`)

// pin writes the hashes of resources that have changed into the archive's mesh,
// and says whether there were any.
func (a *archive) pin(t *testing.T, diags diag.List) bool {
	t.Helper()
	found := false
	for _, d := range diags {
		hash := newHash.FindStringSubmatch(d.Help)
		if d.Code != diag.RawChanged || hash == nil {
			continue
		}
		for i := range a.txtar.Files {
			f := &a.txtar.Files[i]
			if f.Name != d.Range.File {
				continue
			}
			lines := strings.SplitAfter(string(f.Data), "\n")
			at := &lines[d.Range.Start.Line-1]
			*at = (*at)[:strings.Index(*at, `"`)] + `"` + hash[1] + `"` + "\n"
			f.Data = []byte(strings.Join(lines, ""))
			a.fsys[path.Clean(f.Name)] = &fstest.MapFile{Data: f.Data}
			found = true
		}
	}
	return found
}
