package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/snapshot"
)

// readSnapshot reads the file of --snapshot, which diagnostics name as seen from
// the module root; without one it gives nothing. What is wrong with the file is
// a diagnostic.
func readSnapshot(root, name string) (*snapshot.Snapshot, diag.List, error) {
	if name == "" {
		return nil, nil, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, fmt.Errorf("snapshot: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, snapshot.MaxSize+1))
	if err != nil {
		return nil, nil, fmt.Errorf("snapshot: %w", err)
	}
	if len(data) > snapshot.MaxSize {
		return nil, nil, fmt.Errorf("snapshot: %s is larger than %d bytes", name, snapshot.MaxSize)
	}
	s, diags := snapshot.Read(fromRoot(root, name), data)
	return s, diags, nil
}

// fromRoot is a path as seen from the module root, with slashes.
func fromRoot(root, name string) string {
	from, err := filepath.Abs(root)
	if err != nil {
		return filepath.ToSlash(name)
	}
	to, err := filepath.Abs(name)
	if err != nil {
		return filepath.ToSlash(name)
	}
	rel, err := filepath.Rel(from, to)
	if err != nil {
		return filepath.ToSlash(name)
	}
	return filepath.ToSlash(rel)
}
