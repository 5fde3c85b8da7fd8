package load

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
)

// collector reads the files of a mesh within limits.
type collector struct {
	fsys   fs.FS
	limits Limits
	total  int64
	files  []file
	diags  diag.List
	// outputs are directories of `meshc compile`, each ending with a slash.
	outputs []string
}

// collect reads every file that can be intent, and cue.mod, sorted by path.
// What it refuses to read becomes a diagnostic.
func collect(ctx context.Context, fsys fs.FS, limits Limits) ([]file, diag.List, error) {
	c := &collector{fsys: fsys, limits: limits}
	err := fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		return c.visit(p, d)
	})
	if err != nil {
		return nil, nil, fmt.Errorf("read the mesh: %w", err)
	}
	slices.SortFunc(c.files, func(a, b file) int { return strings.Compare(a.Path, b.Path) })
	return c.files, c.diags, nil
}

func (c *collector) visit(p string, d fs.DirEntry) error {
	switch {
	case d.IsDir():
		if p != "." && (skippedDir(p) || c.otherModule(p)) {
			return fs.SkipDir
		}
		if c.outputOfCompile(p) {
			c.outputs = append(c.outputs, p+"/")
		}
		return nil
	case c.generated(p):
		return nil
	case skippedName(path.Base(p)):
		return nil
	case d.Type()&fs.ModeSymlink != 0:
		if isIntentFile(p) || path.Ext(p) == "" {
			c.refuse(p, "%q is a symbolic link, which meshc does not follow", p)
		}
		return nil
	case !isIntentFile(p):
		return nil
	case !d.Type().IsRegular():
		c.refuse(p, "%q is not a regular file", p)
		return nil
	}
	return c.read(p)
}

// read takes in one file, unless that exceeds a limit. The first file over
// the number or the sum ends the walk: the rest would say the same.
func (c *collector) read(p string) error {
	data, err := c.readLimited(p)
	if err != nil {
		return err
	}
	c.total += int64(len(data))
	switch {
	case int64(len(data)) > c.limits.FileSize:
		c.refuse(p, "%q is larger than %d bytes", p, c.limits.FileSize)
		return nil
	case len(c.files) >= c.limits.Files:
		c.refuse(p, "the mesh has more than %d files", c.limits.Files)
		return fs.SkipAll
	case c.total > c.limits.TotalSize:
		c.refuse(p, "the files of the mesh are larger than %d bytes together", c.limits.TotalSize)
		return fs.SkipAll
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
	// Room for what the file says that it is, and a byte more to see its end.
	var data bytes.Buffer
	if info, err := f.Stat(); err == nil && info.Size() < c.limits.FileSize {
		data.Grow(int(max(info.Size(), 0)) + bytes.MinRead)
	}
	_, err = data.ReadFrom(io.LimitReader(f, c.limits.FileSize+1))
	return data.Bytes(), err
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
