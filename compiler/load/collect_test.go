package load

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/meshc/meshc/schema"
)

func TestWhatIsReadAndWhatIsLeftAlone(t *testing.T) {
	fsys := meshFS(
		"a.cue", "", "b.yaml", "", "c.yml", "", "d.json", "",
		"README.md", "", ".hidden.cue", "", "_draft.cue", "", "deploy_tool.cue", "", "local.yaml", "",
		".git/x.cue", "", "_old/x.cue", "", "testdata/x.cue", "",
		"other/cue.mod/module.cue", "", "other/x.cue", "",
		"sub/x.cue", "",
	)
	files, diags, err := collect(t.Context(), fsys, Limits{}.withDefaults(), nil)
	if err != nil {
		t.Fatal(err)
	}
	want(t, diags)
	var got []string
	for _, f := range files {
		got = append(got, f.Path)
	}
	if d := cmp.Diff([]string{"a.cue", "b.yaml", "c.yml", moduleFile, "d.json", "mesh.cue", "sub/x.cue"}, got); d != "" {
		t.Errorf("files (-want +got):\n%s", d)
	}
}

// What meshc compile writes into the mesh does not count against it.
func TestTheOutputOfCompileIsLeftAlone(t *testing.T) {
	fsys := meshFS(
		"build/xds/"+manifestName, "{}", "build/xds/a.json", strings.Repeat(" ", 1000), "build/xds/shop/v1.json", "{}",
		"build/xds/x.cue", "package mesh\n", "build/xdsx.json", "{}",
	)
	files, diags, err := collect(t.Context(), fsys, Limits{FileSize: 500}.withDefaults(), nil)
	if err != nil {
		t.Fatal(err)
	}
	want(t, diags)
	var got []string
	for _, f := range files {
		got = append(got, f.Path)
	}
	if d := cmp.Diff([]string{"build/xds/x.cue", "build/xdsx.json", moduleFile, "mesh.cue"}, got); d != "" {
		t.Errorf("files (-want +got):\n%s", d)
	}
}

func TestInputsAreCapped(t *testing.T) {
	fsys := meshFS("x/a.cue", "package mesh\n", "x/b.cue", "package mesh\n"+strings.Repeat("// x\n", 100))
	for name, c := range map[string]struct {
		limits Limits
		want   string
	}{
		"number of files": {Limits{Files: 3}, "x/b.cue:0:0-0 MSH1017"},
		"size of one":     {Limits{FileSize: 500}, "x/b.cue:0:0-0 MSH1017"},
		"size of all":     {Limits{TotalSize: 600}, "x/b.cue:0:0-0 MSH1017"},
	} {
		t.Run(name, func(t *testing.T) {
			_, diags, err := Mesh(t.Context(), fsys, Options{InProcess: true, Limits: c.limits})
			if err != nil {
				t.Fatal(err)
			}
			want(t, diags, c.want)
		})
	}
}

func TestSymbolicLinksAreRefused(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret.cue")
	writeFile(t, outside, []byte("package mesh\nservice: leaked: {}\n"))
	root := t.TempDir()
	for name, f := range meshFS() {
		writeFile(t, filepath.Join(root, name), f.Data)
	}
	for _, link := range []string{"leak.cue", "dir"} {
		if err := os.Symlink(outside, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	m, diags, err := Mesh(t.Context(), os.DirFS(root), Options{})
	if err != nil {
		t.Fatal(err)
	}
	want(t, diags, "dir:0:0-0 MSH1017", "leak.cue:0:0-0 MSH1017")
	if len(m.Services) != 0 {
		t.Error("a symbolic link was followed")
	}
}

func TestVendoredSchema(t *testing.T) {
	vendored := func() fstest.MapFS {
		fsys := meshFS()
		for name, content := range schema.Files() {
			fsys[schema.VendorDir+"/"+name] = &fstest.MapFile{Data: content}
		}
		return fsys
	}
	_, diags := inProcess(t, vendored())
	want(t, diags)

	edited := vendored()
	edited[schema.VendorDir+"/edge.cue"] = &fstest.MapFile{Data: []byte("package mesh\n")}
	_, diags = inProcess(t, edited)
	want(t, diags, schema.VendorDir+"/edge.cue:0:0-0 MSH1015")

	lacking := vendored()
	delete(lacking, schema.VendorDir+"/edge.cue")
	_, diags = inProcess(t, lacking)
	want(t, diags, schema.VendorDir+":0:0-0 MSH1015")

	extended := vendored()
	extended["cue.mod/usr/meshc.dev/mesh/more.cue"] = &fstest.MapFile{Data: []byte("package mesh\n#Route: zip?: int\n")}
	_, diags = inProcess(t, extended)
	want(t, diags, "cue.mod/usr/meshc.dev/mesh/more.cue:0:0-0 MSH1016")
}

// brokenFS fails on one file, as a damaged object store does.
type brokenFS struct{ fstest.MapFS }

var errBroken = errors.New("broken object")

func (b brokenFS) Open(name string) (fs.File, error) {
	if name == "mesh.cue" {
		return nil, errBroken
	}
	return b.MapFS.Open(name)
}

func TestUnreadableFileIsAnErrorAndNoDiagnostic(t *testing.T) {
	_, _, err := Mesh(t.Context(), brokenFS{meshFS()}, Options{InProcess: true})
	if !errors.Is(err, errBroken) {
		t.Fatalf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := Mesh(ctx, meshFS(), Options{}); !errors.Is(err, context.Canceled) {
		t.Fatalf("error of a cancelled load %v", err)
	}
}
