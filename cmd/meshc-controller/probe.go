package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// startProbe answers the kubelet, on an address that others may reach: /live, and
// /ready as the admin endpoint has it; and /metrics of the authority, which say of its
// certificates what whoever connects is shown. It tells nothing else.
func (p *process) startProbe(ctx context.Context) error {
	if p.probe == "" {
		return nil
	}
	l, err := net.Listen("tcp", p.probe)
	if err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	p.log.Info("listening", "for", "probe", "address", l.Addr().String())
	mux := http.NewServeMux()
	mux.HandleFunc("GET /live", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "live") })
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		p.tellReady(w)
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		authority := p.metered.Load()
		if authority == nil {
			http.Error(w, "this process has no authority", http.StatusNotFound)
			return
		}
		serveKeyMetrics(w, authority)
	})
	server := &http.Server{
		Handler: mux, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	p.background(func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			p.fail(fmt.Errorf("probe: %w", err))
		}
	})
	p.onStop(func() { _ = server.Close() })
	return nil
}
