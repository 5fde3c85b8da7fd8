package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/reconciler/source"
	"github.com/meshc/meshc/reconciler/status"
	"github.com/meshc/meshc/reconciler/store"
)

func newWaitCmd() *cobra.Command {
	var w waiter
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "wait COMMIT",
		Short: "block until a commit is live on every proxy",
		Long: `wait blocks until COMMIT (a hash, the beginning of one, or in a repository
anything that names a commit, such as HEAD) is on every proxy.

Exit status: 0 it is, or a descendant that replaced it is; 1 it was rejected, or
replaced without having been served; 2 the time ran out, or could not tell.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := w.open(args[0]); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			v, err := w.wait(ctx)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), v.Reason)
			if v.Answer != status.Live {
				return answerNo()
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&w.dir, "dir", ".", "directory in the repository")
	cmd.Flags().StringVar(&w.state, "state", "", "state directory (default: .meshc at the top of the repository)")
	w.in.register(cmd.Flags())
	cmd.Flags().DurationVar(&timeout, "timeout", time.Minute, "longest time to wait")
	return cmd
}

// waiter knows where the state is and, if there is one, the repository that
// tells who descends from whom.
type waiter struct {
	dir, state string
	in         clusterFlags
	read       reporter
	commit     string
	repo       *source.Repository // nil: no repository at hand
	gone       string             // why the last report is not of the present
	last       status.Verdict
}

func (w *waiter) open(rev string) error {
	top, _, noRepo := repositoryOf(w.dir)
	var err error
	if w.read, err = reports(&w.in, w.dir, w.state, false); err != nil {
		return err
	}
	if noRepo == nil {
		if w.repo, err = source.Open(top, source.Options{}); err != nil {
			return err
		}
		if c, err := resolveRevision(top, rev); err == nil {
			w.commit = c.Hash
			return nil
		}
	}
	// Not known here; the controller may know it by its hash.
	if !isHexPrefix(rev) {
		return fmt.Errorf("%q names no commit here and is not the beginning of a hash", rev)
	}
	w.commit = rev
	return nil
}

// minPrefix is the shortest beginning of a hash that is taken, as in git.
const minPrefix = 4

func isHexPrefix(s string) bool {
	for _, c := range s {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(s) >= minPrefix && len(s) <= 40
}

// wait asks until there is an answer. The error is for time run out and for
// what cannot be told.
func (w *waiter) wait(ctx context.Context) (status.Verdict, error) {
	every := 20 * time.Millisecond
	if w.in.mesh != "" {
		every = 10 * every // it is asked of an API server
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		v, err := w.look(ctx)
		switch {
		case err != nil:
			return v, err
		case v.Answer == status.Untold:
			return v, errors.New(v.Reason)
		case v.Answer != status.Pending:
			return v, nil
		}
		w.last = v
		select {
		case <-tick.C:
		case <-ctx.Done():
			if w.gone != "" {
				v.Reason += "; " + w.gone
			}
			return v, fmt.Errorf("not live in time: %s", v.Reason)
		}
	}
}

func (w *waiter) look(ctx context.Context) (status.Verdict, error) {
	s, gone, err := w.read(ctx)
	if err == nil {
		w.gone = gone
	}
	if err != nil && ctx.Err() != nil && w.last.Reason != "" {
		return w.last, nil // the time ran out while the question was under way
	}
	if errors.Is(err, store.ErrNothing) || err != nil && w.in.mesh != "" { // an API server may be away for a while
		return status.Verdict{Answer: status.Pending, Reason: err.Error()}, nil
	}
	if err != nil {
		return status.Verdict{}, err
	}
	return s.Verdict(w.commit, func(older, newer string) (bool, error) {
		if w.repo == nil {
			return false, source.ErrUnknowable
		}
		return w.repo.Descends(ctx, older, newer)
	}), nil
}
