// Command genmesh writes the generated mesh of a seed as a mesh directory: a
// small one that may use every construct, or with -services one of that size.
//
//	genmesh -seed 7 -out DIR
//	genmesh -services 10000 [-per-dir 20] [-routes 3] [-seed 7] -out DIR
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/meshc/meshc/testdata/genmesh/gen"
)

func main() {
	seed := flag.Uint64("seed", 1, "which mesh")
	services := flag.Int("services", 0, "write a large mesh of so many services")
	perDir := flag.Int("per-dir", 20, "with -services: how many stand in one directory")
	routes := flag.Int("routes", 3, "with -services: how many a service has, at least 3")
	out := flag.String("out", "", "directory to write, made when it is not there")
	flag.Parse()
	if *out == "" || flag.NArg() > 0 || *services < 0 || *perDir < 1 || *routes < 3 {
		flag.Usage()
		os.Exit(2)
	}
	if err := generate(*out, gen.LargeOptions{Services: *services, PerDir: *perDir, Routes: *routes, Seed: *seed}); err != nil {
		fmt.Fprintln(os.Stderr, "genmesh:", err)
		os.Exit(2)
	}
}

func generate(dir string, o gen.LargeOptions) error {
	write := func(name, content string) error { return write(dir, name, content) }
	if o.Services > 0 {
		return gen.Large(o, write)
	}
	for name, content := range gen.Mesh(o.Seed).Files {
		if err := write(name, content); err != nil {
			return err
		}
	}
	return nil
}

func write(dir, name, content string) error {
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(content), 0o644)
}
