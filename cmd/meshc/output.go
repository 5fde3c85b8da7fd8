package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// apiVersion of every JSON document that the command line prints.
const apiVersion = "cli.meshc.dev/v1"

// outputFormat is the value of -o: "text", "json", or what the verb adds.
type outputFormat struct {
	value   string
	allowed []string
}

// addOutputFlag gives cmd the flag -o/--output with text, json and extra.
func addOutputFlag(cmd *cobra.Command, extra ...string) *outputFormat {
	f := &outputFormat{value: "text", allowed: append([]string{"text", "json"}, extra...)}
	cmd.Flags().VarP(f, "output", "o", "output format: "+strings.Join(f.allowed, ", "))
	return f
}

// String, Set and Type make outputFormat a pflag.Value.
func (f *outputFormat) String() string { return f.value }

// Set refuses a format that the verb does not have.
func (f *outputFormat) Set(s string) error {
	if !slices.Contains(f.allowed, s) {
		return fmt.Errorf("want one of %s", strings.Join(f.allowed, ", "))
	}
	f.value = s
	return nil
}

// Type names the value in help.
func (f *outputFormat) Type() string { return "format" }

// writeJSON prints the fields of result (a struct or a map) behind the
// envelope {"apiVersion": ..., "kind": kind}.
func writeJSON(w io.Writer, kind string, result any) error {
	body, err := json.Marshal(result)
	if err != nil {
		return fmt.Errorf("encode %s: %w", kind, err)
	}
	if len(body) == 0 || body[0] != '{' {
		return fmt.Errorf("encode %s: %T is not a JSON object", kind, result)
	}
	head := fmt.Sprintf(`{"apiVersion":%q,"kind":%q`, apiVersion, kind)
	if !bytes.Equal(body, []byte("{}")) {
		head += ","
	}
	var doc bytes.Buffer
	if err := json.Indent(&doc, append([]byte(head), body[1:]...), "", "  "); err != nil {
		return fmt.Errorf("encode %s: %w", kind, err)
	}
	doc.WriteByte('\n')
	_, err = w.Write(doc.Bytes())
	return err
}
