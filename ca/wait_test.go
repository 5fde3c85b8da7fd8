package ca

import (
	"context"
	"testing"
	"time"

	"github.com/meshc/meshc/dataplane/identity/privatefile"
)

// Whoever asks for a certificate waits for nobody who changes keys, be it this process
// or another one that has stopped in the middle of it.
func TestIssuingWaitsForNoTransition(t *testing.T) {
	a := open(t, Config{})
	unlock, err := privatefile.Lock(a.cfg.Dir)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan struct{})
	go func() { defer close(ran); a.Run(ctx) }()
	defer func() { cancel(); <-ran }()
	rotated := make(chan error, 1)
	go func() { rotated <- a.Rotate("root") }()
	for end := time.Now().Add(500 * time.Millisecond); time.Now().Before(end); {
		issue(t, a, cart, 0)
		if _, err := a.ControllerCertificate(); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-rotated:
			t.Fatalf("keys were changed under somebody else's lock: %v", err)
		default:
		}
	}
	if err := <-rotated; err == nil {
		t.Error("keys were changed under somebody else's lock")
	}
}
