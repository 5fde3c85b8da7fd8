package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/fix"
	"github.com/meshc/meshc/compiler/load"
)

// certainFixes is the value of --fix without codes.
const certainFixes = "certain"

// fixCodes reads the value of --fix.
func fixCodes(value string) ([]diag.Code, error) {
	if value == certainFixes {
		return nil, nil
	}
	var codes []diag.Code
	for _, word := range strings.Split(value, ",") {
		code := diag.Code(strings.ToUpper(strings.TrimSpace(word)))
		if _, ok := diag.Lookup(code); !ok {
			return nil, fmt.Errorf("--fix=%s: no diagnostic has the code %s", value, code)
		}
		codes = append(codes, code)
	}
	return codes, nil
}

// mend makes fixes in the files of the module, or, for a dry run, prints what
// they would change.
func (v vetting) mend(ctx context.Context, w, errw io.Writer) error {
	codes, err := fixCodes(v.fix)
	if err != nil {
		return err
	}
	root, sub, err := findModule(v.dir)
	if err != nil {
		return err
	}
	out, err := fix.Mesh(ctx, os.DirFS(root), compiler.Options{Load: load.Options{Dir: sub}}, codes)
	if err != nil {
		return fmt.Errorf("vet --fix %s: %w", v.dir, err)
	}
	names, shown := make([]string, len(out.Changes)), diagPrinter(root).Path
	for i, c := range out.Changes {
		names[i] = shown(c.File)
	}
	if v.dryRun {
		return printChanges(w, errw, out, names)
	}
	for _, c := range out.Changes {
		if err := rewrite(filepath.Join(root, filepath.FromSlash(c.File)), c.Before, c.After); err != nil {
			return fmt.Errorf("vet --fix: %w", err)
		}
	}
	if out.Fixed == 0 {
		fmt.Fprintln(errw, "nothing to fix")
	} else {
		fmt.Fprintf(errw, "fixed %s in %s\n", plural(out.Fixed, "finding"), strings.Join(names, ", "))
	}
	return v.report(ctx, w)
}

// printChanges answers a dry run: 1 when there is something to fix.
func printChanges(w, errw io.Writer, out *fix.Outcome, names []string) error {
	for i, c := range out.Changes {
		name := filepath.ToSlash(names[i])
		if _, err := w.Write(diff.Diff("a/"+name, c.Before, "b/"+name, c.After)); err != nil {
			return fmt.Errorf("print changes: %w", err)
		}
	}
	if out.Fixed == 0 {
		fmt.Fprintln(errw, "nothing to fix")
		return nil
	}
	fmt.Fprintf(errw, "would fix %s in %s\n", plural(out.Fixed, "finding"), strings.Join(names, ", "))
	return answerNo()
}

// rewrite replaces a file in one step: a reader sees the whole old content or
// the whole new one. It refuses when somebody changed the file meanwhile.
func rewrite(name string, before, after []byte) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(name), ".meshc-fix-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // gone after the rename
	_, err = tmp.Write(after)
	if err == nil {
		err = tmp.Chmod(info.Mode().Perm())
	}
	if err == nil {
		err = tmp.Sync()
	}
	if closeErr := tmp.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	now, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if !bytes.Equal(now, before) {
		return fmt.Errorf("%s has changed meanwhile, and is left alone", name)
	}
	return os.Rename(tmp.Name(), name)
}
