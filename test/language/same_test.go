package language

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/emit/xds/artifact"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/test/soak"
	"github.com/meshc/meshc/testdata/genmesh/gen"
)

// A soak compiles sameMeshes meshes sameRuns times; a short run makes 2 % of
// these compiles.
const (
	sameMeshes, sameRuns   = 20, 100
	shortMeshes, shortRuns = 4, 10
)

// sameEnv has a process of this test print digests, of as many meshes, in the
// place of tests.
const sameEnv = "MESHC_TEST_DIGESTS"

// TestSameBytesEverywhere: what a mesh compiles to depends on its files alone,
// and not on the process, its seeds of maps, how many processors it has, where
// it stands on earth, its language, or the order of the files of a directory.
func TestSameBytesEverywhere(t *testing.T) {
	meshes, runs := shortMeshes, shortRuns
	if soak.On() {
		meshes, runs = sameMeshes, sameRuns
	}
	zones := []string{"UTC", "Asia/Kathmandu", "America/St_Johns", "Pacific/Kiritimati"}
	locales := []string{"C", "de_DE.UTF-8", "tr_TR.UTF-8", "ar_EG.UTF-8", "ja_JP.SJIS"}
	var want []byte
	for run := range runs {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), sameEnv+"="+strconv.Itoa(meshes), "MESHC_TEST_ORDER="+strconv.Itoa(run),
			"GOMAXPROCS="+strconv.Itoa(1+run%8), "TZ="+zones[run%len(zones)],
			"LANG="+locales[run%len(locales)], "LC_ALL="+locales[(run/2)%len(locales)])
		cmd.Stderr = os.Stderr
		got, err := cmd.Output()
		if err != nil {
			t.Fatalf("run %d: %v", run, err)
		}
		if want == nil {
			want = got
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("run %d differs from the first:\n%s\n%s", run, got, want)
		}
	}
	if lines := bytes.Count(want, []byte("\n")); lines != meshes {
		t.Errorf("%d digests of %d meshes:\n%s", lines, meshes, want)
	}
	t.Logf("%d meshes, each compiled in %d processes", meshes, runs)
}

// printDigests is what a process does that was started for it.
func printDigests(out io.Writer) error {
	meshes, err := strconv.ParseUint(os.Getenv(sameEnv), 10, 64)
	if err != nil {
		return err
	}
	order, err := strconv.ParseUint(os.Getenv("MESHC_TEST_ORDER"), 10, 64)
	if err != nil {
		return err
	}
	for seed := range meshes {
		digest, err := digestOf(seed, order)
		if err != nil {
			return fmt.Errorf("seed %d: %w", seed, err)
		}
		fmt.Fprintf(out, "%d %s\n", seed, digest)
	}
	return nil
}

// digestOf compiles the mesh of a seed: its diagnostics, the files of `meshc
// compile` and the bootstraps of all proxies make the digest. Every other run
// evaluates in a child process, as the commands do.
func digestOf(seed, order uint64) (string, error) {
	fsys := &anyOrder{FS: gen.Whole(seed).FS(), dice: rand.New(rand.NewPCG(seed, order))}
	res, err := compiler.Compile(context.Background(), fsys, compiler.Options{Now: now, Load: load.Options{InProcess: order%2 == 0}})
	if err != nil {
		return "", err
	}
	if res.Model == nil {
		return "", fmt.Errorf("%v", res.Diags)
	}
	sum := sha256.New()
	if err := json.NewEncoder(sum).Encode(res.Diags); err != nil {
		return "", err
	}
	if err := writeOutput(sum, res.Model); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", sum.Sum(nil)), nil
}

func writeOutput(out io.Writer, m *model.Mesh) error {
	all := xds.DefaultWorkloads(m)
	files, err := artifact.New(m, all, xds.Options{Now: now})
	if err != nil {
		return err
	}
	names, err := files.Names()
	if err != nil {
		return err
	}
	for _, name := range names {
		var content bytes.Buffer
		if err := files.Render(&content, name); err != nil {
			return err
		}
		fmt.Fprintf(out, "%s\n%s\n", name, content.Bytes())
	}
	for _, w := range all {
		if w.Role == model.RoleGRPC {
			continue
		}
		boot, err := xds.StaticBootstrap(m, w, all, xds.BootstrapOptions{AgentSocket: "/run/meshc/agent.sock", Now: now})
		if err != nil {
			return err
		}
		text, err := xds.JSON(boot)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s\n", text)
	}
	return nil
}

// anyOrder is a file system that lists directories in another order each time.
type anyOrder struct {
	fs.FS
	mu   sync.Mutex
	dice *rand.Rand
}

func (f *anyOrder) ReadDir(name string) ([]fs.DirEntry, error) {
	list, err := fs.ReadDir(f.FS, name)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dice.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list, err
}
