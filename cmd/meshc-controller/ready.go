package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// shutdownTime bounds how long answers that are under way hold up the end.
const shutdownTime = 10 * time.Second

// unready says why nobody is to be sent here; nil: all is well. A webhook without a
// certificate that the API server trusts refuses every pod that it is asked about.
func (p *process) unready() error {
	if p.ending.Load() {
		return errors.New("ending")
	}
	if p.trusted != nil {
		if err := p.trusted(); err != nil {
			return err
		}
	}
	if !p.serves() {
		return errors.New("no commit serves yet")
	}
	return nil
}

// tellReady answers /ready.
func (p *process) tellReady(w http.ResponseWriter) {
	if err := p.unready(); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ready")
}

// awaitEnd returns when the process is to end: ctx has ended, or somebody asked for
// it. A webhook says then that it is not ready, and answers until whoever sends
// questions has learnt of it.
func (p *process) awaitEnd(asked, ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-asked.Done():
	}
	p.ending.Store(true)
	if !p.has(roleInject) {
		return
	}
	p.log.Info("ending soon, the webhook answers for a moment more", "for", p.inject.drain)
	sleep(ctx, p.inject.drain)
}
