package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/reconciler/status"
	"github.com/meshc/meshc/reconciler/store"
)

func newStatusCmd() *cobra.Command {
	var state string
	var watch bool
	var in clusterFlags
	cmd := &cobra.Command{
		Use:   "status [DIR | --mesh NAMESPACE/NAME]",
		Short: "which commit is live on how many proxies",
		Long: `status reads what the controller of the mesh in DIR (default "."), or of a Mesh
in a cluster, last reported:
the commit that serves, on how many proxies, the newest commit that was tried
and why it does not serve.

Exit status: 0 the newest commit is on every proxy; 1 it is not (yet);
2 could not tell, also when the controller that reported does not run any more.`,
		Args: cobra.MaximumNArgs(1),
	}
	out := addOutputFlag(cmd)
	cmd.Flags().StringVar(&state, "state", "", "state directory (default: .meshc at the top of the repository)")
	in.register(cmd.Flags())
	cmd.Flags().BoolVar(&watch, "watch", false, "print again whenever it changes, until interrupted")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		read, err := reports(&in, argument(args, "."), state, len(args) > 0)
		if err != nil {
			return err
		}
		p := statusPrinter{read: read, out: cmd.OutOrStdout(), json: out.value == "json", every: watchInterval}
		if in.mesh != "" {
			p.every = askInterval
		}
		if watch {
			return p.watch(cmd.Context())
		}
		s, gone, err := read(cmd.Context())
		if err != nil {
			return err
		}
		if err := p.write(s, gone); err != nil {
			return err
		}
		if gone != "" {
			return &exitError{code: statusUnknown}
		}
		if c, _ := s.Condition(status.Ready); c.Status != status.True {
			return answerNo()
		}
		return nil
	}
	return cmd
}

func argument(args []string, fallback string) string {
	if len(args) > 0 {
		return args[0]
	}
	return fallback
}

// stateDir is the one named, else the one at the top of dir's repository.
func stateDir(dir, named string) (string, error) {
	if named != "" {
		return named, nil
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	top, _, err := repositoryOf(abs)
	if err != nil {
		return "", fmt.Errorf("%w; name the state directory with --state", err)
	}
	return filepath.Join(top, stateDirName), nil
}

// reporter gives the last report of a controller, and why it is not of the present, or
// nothing.
type reporter func(context.Context) (*status.Status, string, error)

// reports is the reporter of a Mesh in a cluster, else of a state directory; placed
// says that dir was named.
func reports(in *clusterFlags, dir, state string, placed bool) (reporter, error) {
	if err := in.check(state); err != nil {
		return nil, err
	}
	if in.mesh != "" {
		if placed {
			return nil, errors.New("DIR and --mesh exclude each other")
		}
		c, err := in.open()
		if err != nil {
			return nil, err
		}
		return c.report, nil
	}
	dir, err := stateDir(dir, state)
	return func(context.Context) (*status.Status, string, error) {
		s, err := store.ReadStatus(dir)
		if err != nil {
			return nil, "", err
		}
		return s, absent(&s.Controller), nil
	}, err
}

type statusPrinter struct {
	read  reporter
	out   io.Writer
	json  bool
	every time.Duration // between looks
}

// statusResult is the JSON of status.
type statusResult struct {
	*status.Status
	Stale string `json:"stale,omitempty"` // why this does not tell of the present
}

// write prints a report; gone says why it is not of the present, or nothing.
func (p *statusPrinter) write(s *status.Status, gone string) error {
	if p.json {
		return writeJSON(p.out, "MeshStatus", statusResult{s, gone})
	}
	return printStatus(p.out, s, gone)
}

// absent says that the writer of a report is not there any more, or nothing: a
// report outlives it.
func absent(c *status.Controller) string {
	switch {
	case errors.Is(syscall.Kill(c.PID, 0), syscall.ESRCH):
		return fmt.Sprintf("the controller (pid %d) does not run", c.PID)
	case c.Late(time.Now()):
		return fmt.Sprintf("the controller (pid %d) has given no sign of life for more than %s", c.PID, status.Patience)
	}
	return ""
}

// watchInterval is how often the state is looked at, and askInterval how often an API
// server is asked.
const (
	watchInterval = 100 * time.Millisecond
	askInterval   = time.Second
)

// watch prints each new report, and that there are no more, until ctx ends.
func (p *statusPrinter) watch(ctx context.Context) error {
	var last time.Time
	var was string
	for {
		s, gone, err := p.read(ctx)
		if err != nil && !errors.Is(err, store.ErrNothing) {
			return err
		}
		if err == nil {
			if gone != was || !s.UpdatedAt.Equal(last) {
				last, was = s.UpdatedAt, gone
				if err := p.write(s, gone); err != nil {
					return err
				}
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(p.every):
		}
	}
}

func printStatus(out io.Writer, s *status.Status, gone string) error {
	var b strings.Builder
	name := ""
	if s.Mesh != "" {
		name = s.Mesh + "  "
	}
	fmt.Fprintf(&b, "mesh       %s%s (%s, %s)\n", name, s.Repository, s.Ref, s.Path)
	if gone != "" {
		fmt.Fprintf(&b, "stale      %s; this is what it last reported, at %s\n", gone, s.UpdatedAt.Format(time.RFC3339))
	}
	printServing(&b, s)
	printAttempted(&b, s)
	b.WriteString("\nconditions\n")
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, c := range s.Conditions {
		fmt.Fprintf(table, "  %s\t%s\t%s\t%s\n", c.Type, c.Status, c.Reason, firstLine(c.Message))
	}
	_ = table.Flush() // into a strings.Builder, which does not fail
	printNodes(&b, s)
	_, err := io.WriteString(out, b.String())
	return err
}

func printServing(b *strings.Builder, s *status.Status) {
	if s.Serving == nil {
		b.WriteString("serving    nothing yet\n")
		return
	}
	fmt.Fprintf(b, "serving    %.12s  programmed %d/%d", s.Serving.Commit, s.Programmed.Done, s.Programmed.Total)
	for _, e := range slices.Backward(s.History) {
		if e.Commit == s.Serving.Commit && e.Outcome == status.OnEveryNode {
			fmt.Fprintf(b, "  in %s", e.ProgrammedAt.Sub(e.ObservedAt))
			break
		}
	}
	b.WriteString("\n")
}

func printAttempted(b *strings.Builder, s *status.Status) {
	a := s.Attempted
	switch {
	case a == nil:
		return
	case a.Error == "":
		fmt.Fprintf(b, "attempted  %.12s\n", a.Commit)
	default:
		fmt.Fprintf(b, "attempted  %.12s  failed: %s\n", a.Commit, firstLine(a.Error))
	}
	for _, d := range a.Diagnostics {
		fmt.Fprintf(b, "  %s: %s[%s]: %s\n", place(d), d.Severity, d.Code, d.Message)
		if d.Help != "" {
			fmt.Fprintf(b, "    help: %s\n", d.Help)
		}
	}
}

func place(d status.Diagnostic) string {
	if d.File == "" {
		return "mesh"
	}
	return fmt.Sprintf("%s:%d:%d", d.File, d.Line, d.Col)
}

func printNodes(b *strings.Builder, s *status.Status) {
	if len(s.Programmed.Nodes) == 0 {
		return
	}
	b.WriteString("\nproxies\n")
	table := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, n := range s.Programmed.Nodes {
		fmt.Fprintf(table, "  %s\t%s\t%.12s\t%s\n", n.ID, n.State, n.Commit, firstLine(n.Detail))
	}
	_ = table.Flush()
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
