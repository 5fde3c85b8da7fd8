package engine

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	bufferv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/buffer/v3"
	compressorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/compressor/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/filter/buffer"
	"github.com/meshc/meshc/dataplane/filter/compress"
)

// compressing is a mesh whose listener writes gzip.
func compressing(t *testing.T, endpoint string) *mesh {
	t.Helper()
	m := newMesh(endpoint)
	c := new(compressorv3.Compressor)
	err := protojson.Unmarshal([]byte(`{"compressor_library": {"name": "gzip", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.compression.gzip.compressor.v3.Gzip"}},
		"response_direction_config": {}}`), c)
	if err != nil {
		t.Fatal(err)
	}
	f, err := compress.New("gzip", c)
	if err != nil {
		t.Fatal(err)
	}
	m.chain.HTTP.Filters = []filter.HTTP{f}
	compress.Join(m.chain.HTTP.Filters)
	return m
}

func askGzip(t *testing.T, c *http.Client, url string) *http.Response {
	t.Helper()
	resp, err := tryGzip(t, c, url)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Header.Get("content-encoding") != "gzip" {
		t.Fatalf("%v", resp.Header)
	}
	return resp
}

func tryGzip(t *testing.T, c *http.Client, url string) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("accept-encoding", "gzip")
	return c.Do(req)
}

// Bodies that compress well and such that grow come through whole, over each
// protocol, one after the other on the same connections.
func TestCompressedBodies(t *testing.T) {
	bodies := map[string][]byte{"/text": []byte(strings.Repeat("a line of text\n", 200_000)), "/random": make([]byte, 3<<20), "/short": []byte(strings.Repeat("x", 30))}
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(bodies["/random"])
	e := start(t, compressing(t, backend(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("content-type", "text/plain")
		_, _ = w.Write(bodies[r.URL.Path])
	})))
	for name, c := range map[string]*http.Client{"HTTP/1.1": client(t), "HTTP/2": h2Client(t)} {
		for range 3 {
			for path, want := range bodies {
				resp := askGzip(t, c, "http://"+addrOf(t, e, "in")+path)
				z, err := gzip.NewReader(resp.Body)
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(z)
				if err != nil || crc32.ChecksumIEEE(got) != crc32.ChecksumIEEE(want) || len(got) != len(want) {
					t.Errorf("%s %s: %d bytes of %d, %v", name, path, len(got), len(want), err)
				}
				resp.Body.Close()
			}
		}
	}
	if n := metric(t, e, "envoy_http_compressor_gzip_gzip_response_compressed"); n != 18 {
		t.Errorf("%v responses are counted as compressed", n)
	}
}

// A client reads what the server has said as soon as it has said it.
func TestCompressedEventsComeAtOnce(t *testing.T) {
	next := make(chan struct{})
	e := start(t, compressing(t, backend(t, func(w http.ResponseWriter, r *http.Request) {
		for i := range 3 {
			fmt.Fprintf(w, "event %d\n", i)
			_ = http.NewResponseController(w).Flush()
			<-next
		}
	})))
	resp := askGzip(t, client(t), "http://"+addrOf(t, e, "in")+"/")
	defer resp.Body.Close()
	z, err := gzip.NewReader(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(z)
	for i := range 3 {
		if line, err := r.ReadString('\n'); err != nil || line != fmt.Sprintf("event %d\n", i) {
			t.Fatalf("%q, %v", line, err)
		}
		next <- struct{}{}
	}
	if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
		t.Errorf("%q, %v", rest, err)
	}
}

// A response that breaks off is not taken for whole, and the next is as it was.
func TestCompressedResponsesThatBreakOff(t *testing.T) {
	e := start(t, compressing(t, backend(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("some text ", 1000))
		_ = http.NewResponseController(w).Flush()
		if r.URL.Path == "/broken" {
			panic(http.ErrAbortHandler)
		}
	})))
	c := client(t)
	for i := range 20 {
		path := []string{"/broken", "/whole"}[i%2]
		resp, err := tryGzip(t, c, "http://"+addrOf(t, e, "in")+path)
		if err != nil && path == "/broken" {
			continue // even its head did not get through
		} else if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(resp.Body)
		var got []byte
		if err == nil {
			got, err = io.ReadAll(z)
		}
		if resp.Body.Close(); (err != nil) != (path == "/broken") || err == nil && len(got) != 10_000 {
			t.Errorf("%s: %d bytes, %v", path, len(got), err)
		}
	}
}

// A request is read whole before anything is sent, and has a length then; one that
// is too long is not sent at all.
func TestBufferedRequests(t *testing.T) {
	asked := 0
	m := newMesh(backend(t, func(w http.ResponseWriter, r *http.Request) {
		asked++
		body, _ := io.ReadAll(r.Body)
		fmt.Fprint(w, len(body), " ", r.ContentLength)
	}))
	f, err := buffer.New("b", &bufferv3.Buffer{MaxRequestBytes: wrapperspb.UInt32(100_000)})
	if err != nil {
		t.Fatal(err)
	}
	m.chain.HTTP.Filters = []filter.HTTP{f}
	e := start(t, m)
	for name, c := range map[string]*http.Client{"HTTP/1.1": client(t), "HTTP/2": h2Client(t)} {
		for _, x := range []struct {
			length, said int64
			status       int
			text         string
		}{
			{0, 0, 200, "0 0"}, {1, 1, 200, "1 1"}, {1, -1, 200, "1 1"}, {100_000, -1, 200, "100000 100000"}, {100_000, 100_000, 200, "100000 100000"},
			{100_001, -1, 413, "Payload Too Large"}, {100_001, 100_001, 413, "Payload Too Large"},
		} {
			before := asked
			code, text := say(t, c, "http://"+addrOf(t, e, "in")+"/", "", strings.Repeat("x", int(x.length)), x.said)
			if code != x.status || text != x.text || (asked == before) != (x.status == 413) {
				t.Errorf("%s: %+v: %d %q, and %d requests behind it", name, x, code, text, asked-before)
			}
		}
	}
}
