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

	"github.com/meshc/meshc/reconciler/status"
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
		Handler: p.adminHandler(l.Addr().Network() == "unix"), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
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

// report gives the status from where any other process would read it.
func (p *process) report() (*status.Status, error) {
	if p.inCluster == nil {
		return store.ReadStatus(p.state)
	}
	m, err := p.inCluster.cache.Mesh()
	if err == nil && m == nil {
		err = fmt.Errorf("mesh %s: %w", p.mesh, store.ErrNothing)
	}
	if err != nil {
		return nil, err
	}
	return &m.Status.Status, nil
}

// serves says whether proxies are given a commit.
func (p *process) serves() bool {
	if p.inCluster != nil && p.inCluster.follower == nil {
		return p.inCluster.cache.Key() != "" // the webhook alone
	}
	if p.inCluster != nil {
		return p.inCluster.follower.Ready()
	}
	s, err := p.report()
	return !p.has(roleReconcile) || err == nil && s.Serving != nil
}

// adminHandler answers /status and /ready, which says 200 once a commit serves, and
// what keys.go has of the authority.
func (p *process) adminHandler(private bool) http.Handler {
	mux := http.NewServeMux()
	if p.signer != nil {
		keysHandler(mux, p.signer, private)
	}
	if p.others != nil {
		mux.HandleFunc("GET /federation", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(p.others.Status()) // a reader that has gone is not our concern
		})
	}
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		p.tellReady(w)
	})
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		s, err := p.report()
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(s) // a reader that has gone is not our concern
	})
	return mux
}
