package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/meshc/meshc/reconciler/webhook"
)

// checkWebhook wants an address and a secret, or neither.
func (c *config) checkWebhook() error {
	if (c.webhook == "") != (c.webhookSecret == "") {
		return errors.New("--webhook-address and --webhook-secret-file go together")
	}
	return nil
}

// startWebhook listens for the forge. It speaks HTTP: what stands in front of it
// ends TLS, and a call that is read on the way tells nothing of the content.
func (p *process) startWebhook(ctx context.Context, wake func()) error {
	if p.webhook == "" {
		return nil
	}
	h, err := webhook.New(p.webhookSecret, wake)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", p.webhook)
	if err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	p.log.Info("listening", "for", "webhook", "address", l.Addr().String())
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 40 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	p.background(func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			p.fail(fmt.Errorf("webhook: %w", err))
		}
	})
	p.onStop(func() { _ = server.Close() })
	return nil
}
