package interop

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"github.com/meshc/meshc/compiler/model"
)

// page is an application whose answers are as the query says; its body says how
// long the request was, and whether its length was known.
func page(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			return
		}
		q := r.URL.Query()
		w.Header().Set("content-type", "text/html; charset=utf-8")
		status := http.StatusOK
		for name, values := range q {
			switch name {
			case "status":
				fmt.Sscan(values[0], &status)
			case "size":
			default:
				w.Header().Set(name, values[0])
			}
		}
		size := 5000
		fmt.Sscan(q.Get("size"), &size)
		body := fmt.Sprintf("%d %d ", n, r.ContentLength)
		body += strings.Repeat("meshc ", size)[:size-len(body)]
		w.Header().Set("content-length", fmt.Sprint(len(body)))
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// sendBody sends a body of so many bytes, in chunks if it is said so, and gives the
// answer with what its body comes to; "" of an encoding that is not read here.
func sendBody(t *testing.T, addr, target, accepts string, length int, chunked bool) (*http.Response, string) {
	t.Helper()
	var body io.Reader
	if length > 0 {
		body = strings.NewReader(strings.Repeat("x", length))
		if chunked {
			body = io.NopCloser(body)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr+target, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "shop"
	if accepts != "" {
		req.Header.Set("accept-encoding", accepts)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}, Timeout: patience}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var from io.Reader = resp.Body
	switch resp.Header.Get("content-encoding") {
	case "gzip":
		if from, err = gzip.NewReader(resp.Body); err != nil {
			t.Fatal(err)
		}
	case "":
	default:
		n, err := io.Copy(io.Discard, resp.Body)
		if n == 0 || n > 500 || err != nil {
			t.Errorf("%s: %d bytes of %s, %v", target, n, resp.Header.Get("content-encoding"), err)
		}
		return resp, ""
	}
	got, err := io.ReadAll(from)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(got)
}

// TestHolding: proxies of both kinds compress what may be compressed, in
// the encoding that is preferred, and what it decodes to is what was sent; they read
// requests whole up to the bound; and leave paths and routes out.
func TestHolding(t *testing.T) {
	seen := map[kind]map[string]string{}
	for _, k := range kinds {
		t.Run(string(k), func(t *testing.T) { seen[k] = holdingOf(t, k) })
	}
	for asked, want := range seen[envoy] {
		if got := seen[meshc][asked]; got != want {
			t.Errorf("%s: meshc-proxy answers %s, Envoy %s", asked, got, want)
		}
	}
}

// heads is what answers say of their bodies, by what was asked.
func heads(t *testing.T, service, edge string) map[string]string {
	out := map[string]string{}
	for _, addr := range []string{service, edge} {
		for _, target := range []string{
			"/", "/?size=200000", "/?size=999", "/?status=206", "/?status=404", "/?status=204", "/plain", "/own", "/?content-type=application/x-page",
			"/?content-encoding=gzip", "/?cache-control=no-cache,%20No-Transform", "/?vary=origin", "/?vary=origin,%20accept-encoding", "/?etag=%22a%22", "/?etag=W/%22a%22",
		} {
			for _, accepts := range []string{
				"", "gzip", "br", "zstd", "GZIP", "*", "identity", "gzip;q=0.5, zstd", "br;q=0, *", "gzip;q=x, br;q=0.1", "deflate, gzip; Q=0.3", "identity, gzip;q=0.9", ", ,", "gzip;q=0",
			} {
				resp, body := rawAnswer(t, addr, target, accepts)
				key := fmt.Sprintf("%v %s, of whom accepts %q", addr == edge, target, accepts)
				out[key] = fmt.Sprintf("%d %q %q %q length %v, body %d %.30q", resp.StatusCode, resp.Header["Content-Encoding"], resp.Header["Vary"], resp.Header["Etag"],
					resp.Header["Content-Length"], len(body), body)
			}
		}
	}
	return out
}

// rawAnswer is an answer with its body decoded, whatever it is in; that of an
// application's own encoding is left as it is.
func rawAnswer(t *testing.T, addr, target, accepts string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	if req.Host = "shop"; accepts != "" {
		req.Header.Set("accept-encoding", accepts)
	}
	resp, err := (&http.Transport{DisableKeepAlives: true, DisableCompression: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	from := io.Reader(resp.Body)
	if encoding := resp.Header.Get("content-encoding"); !strings.Contains(target, "content-encoding") && encoding != "" {
		from = decoded(t, encoding, from)
	}
	body, err := io.ReadAll(from)
	if err != nil {
		t.Fatalf("%s, %s: %v", target, accepts, err)
	}
	return resp, string(body)
}

func decoded(t *testing.T, encoding string, from io.Reader) io.Reader {
	t.Helper()
	var err error
	switch encoding {
	case "gzip":
		from, err = gzip.NewReader(from)
	case "br":
		from = brotli.NewReader(from)
	case "zstd":
		var z *zstd.Decoder
		z, err = zstd.NewReader(from, zstd.WithDecoderConcurrency(1))
		t.Cleanup(z.Close)
		from = z
	default:
		err = fmt.Errorf("encoding %q", encoding)
	}
	if err != nil {
		t.Fatal(err)
	}
	return from
}

func holdingOf(t *testing.T, k kind) map[string]string {
	b := newBed(t, compileFS(t, os.DirFS("testdata/holding")))
	app := page(t)
	b.sidecar(ref("shop"), "v1", k, app)
	b.sidecar(ref("bare"), "v1", k, app)
	b.sidecar(ref("web"), "v1", k, "")
	b.gateway(ref("edge"), k)
	b.run()
	service := b.placed["web-"+string(k)].Outbound[model.OutboundKey(ref("shop"), meshPort)]
	edge := b.placed["edge-"+string(k)].Inbound[8080]
	for _, c := range []struct{ addr, target, accepts, encoding string }{
		{service, "/", "gzip", "gzip"},
		{service, "/", "zstd", "zstd"},
		{service, "/", "gzip, br, zstd", "br"}, // what the service likes first
		{service, "/", "gzip, br;q=0.5", "gzip"},
		{service, "/", "deflate", ""},
		{service, "/", "", ""},
		{service, "/?size=1000", "gzip", "gzip"},
		{service, "/?size=999", "gzip", ""},
		{service, "/?content-type=image/png", "gzip", ""},
		{service, "/?content-type=Application/JSON", "gzip", "gzip"},
		{service, "/?cache-control=no-transform", "gzip", ""},
		{service, "/?status=206", "gzip", ""},
		{service, "/?status=404", "gzip", "gzip"},
		{service, "/plain", "gzip", ""},
		{service, "/plain/below", "gzip", ""},
		{service, "/plainer", "gzip", "gzip"},
		{service, "/both", "gzip", ""},
		{service, "/stream", "gzip", "gzip"},
		{edge, "/?content-type=application/x-page", "br, gzip", "gzip"}, // the only one there
		{edge, "/", "gzip", ""},
		{edge, "/raw?content-type=application/x-page", "gzip", ""},
	} {
		resp, body := sendBody(t, c.addr, c.target, c.accepts, 0, false)
		if got := resp.Header.Get("content-encoding"); got != c.encoding {
			t.Errorf("%s, of whom accepts %q: encoding %q, want %q", c.target, c.accepts, got, c.encoding)
			continue
		}
		if body != "" && !strings.HasPrefix(body, "0 0 meshc meshc ") {
			t.Errorf("%s: body %.40q", c.target, body)
		}
		if varies := strings.EqualFold(resp.Header.Get("vary"), "accept-encoding"); varies != (c.encoding != "") && c.accepts == "gzip" {
			t.Errorf("%s: vary %q", c.target, resp.Header.Get("vary"))
		}
	}
	for tag, want := range map[string]string{`"a"`: `W/"a"`, `W/"b"`: `W/"b"`} {
		resp, _ := sendBody(t, service, "/?etag="+strings.ReplaceAll(tag, `"`, "%22"), "gzip", 0, false)
		if got := resp.Header.Get("etag"); got != want || resp.Header.Get("content-encoding") != "gzip" {
			t.Errorf("etag %s becomes %s", tag, got)
		}
	}
	b.buffered(service, edge)
	for _, x := range b.all() {
		x.refusedNothing()
	}
	return heads(t, service, edge)
}

// buffered: one byte beyond the bound is too much; what was read whole has a length.
func (b *bed) buffered(service, edge string) {
	t := b.t
	for _, c := range []struct {
		addr, target string
		length       int
		chunked      bool
		status       int
		seen         string // by the application: bytes, and the length it was told
	}{
		{service, "/", 1000, false, 200, "1000 1000"},
		{service, "/", 1001, false, 413, ""},
		{service, "/", 1000, true, 200, "1000 1000"},
		{service, "/", 1001, true, 413, ""},
		{service, "/stream/a", 200_000, true, 200, "200000 -1"},
		{service, "/both", 200_000, false, 200, "200000 200000"},
		{service, "/plain", 1001, false, 413, ""},
		{edge, "/", 3000, true, 200, "3000 3000"},
		{edge, "/", 3001, true, 413, ""},
		{edge, "/raw", 200_000, true, 200, "200000 -1"},
	} {
		resp, body := sendBody(t, c.addr, c.target, "", c.length, c.chunked)
		if resp.StatusCode != c.status || !strings.HasPrefix(body, c.seen) {
			t.Errorf("%s, %d bytes (in chunks: %v): status %d, body %.20q; want %d, %q", c.target, c.length, c.chunked, resp.StatusCode, body, c.status, c.seen)
		}
	}
}
