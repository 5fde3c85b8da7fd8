package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/cache"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
)

// stateDirName is the state directory at the top of a repository.
const stateDirName = ".meshc"

// moduleFile marks the root of a CUE module.
const moduleFile = "cue.mod/module.cue"

// findModule gives the root of the module that dir lies in, and dir relative
// to it, slash-separated.
func findModule(dir string) (root, sub string, err error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", "", fmt.Errorf("mesh directory %s: %w", dir, err)
	}
	if info, err := os.Stat(abs); err != nil {
		return "", "", fmt.Errorf("mesh directory: %w", err)
	} else if !info.IsDir() {
		return "", "", fmt.Errorf("mesh directory %s: not a directory", dir)
	}
	for root = abs; ; root = filepath.Dir(root) {
		if _, err := os.Stat(filepath.Join(root, moduleFile)); err == nil {
			sub, err := filepath.Rel(root, abs)
			return root, filepath.ToSlash(sub), err
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", "", fmt.Errorf("mesh directory %s: %w", dir, err)
		}
		if root == filepath.Dir(root) {
			return "", "", fmt.Errorf("mesh directory %s: no %s there or above", dir, moduleFile)
		}
	}
}

// compileDir compiles the working tree of a mesh directory.
func compileDir(ctx context.Context, errw io.Writer, dir string) (*model.Mesh, error) {
	root, sub, err := findModule(dir)
	if err != nil {
		return nil, err
	}
	return compileTree(ctx, errw, os.DirFS(root), sub, dir, nil)
}

// compileTree compiles the subtree sub of a module; name is for messages, and
// kept is the cache, nil for none.
func compileTree(ctx context.Context, errw io.Writer, fsys fs.FS, sub, name string, kept *cache.Dir) (*model.Mesh, error) {
	res, err := compileResult(ctx, errw, fsys, name, compiler.Options{Load: loadOptions(sub, kept)})
	if err != nil {
		return nil, err
	}
	return res.Model, nil
}

// compileResult is compileTree with all that a compile gives; there is a model.
func compileResult(ctx context.Context, errw io.Writer, fsys fs.FS, name string, opts compiler.Options) (*compiler.Result, error) {
	res, err := compiler.Compile(ctx, fsys, opts)
	return soundResult(errw, fsys, name, res, err)
}

// soundResult is the result of a compile with a model. Without one, it prints what
// is wrong.
func soundResult(errw io.Writer, fsys fs.FS, name string, res *compiler.Result, err error) (*compiler.Result, error) {
	if err != nil {
		return nil, fmt.Errorf("compile %s: %w", name, err)
	}
	if res.Model != nil {
		return res, nil
	}
	p := diag.Printer{
		Source: func(file string) []byte {
			data, err := fs.ReadFile(fsys, file)
			if err != nil {
				return nil // the frame is left out
			}
			return data
		},
		Path: func(file string) string { return file },
	}
	return nil, notCompiled(errw, p, res.Diags, name)
}

// notCompiled prints the errors of what does not compile, and says so.
func notCompiled(errw io.Writer, p diag.Printer, all diag.List, name string) error {
	var found diag.List
	for _, d := range all {
		if d.Severity == diag.Error {
			found.Add(d)
		}
	}
	if err := p.Text(errw, found); err != nil {
		return fmt.Errorf("print diagnostics: %w", err)
	}
	return fmt.Errorf("%s does not compile: %s", name, plural(len(found), "error"))
}
