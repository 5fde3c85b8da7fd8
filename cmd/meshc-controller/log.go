package main

import (
	"log/slog"
	"os"

	"golang.org/x/sys/unix"
)

// newLogger writes text to a terminal and JSON to everything else.
func newLogger() *slog.Logger {
	if isTerminal(os.Stderr) {
		return slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return slog.New(slog.NewJSONHandler(os.Stderr, nil))
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
