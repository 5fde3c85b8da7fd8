package main

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/schema"
)

//go:embed all:starter
var starter embed.FS

// starterFiles maps a template to where it goes in the mesh.
var starterFiles = map[string]string{
	"starter/module.cue.tmpl":   moduleFile,
	"starter/mesh.cue.tmpl":     "mesh.cue",
	"starter/shop/web.cue.tmpl": "shop/web.cue",
	"starter/shop/api.cue.tmpl": "shop/api.cue",
}

// workflowFile is relative to the root of the Git repository.
const workflowFile = ".github/workflows/meshc.yaml"

// starterValues fill the templates.
type starterValues struct {
	Module string // CUE module path
	Name   string // of the mesh: a DNS label
	Dir    string // of the mesh, relative to the Git repository, as a word of the workflow
}

func newInitCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "init [DIR]",
		Short: "write a starter mesh that vets clean",
		Long: `Write a starter mesh into DIR (default "."), with the schema for editors and
stock cue, and a CI workflow at the root of the Git repository that DIR lies in
(in DIR, when it lies in none). Nothing that exists is overwritten.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return initMesh(cmd.OutOrStdout(), dirArgument(args))
		},
	}
}

func initMesh(w io.Writer, dir string) error {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("init %s: %w", dir, err)
	}
	repo, err := repositoryRoot(abs)
	if err != nil {
		return fmt.Errorf("init %s: %w", dir, err)
	}
	files, err := starterContent(abs, repo)
	if err != nil {
		return fmt.Errorf("init %s: %w", dir, err)
	}
	names := slices.Sorted(maps.Keys(files))
	if err := refuseExisting(names); err != nil {
		return fmt.Errorf("init %s: %w", dir, err)
	}
	for _, name := range names {
		if err := writeNew(name, files[name]); err != nil {
			return fmt.Errorf("init %s: %w", dir, err)
		}
	}
	return printInit(w, dir, names)
}

// repositoryRoot gives the root of the Git repository that dir lies in, dir
// itself when it lies in none.
func repositoryRoot(dir string) (string, error) {
	for p := dir; ; p = filepath.Dir(p) {
		_, err := os.Lstat(filepath.Join(p, ".git"))
		if err == nil {
			return p, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		if p == filepath.Dir(p) {
			return dir, nil
		}
	}
}

// starterContent gives every file of the starter by its absolute path.
func starterContent(dir, repo string) (map[string][]byte, error) {
	rel, err := filepath.Rel(repo, dir)
	if err != nil {
		return nil, err
	}
	word, err := workflowQuote(filepath.ToSlash(rel))
	if err != nil {
		return nil, err
	}
	name := meshName(filepath.Base(dir))
	values := starterValues{Module: name + ".example/mesh", Name: name, Dir: word}
	files := map[string][]byte{}
	add := func(tmpl, target string) error {
		content, err := fill(tmpl, values)
		files[target] = content
		return err
	}
	for tmpl, target := range starterFiles {
		if err := add(tmpl, filepath.Join(dir, filepath.FromSlash(target))); err != nil {
			return nil, err
		}
	}
	if err := add("starter/workflow.yaml.tmpl", filepath.Join(repo, filepath.FromSlash(workflowFile))); err != nil {
		return nil, err
	}
	for name, content := range schema.Files() {
		files[filepath.Join(dir, filepath.FromSlash(path.Join(schema.VendorDir, name)))] = content
	}
	return files, nil
}

func fill(name string, values starterValues) ([]byte, error) {
	t, err := template.ParseFS(starter, name)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, values); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// meshName makes a DNS label of a directory's name.
func meshName(base string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			return r
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, base)
	name = strings.Trim(name[:min(len(name), 50)], "-")
	if name == "" {
		return "mesh"
	}
	return name
}

// workflowQuote makes a YAML string of a path, in which GitHub evaluates nothing.
func workflowQuote(s string) (string, error) {
	quoted, err := json.Marshal(strings.ReplaceAll(s, "${{", "${{ '${{' }}"))
	return string(quoted), err
}

// refuseExisting names everything that would be overwritten.
func refuseExisting(names []string) error {
	var exist []string
	for _, name := range names {
		if _, err := os.Lstat(name); err == nil {
			exist = append(exist, name)
		} else if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrInvalid) {
			return err
		}
	}
	if len(exist) > 0 {
		return fmt.Errorf("nothing is written, because these files exist: %s", strings.Join(exist, ", "))
	}
	return nil
}

func writeNew(name string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	if _, err := f.Write(content); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// printInit lists what was written, the vendored schema as one line.
func printInit(w io.Writer, dir string, names []string) error {
	var b strings.Builder
	b.WriteString("wrote\n")
	vendored := 0
	for _, name := range names {
		if strings.Contains(filepath.ToSlash(name), "/"+schema.VendorDir+"/") {
			vendored++
			continue
		}
		fmt.Fprintf(&b, "  %s\n", name)
	}
	fmt.Fprintf(&b, "  %s (%d files: the schema, for editors and stock cue)\n", path.Join(dir, schema.VendorDir), vendored)
	fmt.Fprintf(&b, "next: meshc vet %s\n", dir)
	_, err := io.WriteString(w, b.String())
	return err
}
