// Package schema carries the CUE package meshc.dev/mesh, which defines the
// language of intent, inside the binary: vet never needs a network, and every
// commit is judged by the schema of the meshc that reads it.
package schema

import (
	"embed"
	"fmt"
	"io/fs"
)

// ImportPath is what a mesh imports, and Package the name of the package.
const (
	ImportPath = "meshc.dev/mesh"
	Package    = "mesh"
)

// VendorDir is where `meshc init` puts a copy for editors and stock cue,
// relative to the module root.
const VendorDir = "cue.mod/pkg/meshc.dev/mesh"

// FS holds the files of the package, in its root.
//
//go:embed *.cue
var FS embed.FS

// Files gives the content of every file of the package by its name.
func Files() map[string][]byte {
	files := map[string][]byte{}
	entries, err := fs.ReadDir(FS, ".")
	if err != nil {
		panic(fmt.Sprintf("schema: embedded files cannot be listed: %v", err))
	}
	for _, e := range entries {
		data, err := FS.ReadFile(e.Name())
		if err != nil {
			panic(fmt.Sprintf("schema: embedded file cannot be read: %v", err))
		}
		files[e.Name()] = data
	}
	return files
}
