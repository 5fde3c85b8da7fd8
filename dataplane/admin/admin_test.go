package admin

import (
	"context"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
)

// fake is a proxy that does nothing.
type fake struct {
	state, unready string
	drained, ended bool
}

func (f *fake) State() string   { return f.state }
func (f *fake) Unready() string { return f.unready }
func (f *fake) ConfigDump() ([]byte, error) {
	return Dump(Serving{Bootstrap: new(bootstrapv3.Bootstrap)})
}
func (f *fake) ServerInfo() ([]byte, error) { return []byte(`{}`), nil }
func (f *fake) DrainListeners()             { f.drained = true }
func (f *fake) Quit()                       { f.ended = true }
func (f *fake) WriteClusters(w io.Writer) error {
	_, err := io.WriteString(w, "a::default_priority::max_retries::3\n")
	return err
}
func (f *fake) Clusters() ([]byte, error) { return []byte(`{"cluster_statuses": []}`), nil }
func (f *fake) WritePrometheus(w io.Writer) error {
	_, err := io.WriteString(w, "# TYPE a counter\na{x=\"1 2\"} 3\nb 4\n")
	return err
}

func ask(f *fake, method, path string, header ...string) (int, string) {
	r := httptest.NewRequest(method, path, nil)
	r.Host = "localhost"
	for i := 0; i+1 < len(header); i += 2 {
		if r.Header.Set(header[i], header[i+1]); header[i] == "Host" {
			r.Host = header[i+1]
		}
	}
	w := httptest.NewRecorder()
	Handler(f).ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func TestPages(t *testing.T) {
	f := &fake{state: "LIVE"}
	for _, c := range []struct {
		method, path string
		status       int
		want         string
	}{
		{"GET", "/ready", 200, "LIVE\n"},
		{"GET", "/stats", 200, "a{x=\"1 2\"}: 3\nb: 4\n"},
		{"GET", "/stats?filter=^b", 200, "b: 4\n"},
		{"GET", "/stats?filter=(", 400, ""},
		{"GET", "/stats?format=prometheus", 200, "# TYPE a"},
		{"GET", "/stats?format=xml", 400, "not supported"},
		{"GET", "/stats/prometheus", 200, "# TYPE a"},
		{"GET", "/server_info", 200, "{}"},
		{"GET", "/clusters", 200, "a::default_priority::"},
		{"GET", "/clusters?format=json", 200, "cluster_statuses"},
		{"GET", "/clusters?format=xml", 400, "not supported"},
		{"GET", "/config_dump", 200, "RoutesConfigDump"},
		{"GET", "/quitquitquit", 405, ""},
		{"GET", "/drain_listeners", 405, ""},
		{"GET", "/nothing", 404, ""},
	} {
		if status, body := ask(f, c.method, c.path); status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s %s: %d %q", c.method, c.path, status, body)
		}
	}
	if f.drained || f.ended {
		t.Error("a GET changed something")
	}
	f.state = "DRAINING"
	if status, body := ask(f, "GET", "/ready"); status != 503 || body != "DRAINING\n" {
		t.Errorf("ready: %d %q", status, body)
	}
	ask(f, "POST", "/drain_listeners")
	ask(f, "POST", "/quitquitquit")
	if !f.drained || !f.ended {
		t.Error("a POST changed nothing")
	}
}

func TestWebPagesAreRefused(t *testing.T) {
	for _, header := range [][]string{
		{"Host", "evil.example.com"}, {"Host", "evil.example.com:80"}, {"Origin", "http://evil.example.com"}, {"Sec-Fetch-Site", "cross-site"},
	} {
		f := &fake{state: "LIVE"}
		if status, _ := ask(f, "POST", "/quitquitquit", header...); status != 403 || f.ended {
			t.Errorf("%v: %d", header, status)
		}
	}
	for _, host := range []string{"localhost:9901", "127.0.0.1:9901", "[::1]:9901", "::1", "proxy"} {
		if status, _ := ask(&fake{state: "LIVE"}, "GET", "/ready", "Host", host); status != 200 {
			t.Errorf("%s: %d", host, status)
		}
	}
}

func TestPrivateKeyIsNotInTheDump(t *testing.T) {
	raw, err := Dump(Serving{Bootstrap: new(bootstrapv3.Bootstrap), CertificatePEM: []byte("chain"), BundlePEM: []byte("roots")})
	if err != nil || !strings.Contains(string(raw), redacted) {
		t.Errorf("%s, %v", raw, err)
	}
}

func TestSocketIsPrivateAndReplacedWhenDead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "admin.sock")
	first, err := Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := Listen("unix", path); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a live socket was taken over: %v", err)
	}
	_ = first.(*socket).UnixListener.Close() // as after a crash: the name stays
	second, err := Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Serve(ctx, second, &fake{}); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen("unix", path); err == nil {
		t.Error("a file was replaced")
	}
}
