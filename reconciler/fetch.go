package reconciler

import (
	"context"
	"time"

	"github.com/meshc/meshc/reconciler/source"
)

// maxBackoff caps the time between two tries of what keeps failing.
const maxBackoff = 5 * time.Minute

// observation is one answer of the repository.
type observation struct {
	commit source.Commit
	at     time.Time
	err    error
}

// Fetch asks the repository what the reference points at.
func (r *Reconciler) Fetch(ctx context.Context) (source.Commit, error) {
	return r.opts.Source.Head(ctx, r.opts.Ref)
}

// Wake has the repository asked soon instead of at the end of the interval. It
// never blocks, and may be called from anywhere; calls that come together are one.
func (r *Reconciler) Wake() {
	select {
	case r.pollSoon <- struct{}{}:
	default:
	}
}

// poll fetches again and again until ctx ends, ever more slowly while it
// fails. It runs beside the loop, so that a slow repository holds up nothing.
func (r *Reconciler) poll(ctx context.Context, heads chan<- observation) {
	failures := 0
	for {
		c, err := r.Fetch(ctx)
		failures++
		if err == nil {
			failures = 0
		}
		select {
		case heads <- observation{c, r.now(), err}:
		case <-time.After(jittered(r.opts.Interval)):
			continue // the loop is busy, and what it will be handed must be new
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(backoff(r.opts.Interval, failures)):
		case <-r.pollSoon:
		case <-ctx.Done():
			return
		}
	}
}

// backoff doubles with each failure, up to maxBackoff or the interval itself.
func backoff(interval time.Duration, failures int) time.Duration {
	d := interval
	for ; failures > 0 && d < maxBackoff; failures-- {
		d *= 2
	}
	return jittered(max(interval, min(d, maxBackoff)))
}

// onHead takes what the repository answered.
func (r *Reconciler) onHead(ctx context.Context, h observation) {
	if h.err != nil {
		if r.fetchErr == nil || r.fetchErr.Error() != h.err.Error() {
			r.opts.Log.Error("the repository cannot be read, what serves stays", "error", h.err)
		}
		r.fetchErr = h.err
		r.saveAgain()
		r.report()
		return
	}
	if r.fetchErr != nil {
		r.opts.Log.Info("the repository can be read again")
	}
	r.fetchErr = nil
	r.saveAgain()
	switch {
	case h.commit != r.newest():
		r.consider(ctx, h)
	case r.failed.err != nil && !r.failed.permanent && r.running == nil && !time.Now().Before(r.retryAt):
		r.begin(ctx, h)
	case r.running == nil && (r.otherGrounds() || r.released() || r.readable()):
		r.begin(ctx, h)
	}
	r.report()
}

// otherGrounds says that the gate may judge otherwise than when it refused the
// newest commit.
func (r *Reconciler) otherGrounds() bool {
	return r.failed.reason == verificationFailed && r.opts.Gate.Fingerprint() != r.failed.grounds
}

// newest is what the reference was last seen at: of a range of versions, the tag
// too.
func (r *Reconciler) newest() source.Commit {
	if r.waiting != nil {
		return r.waiting.commit
	}
	return r.current
}

// consider takes up a new commit. It cuts a running compile short, but never
// two in a row: commits that come faster than they compile must not keep all
// of them from being served.
func (r *Reconciler) consider(ctx context.Context, h observation) {
	r.retries = 0
	switch {
	case r.running == nil:
		r.preempt = false
		r.begin(ctx, h)
	case r.running.commit.Hash == h.commit.Hash && !r.running.cut:
		r.waiting = nil // what came in between has gone again
	case !r.preempt:
		r.preempt = true
		r.opts.Log.Info("superseded by a newer commit", "commit", r.running.commit.Hash, "by", h.commit.Hash)
		r.running.cut = true
		r.running.cancel()
		r.waiting = &h
	default:
		r.waiting = &h
	}
}
