package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"path"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/reconciler"
	"github.com/meshc/meshc/reconciler/local"
	"github.com/meshc/meshc/reconciler/source"
	"github.com/meshc/meshc/reconciler/store"
)

// sameTrustDomain refuses to run a commit of another trust domain than the state
// has, and points at where it is written.
func sameTrustDomain(ctx context.Context, errw io.Writer, o *local.Options, repo *source.Repository) error {
	last, _, err := store.Serving(o.State)
	if err != nil || last.TrustDomain == o.TrustDomain {
		return nil // nothing was ever served, or the controller will tell
	}
	root, sub, err := findModule(o.Mesh)
	if err != nil {
		return err
	}
	_, inRepo, err := repositoryOf(root)
	if err != nil {
		return err
	}
	tree, err := repo.Tree(ctx, source.Commit{Hash: o.First}, inRepo)
	if err != nil {
		return err
	}
	res, err := compiler.Compile(ctx, tree, compiler.Options{Dir: sub})
	if err != nil {
		return err
	}
	found := diag.List{reconciler.OtherTrustDomain(res, last.TrustDomain, "the mesh in "+o.State)}
	if err := committedPrinter(tree, inRepo).Text(errw, found); err != nil {
		return fmt.Errorf("print diagnostics: %w", err)
	}
	return fmt.Errorf("the trust domain of a mesh cannot change: %s", o.State)
}

// committedPrinter renders diagnostics of a committed tree, with paths as seen
// from the root of the repository.
func committedPrinter(tree fs.FS, inRepo string) diag.Printer {
	return diag.Printer{
		Source: func(file string) []byte {
			data, err := fs.ReadFile(tree, file)
			if err != nil {
				return nil // the frame is left out
			}
			return data
		},
		Path: func(file string) string { return path.Join(inRepo, file) },
	}
}
