// Package app is what the Bookinfo services share: an HTTP server that ends on
// SIGTERM, and calls that pass on the headers a user's request came with. It
// knows nothing of any mesh.
package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// forwarded are the headers a service hands on to the services it calls, so
// that routing by user and tracing work along the whole chain.
var forwarded = []string{
	"end-user", "user-agent", "x-request-id",
	"traceparent", "tracestate", "x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags", "b3",
}

// Env gives the environment variable key; the program ends when it is not set.
func Env(key string) string {
	v := os.Getenv(key)
	if v == "" {
		log.Fatalf("environment variable %s is not set", key)
	}
	return v
}

// Serve answers requests on the address in LISTEN until SIGTERM or SIGINT.
func Serve(h http.Handler) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	srv := &http.Server{Addr: Env("LISTEN"), Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-ctx.Done()
		end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = srv.Shutdown(end)
	}()
	if err := srv.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}

// Client calls one other service.
type Client struct {
	base string
	http *http.Client
}

// NewClient makes a Client for the service at base ("http://host:port").
func NewClient(base string) *Client {
	return &Client{base: base, http: &http.Client{Transport: &http.Transport{
		MaxIdleConns: 4096, MaxIdleConnsPerHost: 4096, IdleConnTimeout: 30 * time.Second,
	}}}
}

// StatusError says that a service answered with something else than 200.
type StatusError struct{ Status int }

func (e *StatusError) Error() string { return fmt.Sprintf("status %d", e.Status) }

// Get fetches path on behalf of in and decodes the JSON answer into out.
func (c *Client) Get(in *http.Request, path string, out any) error {
	req, err := http.NewRequestWithContext(in.Context(), http.MethodGet, c.base+path, nil)
	if err != nil {
		return err
	}
	for _, name := range forwarded {
		if v := in.Header.Values(name); len(v) > 0 {
			req.Header[http.CanonicalHeaderKey(name)] = v
		}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return &StatusError{resp.StatusCode}
	}
	return json.Unmarshal(body, out)
}

// Reply writes v as JSON with status 200.
func Reply(w http.ResponseWriter, v any) {
	w.Header().Set("content-type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}
