package compiler_test

import (
	"io/fs"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/meshc/meshc/compiler/load"
)

// given is what a fixture is judged under, a line each:
//
//	limit cpu 2s        the evaluation, in its child, is given that: cpu, wall, memory,
//	                    output, files, file or total
//	link a.cue          a.cue is a symbolic link
//	panic a.cue         who reads a.cue panics
//	kill                the child that evaluates is killed from outside
//	test                it is held against its expectations, as by `meshc test`
//	running a.example   a controller of that trust domain is to run it
//	vouched b.example   and has roots of that alias
type given struct {
	limits  load.Limits
	child   bool // evaluate in a child
	kill    bool
	test    bool
	link    []string
	panics  string
	running string
	vouched []string
}

func readGiven(t *testing.T, text string) *given {
	t.Helper()
	g := &given{}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		switch {
		case len(words) == 3 && words[0] == "limit":
			g.limit(t, words[1], words[2])
		case line == "kill\n":
			g.kill, g.child = true, true
		case line == "test\n":
			g.test = true
		case len(words) == 2 && words[0] == "link":
			g.link = append(g.link, words[1])
		case len(words) == 2 && words[0] == "panic":
			g.panics = words[1]
		case len(words) == 2 && words[0] == "running":
			g.running = words[1]
		case len(words) == 2 && words[0] == "vouched":
			g.vouched = append(g.vouched, words[1])
		default:
			t.Fatalf("nothing is given by %q", line)
		}
	}
	return g
}

func (g *given) limit(t *testing.T, of, value string) {
	t.Helper()
	g.child = true
	if d, err := time.ParseDuration(value); err == nil && (of == "cpu" || of == "wall") {
		*map[string]*time.Duration{"cpu": &g.limits.CPU, "wall": &g.limits.Wall}[of] = d
		return
	}
	n, err := strconv.ParseInt(value, 10, 64)
	sizes := map[string]*int64{"memory": &g.limits.Memory, "output": &g.limits.Output, "file": &g.limits.FileSize, "total": &g.limits.TotalSize}
	switch {
	case err == nil && of == "files":
		g.limits.Files = int(n)
	case err == nil && sizes[of] != nil:
		*sizes[of] = n
	default:
		t.Fatalf("no limit: %s %s", of, value)
	}
}

// tree is the mesh with what is given of its file system.
func (g *given) tree(files map[string]string) fs.FS {
	fsys := treeOf(files)
	if g == nil {
		return fsys
	}
	for _, name := range g.link {
		fsys[name] = &fstest.MapFile{Data: []byte("elsewhere"), Mode: fs.ModeSymlink | 0o777}
	}
	if g.panics != "" {
		return panicking{fsys, g.panics}
	}
	return fsys
}

// panicking stands for a bug: it panics where a file is read.
type panicking struct {
	fstest.MapFS
	at string
}

func (p panicking) Open(name string) (fs.File, error) {
	if name == p.at {
		panic("a bug")
	}
	return p.MapFS.Open(name)
}

func (p panicking) ReadFile(name string) ([]byte, error) {
	if name == p.at {
		panic("a bug")
	}
	return p.MapFS.ReadFile(name)
}
