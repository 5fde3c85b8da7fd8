package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/meshc/meshc/reconciler/store"
)

// startAdmin serves /ready and /status on a Unix socket (mode 0600) or on
// loopback, when the operator wants it.
func (p *process) startAdmin(ctx context.Context) error {
	if p.admin == "" {
		return nil
	}
	l, err := listenAdmin(p.admin)
	if err != nil {
		return fmt.Errorf("admin: %w", err)
	}
	server := &http.Server{
		Handler: p.adminHandler(), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	p.background(func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			p.fail(fmt.Errorf("admin: %w", err))
		}
	})
	p.onStop(func() { _ = server.Close() })
	return nil
}

func listenAdmin(address string) (net.Listener, error) {
	if !strings.Contains(address, "/") {
		return net.Listen("tcp", address)
	}
	// A socket left by a killed process; anything else there is not ours.
	if info, err := os.Lstat(address); err == nil && info.Mode()&fs.ModeSocket != 0 {
		if err := os.Remove(address); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen("unix", address)
	if err != nil {
		return nil, err
	}
	return l, os.Chmod(address, 0o600)
}

// adminHandler answers from the state directory, as any other process would.
// /ready says 200 once a commit serves.
func (p *process) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		if s, err := store.ReadStatus(p.state); p.has(roleReconcile) && (err != nil || s.Serving == nil) {
			http.Error(w, "no commit serves yet", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		s, err := store.ReadStatus(p.state)
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(s) // a reader that has gone is not our concern
	})
	return mux
}
