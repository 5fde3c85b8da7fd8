package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/parallel"
)

// collector reads the files of a mesh within limits.
type collector struct {
	ctx    context.Context
	fsys   fs.FS
	limits Limits
	total  int64
	files  []file
	diags  diag.List
	met    []candidate
	// outputs are directories of `meshc compile`, each ending with a slash.
	outputs []string

	known *states // of a Memo; nil without one
	now   time.Time
}

// candidate is something that may be read, in the order in which it was met.
type candidate struct {
	path    string
	refused string // why it is not read; "" if it is
	data    []byte
	known   bool // data is its content, as it was read before
	err     error
}

// collect reads every file that can be intent, and cue.mod, sorted by path.
// What it refuses to read becomes a diagnostic.
func collect(ctx context.Context, fsys fs.FS, limits Limits, known *Memo) ([]file, diag.List, error) {
	c := &collector{ctx: ctx, fsys: fsys, limits: limits, now: time.Now()}
	return c.collect(known)
}

func (c *collector) collect(known *Memo) ([]file, diag.List, error) {
	if known != nil {
		known.begin()
		c.known = &known.states
		c.met = make([]candidate, 0, len(c.known.files))
	}
	if err := c.walk("."); err != nil {
		return nil, nil, fmt.Errorf("read the mesh: %w", err)
	}
	if known != nil {
		parallel.Each(len(c.met), func(i int) { c.met[i].data, c.met[i].known = c.unread(c.met[i].path) })
	}
	if err := c.take(); err != nil {
		return nil, nil, fmt.Errorf("read the mesh: %w", err)
	}
	if known != nil {
		known.end()
	}
	slices.SortFunc(c.files, func(a, b file) int { return strings.Compare(a.Path, b.Path) })
	return c.files, c.diags, nil
}

// walk meets all below a directory, in the order of fs.WalkDir.
func (c *collector) walk(dir string) error {
	if dir != "." && (skippedDir(dir) || c.otherModule(dir)) {
		return nil
	}
	if c.outputOfCompile(dir) {
		c.outputs = append(c.outputs, dir+"/")
	}
	entries, err := c.list(dir)
	if err == nil {
		err = c.ctx.Err()
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.kind.IsDir() {
			c.meet(e.path, e.kind)
		} else if err := c.walk(e.path); err != nil {
			return err
		}
	}
	return nil
}

func (c *collector) meet(p string, kind fs.FileMode) {
	switch {
	case c.generated(p), skippedName(path.Base(p)):
	case kind&fs.ModeSymlink != 0:
		if isIntentFile(p) || path.Ext(p) == "" {
			c.met = append(c.met, candidate{path: p, refused: fmt.Sprintf("%q is a symbolic link, which meshc does not follow", p)})
		}
	case !isIntentFile(p):
	case !kind.IsRegular():
		c.met = append(c.met, candidate{path: p, refused: fmt.Sprintf("%q is not a regular file", p)})
	default:
		c.met = append(c.met, candidate{path: p})
	}
}

