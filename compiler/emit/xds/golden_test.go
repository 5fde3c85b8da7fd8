package xds_test

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/model"
)

// checkGolden compares files with the archive at path. MESHC_UPDATE=1 rewrites
// the archive, which drops what is no longer made.
func checkGolden(t *testing.T, path string, got []txtar.File) {
	t.Helper()
	old, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := &txtar.Archive{Comment: old.Comment, Files: got}
	if os.Getenv("MESHC_UPDATE") == "1" {
		if err := os.WriteFile(path, txtar.Format(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(txtar.Format(old)), string(txtar.Format(want))); diff != "" {
		t.Errorf("%s (-golden +got), MESHC_UPDATE=1 rewrites it:\n%s", path, diff)
	}
}

func indented(t *testing.T, raw []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		t.Fatal(err)
	}
	out.WriteByte('\n')
	return out.Bytes()
}

func TestGoldenBookinfo(t *testing.T) {
	m := bookinfo()
	all := xds.DefaultWorkloads(m)
	var files []txtar.File
	for _, w := range all {
		files = append(files, txtar.File{Name: "want/" + w.ID + ".json", Data: indented(t, emitJSON(t, m, w, all))})
	}
	checkGolden(t, "testdata/bookinfo.txtar", files)
}

// TestGoldenRoles holds what Bookinfo does not have: a permissive service with
// an external, a grpc client, and both bootstraps.
func TestGoldenRoles(t *testing.T) {
	m := roles()
	all := xds.DefaultWorkloads(m)
	var files []txtar.File
	for _, w := range all {
		files = append(files, txtar.File{Name: "want/" + w.ID + ".json", Data: indented(t, emitJSON(t, m, w, all))})
		if w.Role == model.RoleSidecar {
			files = append(files, txtar.File{Name: "want/" + w.ID + ".bootstrap.json", Data: staticJSON(t, m, w, all)})
		}
	}
	checkGolden(t, "testdata/roles.txtar", files)
}

// TestSameBytes: a hundred runs give one output.
func TestSameBytes(t *testing.T) {
	m := bookinfo()
	all := xds.DefaultWorkloads(m)
	for _, w := range all {
		first := emitJSON(t, m, w, all)
		for range 100 {
			if again := emitJSON(t, bookinfo(), w, xds.DefaultWorkloads(bookinfo())); !bytes.Equal(first, again) {
				t.Fatalf("%s: two runs differ", w.NodeID())
			}
		}
	}
}
