// Package health answers the kubelet for a pod: whether its proxy is ready, and
// what the probes of the application's containers say. The kubelet has no
// identity in the mesh, so its probes cannot go by the proxy's listeners.
package health

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// longest time for one answer; the kubelet's own limit is usually shorter.
const longest = 60 * time.Second

// Probe is one thing that the kubelet may ask about the application.
type Probe struct {
	Path   string // "app/<container>/<kind>"
	Target *url.URL
}

var probePath = regexp.MustCompile(`^app/[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?/(liveness|readiness|startup)$`)

// ParseProbe reads "app/<container>/<kind>=<scheme>://:<port>/<path>", where the
// scheme is http, https, tcp or grpc. The application is asked on its loopback
// address, whose connections are not captured.
func ParseProbe(s string) (Probe, error) {
	path, target, ok := strings.Cut(s, "=")
	if !ok || !probePath.MatchString(path) {
		return Probe{}, fmt.Errorf("probe %q: want app/CONTAINER/KIND=SCHEME://:PORT/PATH", s)
	}
	u, err := url.Parse(target)
	if err != nil {
		return Probe{}, fmt.Errorf("probe %s: %w", path, err)
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil || port == 0 || u.Hostname() != "" || u.User != nil || u.Opaque != "" {
		return Probe{}, fmt.Errorf("probe %s: %q is not SCHEME://:PORT/PATH", path, target)
	}
	switch u.Scheme {
	case "http", "https", "tcp", "grpc":
	default:
		return Probe{}, fmt.Errorf("probe %s: unknown scheme %q", path, u.Scheme)
	}
	return Probe{path, u}, nil
}

// Server answers.
type Server struct {
	AdminSocket string // of the proxy, whose /ready it asks
	Probes      []Probe
	Log         *slog.Logger
}

// Run serves on l until ctx ends.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	server := &http.Server{Handler: s.Handler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("health: %w", err)
	}
	return nil
}

// Handler gives what the kubelet may ask, and nothing else.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ready", s.answer(s.ready))
	for _, p := range s.Probes {
		mux.HandleFunc("GET /"+p.Path, s.answer(func(r *http.Request) (int, error) { return ask(r, p.Target) }))
	}
	return mux
}

// answer writes a status, or 503 and why.
func (s *Server) answer(ask func(*http.Request) (int, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), longest)
		defer cancel()
		status, err := ask(r.WithContext(ctx))
		if err != nil {
			s.Log.Debug("probe failed", "path", r.URL.Path, "error", err)
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(status)
	}
}

// ready asks the proxy.
func (s *Server) ready(r *http.Request) (int, error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", s.AdminSocket)
	}
	return get(&http.Transport{DialContext: dial, DisableKeepAlives: true}, r, &url.URL{Scheme: "http", Host: "localhost", Path: "/ready"}, nil)
}

// ask asks the application.
func ask(r *http.Request, target *url.URL) (int, error) {
	at := net.JoinHostPort("127.0.0.1", target.Port())
	switch target.Scheme {
	case "tcp":
		c, err := new(net.Dialer).DialContext(r.Context(), "tcp", at)
		if err != nil {
			return 0, err
		}
		return http.StatusOK, c.Close()
	case "grpc":
		return askGRPC(r.Context(), at, strings.TrimPrefix(target.Path, "/"))
	}
	to := *target
	to.Host = at
	// The kubelet does not verify certificates either.
	return get(&http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, r, &to, r)
}

// get gives the status of an answer; a redirect is good, as it is to the
// kubelet, and followed by nobody. like, when set, lends its headers.
func get(by *http.Transport, r *http.Request, to *url.URL, like *http.Request) (int, error) {
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, to.String(), nil)
	if err != nil {
		return 0, err
	}
	if like != nil {
		req.Header, req.Host = like.Header.Clone(), like.Host
		req.Header.Del("Connection")
	}
	res, err := by.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, 10<<10) // what the kubelet reads
	if res.StatusCode >= 300 && res.StatusCode < 400 {
		return http.StatusOK, nil
	}
	return res.StatusCode, nil
}

func askGRPC(ctx context.Context, at, service string) (int, error) {
	conn, err := grpc.NewClient(at, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDisableServiceConfig(), grpc.WithNoProxy())
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	res, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{Service: service})
	if err != nil {
		return 0, err
	}
	if res.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		return 0, fmt.Errorf("the application is %s", res.GetStatus())
	}
	return http.StatusOK, nil
}

// Wait asks for /ready at an address until the answer is 200, or ctx ends.
func Wait(ctx context.Context, address string, every time.Duration) error {
	for {
		err := once(ctx, address)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the proxy is not ready: %w", err)
		case <-time.After(every):
		}
	}
}

func once(ctx context.Context, address string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/ready", nil)
	if err != nil {
		return err
	}
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", res.StatusCode)
	}
	return nil
}