// take takes in what was met, up to the first file over the number or the sum:
// the rest would say the same.
func (c *collector) take() error {
	c.files = make([]file, 0, min(len(c.met), c.limits.Files))
	for i := range c.met {
		if i%readAhead == 0 {
			c.ahead(c.met[i:min(i+readAhead, len(c.met))])
		}
		m := c.met[i]
		if err := c.ctx.Err(); err != nil {
			return err
		}
		if m.refused != "" {
			c.refuse(m.path, "%s", m.refused)
			continue
		}
		if err := c.read(m); errors.Is(err, errFull) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

// readAhead is how many files are read at a time, on every processor. It bounds
// what is in memory beyond the limits.
const readAhead = 64

// ahead reads files of which nothing is known.
func (c *collector) ahead(list []candidate) {
	parallel.Each(len(list), func(i int) {
		if m := &list[i]; m.refused == "" && !m.known {
			m.data, m.err = c.readLimited(m.path)
		}
	})
}

// errFull ends reading: a limit of all files is reached, which is reported.
var errFull = errors.New("the mesh is too large")

// read takes in one file, unless that exceeds a limit.
func (c *collector) read(m candidate) error {
	p, data := m.path, m.data
	if m.err != nil {
		return m.err
	}
	c.total += int64(len(data))
	switch {
	case int64(len(data)) > c.limits.FileSize:
		c.refuse(p, "%q is larger than %d bytes", p, c.limits.FileSize)
		return nil
	case len(c.files) >= c.limits.Files:
		c.refuse(p, "the mesh has more than %d files", c.limits.Files)
		return errFull
	case c.total > c.limits.TotalSize:
		c.refuse(p, "the files of the mesh are larger than %d bytes together", c.limits.TotalSize)
		return errFull
	}
	c.files = append(c.files, file{Path: p, Data: data})
	return nil
}

// readLimited reads at most one byte more than a file may have.
func (c *collector) readLimited(p string) ([]byte, error) {
	f, err := c.fsys.Open(p)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s, ok := c.stampFor(f)
	data, err := readAtMost(f, c.limits.FileSize+1)
	if ok && err == nil {
		c.known.keep(p, s, data)
	}
	return data, err
}

// readAtMost reads a file up to a limit, into as much room as the file says that it
// needs: all text of a mesh is in memory at once.
func readAtMost(f fs.File, limit int64) ([]byte, error) {
	var data []byte
	if info, err := f.Stat(); err == nil {
		data = make([]byte, 0, min(max(info.Size(), 0)+1, limit)) // one more sees the end
	}
	for int64(len(data)) < limit {
		if len(data) == cap(data) {
			data = slices.Grow(data, bytes.MinRead)
		}
		room := data[len(data):min(int64(cap(data)), limit)]
		n, err := f.Read(room)
		data = data[:len(data)+n]
		if errors.Is(err, io.EOF) {
			return data, nil
		} else if err != nil {
			return data, err
		}
	}
	return data, nil
}

func (c *collector) refuse(p, format string, args ...any) {
	c.diags.Add(diag.New(diag.InputRefused, diag.Range{File: p}, format, args...))
}

// otherModule says that p is the root of a CUE module of its own, which is no
// part of this one.
func (c *collector) otherModule(p string) bool {
	if p == "cue.mod" || strings.HasPrefix(p, "cue.mod/") {
		return false
	}
	info, err := fs.Stat(c.fsys, path.Join(p, "cue.mod", "module.cue"))
	return err == nil && !info.IsDir()
}

// manifestName marks a directory that `meshc compile --out` writes.
const manifestName = ".meshc-manifest.json"

func (c *collector) outputOfCompile(dir string) bool {
	info, err := fs.Stat(c.fsys, path.Join(dir, manifestName))
	return err == nil && info.Mode().IsRegular()
}

// generated says that a JSON file lies in a directory of `meshc compile`: what
// was made of the mesh is no part of it, and may be larger than a part may be.
// CUE and YAML there are read as everywhere.
func (c *collector) generated(p string) bool {
	return path.Ext(p) == ".json" &&
		slices.ContainsFunc(c.outputs, func(dir string) bool { return strings.HasPrefix(p, dir) })
}

// skippedDir follows stock cue: `./...` does not descend into these.
func skippedDir(p string) bool {
	base := path.Base(p)
	return skippedName(base) || base == "testdata"
}

func skippedName(base string) bool {
	return strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_")
}

// localFile configures `meshc up`; it is no intent.
const localFile = "local.yaml"

// isIntentFile says that a file of this name may carry intent or belongs to
// the module itself.
func isIntentFile(p string) bool {
	if path.Base(p) == localFile || strings.HasSuffix(p, "_tool.cue") {
		return false
	}
	switch path.Ext(p) {
	case ".cue", ".yaml", ".yml", ".json":
		return true
	}
	return false
}
