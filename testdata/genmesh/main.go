// Command genmesh writes the generated mesh of a seed as a mesh directory.
//
//	genmesh -seed 7 -out DIR
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
	out := flag.String("out", "", "directory to write, made when it is not there")
	flag.Parse()
	if *out == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := write(*out, gen.Mesh(*seed).Files); err != nil {
		fmt.Fprintln(os.Stderr, "genmesh:", err)
		os.Exit(2)
	}
}

func write(dir string, files map[string]string) error {
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}
