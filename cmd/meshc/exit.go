package main

import (
	"errors"
	"fmt"
	"io"
)

// Exit statuses, the same for every verb.
const (
	statusYes     = 0 // yes, clean, the same
	statusNo      = 1 // the answer is no, or they differ
	statusUnknown = 2 // could not tell: usage, I/O, crash, limits
)

// exitError ends a command with a status of its own. Without err the verb has
// said what it had to say; otherwise err goes to stderr. Any other error of a
// command means statusUnknown.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// answerNo is what a verb returns when it has printed a "no".
func answerNo() error { return &exitError{code: statusNo} }

// exitStatus prints err, when there is something to print, and gives the
// status that it means.
func exitStatus(w io.Writer, err error) int {
	if err == nil {
		return statusYes
	}
	exit := &exitError{code: statusUnknown, err: err}
	errors.As(err, &exit)
	if exit.err != nil {
		fmt.Fprintln(w, "meshc:", err)
	}
	return exit.code
}
