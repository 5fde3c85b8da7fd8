package main

import (
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// colourMode is the value of --color: "auto", "always" or "never".
type colourMode string

// addColourFlag gives cmd the flag --color.
func addColourFlag(cmd *cobra.Command) *colourMode {
	m := colourMode("auto")
	cmd.Flags().Var(&m, "color", "colour of the text: auto, always, never")
	return &m
}

// String, Set and Type make colourMode a pflag.Value.
func (m *colourMode) String() string { return string(*m) }

// Set refuses any other word.
func (m *colourMode) Set(s string) error {
	if !slices.Contains([]string{"auto", "always", "never"}, s) {
		return fmt.Errorf("want one of auto, always, never")
	}
	*m = colourMode(s)
	return nil
}

// Type names the value in help.
func (m *colourMode) Type() string { return "when" }

// on says whether what goes to w is to have colours. "auto" means a terminal
// that can (TERM), unless NO_COLOR is set to anything (no-color.org).
func (m *colourMode) on(w io.Writer) bool {
	switch *m {
	case "always":
		return true
	case "never":
		return false
	}
	term := os.Getenv("TERM")
	return os.Getenv("NO_COLOR") == "" && term != "" && term != "dumb" && isTerminal(w)
}

// isTerminal asks the kernel for the settings that only terminals have.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
