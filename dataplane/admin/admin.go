// Package admin is the proxy's admin endpoint: readiness, statistics, the
// configuration in force and two ways to stop. It belongs on a unix socket or
// on loopback and never holds a private key.
package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"time"
)

// Proxy is what the endpoint shows. Its methods may be called at any time, by
// several goroutines.
type Proxy interface {
	// State is Envoy's server state: LIVE, DRAINING, PRE_INITIALIZING or
	// INITIALIZING.
	State() string
	// Unready says why nobody is to be sent here although State is LIVE; "": all is
	// well.
	Unready() string
	// ConfigDump gives Envoy's config dump, as JSON, without secrets.
	ConfigDump() ([]byte, error)
	// ServerInfo gives Envoy's server info, as JSON.
	ServerInfo() ([]byte, error)
	// WritePrometheus writes every metric in the Prometheus text format.
	WritePrometheus(io.Writer) error
	// WriteClusters writes Envoy's page of clusters and their endpoints, as text.
	WriteClusters(io.Writer) error
	// Clusters gives the same as Envoy's JSON.
	Clusters() ([]byte, error)
	// DrainListeners stops accepting connections and returns at once.
	DrainListeners()
	// Quit ends the process in good order and returns at once.
	Quit()
}

// Serve answers on l until ctx is done.
func Serve(ctx context.Context, l net.Listener, p Proxy) error {
	server := &http.Server{
		Handler:           Handler(p),
		ReadHeaderTimeout: 5 * time.Second,
		WriteTimeout:      30 * time.Second,
		MaxHeaderBytes:    16 << 10,
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("admin: %w", err)
	}
	return nil
}

// Handler gives the endpoint's pages.
func Handler(p Proxy) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) { ready(w, p) })
	mux.HandleFunc("GET /config_dump", func(w http.ResponseWriter, _ *http.Request) { document(w, p.ConfigDump) })
	mux.HandleFunc("GET /server_info", func(w http.ResponseWriter, _ *http.Request) { document(w, p.ServerInfo) })
	mux.HandleFunc("GET /stats/prometheus", func(w http.ResponseWriter, _ *http.Request) { prometheus(w, p) })
	mux.HandleFunc("GET /clusters", func(w http.ResponseWriter, r *http.Request) { clustersPage(w, r, p) })
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, r *http.Request) { stats(w, r, p) })
	mux.HandleFunc("POST /drain_listeners", func(w http.ResponseWriter, _ *http.Request) {
		p.DrainListeners()
		_, _ = io.WriteString(w, "OK\n")
	})
	mux.HandleFunc("POST /quitquitquit", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "OK\n")
		p.Quit()
	})
	return local(mux)
}

// local keeps web pages out: a browser that was lured to this address sends a
// foreign Host (DNS rebinding), an Origin or a Sec-Fetch-Site.
func local(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !localHost(r.Host) || r.Header.Get("Origin") != "" || foreignSite(r.Header.Get("Sec-Fetch-Site")) {
			http.Error(w, "requests from web pages are refused", http.StatusForbidden)
			return
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-cache, max-age=0")
		next.ServeHTTP(w, r)
	})
}

// localHost accepts addresses and names without a dot: those cannot be
// rebound by whoever owns a domain.
func localHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return true
	}
	return !strings.Contains(host, ".")
}

func foreignSite(site string) bool { return site != "" && site != "none" && site != "same-origin" }

func ready(w http.ResponseWriter, p Proxy) {
	state := p.State()
	if why := p.Unready(); state == "LIVE" && why != "" {
		state = "UNREADY: " + why
	}
	if state != "LIVE" {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, _ = io.WriteString(w, state+"\n")
}

func document(w http.ResponseWriter, make func() ([]byte, error)) {
	raw, err := make()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(raw, '\n'))
}

func prometheus(w http.ResponseWriter, p Proxy) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_ = p.WritePrometheus(w) // the client has gone
}

// clustersPage gives one "cluster::endpoint::what::value" a line.
func clustersPage(w http.ResponseWriter, r *http.Request, p Proxy) {
	switch format := r.URL.Query().Get("format"); format {
	case "", "text":
	case "json":
		document(w, p.Clusters)
		return
	default:
		http.Error(w, fmt.Sprintf("format %q is not supported (text, json)", format), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_ = p.WriteClusters(w) // the client has gone
}

// stats gives one "name: value" a line; filter=REGEXP keeps matching names.
func stats(w http.ResponseWriter, r *http.Request, p Proxy) {
	query := r.URL.Query()
	switch format := query.Get("format"); format {
	case "", "text":
	case "prometheus":
		prometheus(w, p)
		return
	default:
		http.Error(w, fmt.Sprintf("format %q is not supported (text, prometheus)", format), http.StatusBadRequest)
		return
	}
	filter, err := regexp.Compile(query.Get("filter"))
	if err != nil {
		http.Error(w, "filter: "+err.Error(), http.StatusBadRequest)
		return
	}
	var text strings.Builder
	if err := p.WritePrometheus(&text); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	for line := range strings.Lines(text.String()) {
		name, value, ok := cutLast(strings.TrimSpace(line))
		if ok && filter.MatchString(name) {
			fmt.Fprintf(w, "%s: %s\n", name, value)
		}
	}
}

// cutLast splits a sample at its last space: label values may hold spaces.
func cutLast(line string) (name, value string, ok bool) {
	if line == "" || line[0] == '#' {
		return "", "", false
	}
	i := strings.LastIndexByte(line, ' ')
	if i < 0 {
		return "", "", false
	}
	return line[:i], line[i+1:], true
}
