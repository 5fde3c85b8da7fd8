package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// alsoFiles is the value of --also: an answer in other formats too, each in a file, so
// that whoever wants several does not ask several times.
type alsoFiles struct {
	of    *outputFormat
	files []alsoFile
}

type alsoFile struct{ format, name string }

// addAlsoFlag gives cmd the flag --also, with the formats that its -o has.
func addAlsoFlag(cmd *cobra.Command, of *outputFormat) *alsoFiles {
	f := &alsoFiles{of: of}
	cmd.Flags().Var(f, "also", "write the answer to a file too, as FORMAT=FILE with a format of -o; may be repeated")
	return f
}

// String, Set and Type make alsoFiles a pflag.Value.
func (f *alsoFiles) String() string {
	var out []string
	for _, file := range f.files {
		out = append(out, file.format+"="+file.name)
	}
	return strings.Join(out, ",")
}

// Set refuses a format that the verb does not have, and a file that is named twice.
func (f *alsoFiles) Set(s string) error {
	format, name, ok := strings.Cut(s, "=")
	switch {
	case !ok || name == "":
		return fmt.Errorf("want FORMAT=FILE")
	case !slices.Contains(f.of.allowed, format):
		return fmt.Errorf("the format %q is none of %s", format, strings.Join(f.of.allowed, ", "))
	case slices.ContainsFunc(f.files, func(o alsoFile) bool { return o.name == name }):
		return fmt.Errorf("%s is named twice", name)
	}
	f.files = append(f.files, alsoFile{format, name})
	return nil
}

// Type names the value in help.
func (f *alsoFiles) Type() string { return "format=file" }

// write writes each file, with what print prints in its format.
func (f *alsoFiles) write(print func(w io.Writer, format string) error) error {
	if f == nil {
		return nil
	}
	for _, file := range f.files {
		var out bytes.Buffer
		if err := print(&out, file.format); err != nil {
			return fmt.Errorf("--also %s=%s: %w", file.format, file.name, err)
		}
		if err := os.WriteFile(file.name, out.Bytes(), 0o644); err != nil {
			return fmt.Errorf("--also: %w", err)
		}
	}
	return nil
}
