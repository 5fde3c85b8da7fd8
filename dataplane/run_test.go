package dataplane_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/meshc/meshc/dataplane"
	"github.com/meshc/meshc/dataplane/bootstrap"
	"github.com/meshc/meshc/dataplane/engine"
)

const patience = 20 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// backend answers every request with its name.
func backend(t *testing.T, name string) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%s %s %s", name, r.URL.Path, r.Header.Get("x-added"))
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func split(t *testing.T, addr string) (host, port string) {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return host, port
}

func parse(t *testing.T, text string) *bootstrap.Bootstrap {
	t.Helper()
	b, err := bootstrap.Parse("b.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// running is one proxy; stop ends it in good order and gives Run's error.
type running struct {
	engine *engine.Engine
	admin  *http.Client
	stop   func() error
}

func start(t *testing.T, opts dataplane.Options) *running {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "admin.sock")
	opts.Workers, opts.AdminSocket = 1, socket
	opts.DrainTimeout = 5 * time.Second
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	started := make(chan *engine.Engine, 1)
	opts.Started = func(e *engine.Engine) { started <- e }
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- dataplane.Run(ctx, opts) }()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	r := &running{admin: &http.Client{Transport: transport}}
	stopped := false
	r.stop = func() error {
		cancel()
		if stopped {
			return nil
		}
		stopped = true
		select {
		case err := <-ended:
			return err
		case <-time.After(patience):
			return fmt.Errorf("the proxy does not end")
		}
	}
	t.Cleanup(func() { _ = r.stop() })
	select {
	case r.engine = <-started:
	case err := <-ended:
		stopped = true
		t.Fatalf("the proxy ended: %v", err)
	case <-time.After(patience):
		t.Fatal("the proxy serves nothing")
	}
	return r
}

// get asks a listener; every request has a connection of its own.
func (r *running) get(t *testing.T, listener, path string) (int, string) {
	t.Helper()
	addr, ok := r.engine.Addr(listener)
	if !ok {
		t.Fatalf("no listener %q", listener)
	}
	return fetch(t, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, "http://"+addr.String()+path)
}

func fetch(t *testing.T, c *http.Client, url string) (int, string) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func (r *running) page(t *testing.T, path string) (int, string) {
	t.Helper()
	return fetch(t, r.admin, "http://proxy"+path)
}

const listenerYAML = `
    name: %s
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          normalize_path: true
          %s
          http_filters:
          - name: envoy.filters.http.rbac
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
              rules: {policies: {p: {principals: [{any: true}], permissions: [{not_rule: {url_path: {path: {prefix: /secret}}}}]}}}
          - name: envoy.filters.http.fault
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault}
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}`

const routesYAML = `name: r, virtual_hosts: [{name: v, domains: ["*"], routes: [
            {match: {path: /direct}, direct_response: {status: 200, body: {inline_string: hello}}},
            {match: {path: /broken}, route: {cluster: app}, typed_per_filter_config: {envoy.filters.http.fault: {"@type": type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault, abort: {http_status: 418, percentage: {numerator: 100}}}}},
            {match: {prefix: /}, route: {cluster: app}, request_headers_to_add: [{header: {key: x-added, value: "yes"}}]}]}]`

func TestStaticBootstrapForwards(t *testing.T) {
	host, port := split(t, backend(t, "app"))
	text := "static_resources:\n  listeners:\n  -" + fmt.Sprintf(listenerYAML, "in", "route_config: {"+routesYAML+"}") + fmt.Sprintf(`
  clusters:
  - name: app
    type: STATIC
    load_assignment: {cluster_name: app, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: %s, port_value: %s}}}}]}]}
`, host, port)
	r := start(t, dataplane.Options{Bootstrap: parse(t, text)})
	for path, want := range map[string]string{
		"/a?b":          "200 app /a yes",
		"/direct":       "200 hello",
		"/%64irect":     "200 hello",
		"/broken":       "418 fault filter abort",
		"/secret/a":     "403 RBAC: access denied",
		"/%73ecret/":    "403 RBAC: access denied",
		"/a/../secret/": "400 ",
	} {
		status, body := r.get(t, "in", path)
		if got := fmt.Sprint(status, " ", body); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
	if status, body := r.page(t, "/ready"); status != 200 || body != "LIVE\n" {
		t.Errorf("ready: %d %q", status, body)
	}
	if _, body := r.page(t, "/config_dump"); !strings.Contains(body, "StaticListener") && !strings.Contains(body, "static_listeners") {
		t.Errorf("config dump %s", body)
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
}

func TestBootstrapThatLacksSomethingDoesNotStart(t *testing.T) {
	b := parse(t, `{"static_resources": {"clusters": [{"name": "c", "type": "EDS", "eds_cluster_config": {"eds_config": {"ads": {}}}}]}}`)
	err := dataplane.Run(t.Context(), dataplane.Options{Bootstrap: b, Workers: 1})
	if err == nil || !strings.Contains(err.Error(), `cluster "c": cluster load assignment c is missing`) {
		t.Errorf("error %v", err)
	}
	if err := dataplane.Validate(b); err == nil {
		t.Error("Validate accepts it")
	}
}
