package main

import (
	"fmt"
	"io"

	"github.com/meshc/meshc/compiler/diag"
)

// explainCode prints the page of one code.
func explainCode(w io.Writer, code diag.Code, format string) error {
	entry, ok := diag.Lookup(code)
	if !ok {
		return fmt.Errorf("no diagnostic has the code %s; meshc explain --list names them all", code)
	}
	page := entry.Text()
	switch format {
	case "json":
		return writeJSON(w, "CodeExplanation", entry)
	case "markdown":
		page = entry.Markdown()
	}
	_, err := io.WriteString(w, page)
	return err
}

// listCodes prints one line for each code; as Markdown, the page of each.
func listCodes(w io.Writer, format string) error {
	all := diag.Registry()
	if format == "json" {
		return writeJSON(w, "CodeList", map[string]any{"codes": all})
	}
	for i, e := range all {
		line := fmt.Sprintf("%s  %-7s  %s\n", e.Code, e.Severity, e.Title)
		if format == "markdown" {
			line = e.Markdown()
			if i > 0 {
				line = "\n" + line
			}
		}
		if _, err := io.WriteString(w, line); err != nil {
			return err
		}
	}
	return nil
}
