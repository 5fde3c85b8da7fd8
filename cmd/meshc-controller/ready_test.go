package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

func readiness(p *process) int {
	w := httptest.NewRecorder()
	p.adminHandler(false).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/ready", nil))
	return w.Code
}

// TestReadyOfTheWebhook: not before the API server trusts its certificate, and not
// once it was asked to end, when it answers for a while all the same.
func TestReadyOfTheWebhook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trusted := errors.New("not trusted yet")
		p := &process{config: &config{roles: []string{roleInject}}, log: slog.New(slog.DiscardHandler), trusted: func() error { return trusted }}
		p.inject.drain = 5 * time.Second
		if got := readiness(p); got != http.StatusServiceUnavailable {
			t.Errorf("without a certificate that is trusted: %d", got)
		}
		trusted = nil
		if got := readiness(p); got != http.StatusOK {
			t.Errorf("with one: %d", got)
		}
		asked, ask := context.WithCancel(t.Context())
		ended := make(chan time.Time)
		go func() { p.awaitEnd(asked, t.Context()); ended <- time.Now() }()
		synctest.Wait()
		began := time.Now()
		ask()
		synctest.Wait()
		if got := readiness(p); got != http.StatusServiceUnavailable {
			t.Errorf("ending: %d", got)
		}
		if at := <-ended; at.Sub(began) != p.inject.drain {
			t.Errorf("it answered for %s more", at.Sub(began))
		}
		// Without a webhook nobody waits, and what failed ends at once.
		p.roles = []string{roleServe}
		p.awaitEnd(asked, t.Context())
		p.roles = []string{roleInject}
		failed, fail := context.WithCancel(t.Context())
		fail()
		p.awaitEnd(t.Context(), failed)
		if at := time.Since(began); at != p.inject.drain {
			t.Errorf("it waited until %s", at)
		}
	})
}
