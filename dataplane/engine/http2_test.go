package engine

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/meshc/meshc/dataplane/snapshot"
)

// h2Client speaks HTTP/2 with prior knowledge, on one connection.
func h2Client(t *testing.T) *http.Client {
	tr := &http.Transport{DisableCompression: true, Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

// h2Backend is a server of both protocols, HTTP/2 with prior knowledge.
func h2Backend(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func echo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Proto", r.Proto)
	w.Header().Set("X-Query", r.URL.RawQuery)
	if r.ContentLength >= 0 {
		w.Header().Set("X-Length", fmt.Sprint(r.ContentLength))
	}
	_ = http.NewResponseController(w).EnableFullDuplex() // HTTP/1.1 servers of net/http stop reading otherwise
	io.Copy(w, r.Body)
}

// Every pair of protocols carries requests and bodies of every size.
func TestProtocolsMeet(t *testing.T) {
	sizes := []int{0, 1, 100, 16384, 16385, 70_000, 1_000_000}
	for _, down := range []string{"HTTP/1.1", "HTTP/2.0"} {
		for up, want := range map[snapshot.Upstream]string{snapshot.UpstreamHTTP1: "HTTP/1.1", snapshot.UpstreamHTTP2: "HTTP/2.0", snapshot.UpstreamAsDownstream: down} {
			t.Run(fmt.Sprintf("%s to %d", down, up), func(t *testing.T) {
				m := newMesh(h2Backend(t, echo))
				m.cluster().Protocol = up
				e := start(t, m)
				c := client(t)
				if down == "HTTP/2.0" {
					c = h2Client(t)
				}
				var all sync.WaitGroup
				for _, size := range sizes {
					for _, chunked := range []bool{false, true} {
						all.Go(func() { exchangeBody(t, c, "http://"+addrOf(t, e, "in")+"/p?q=1", size, chunked, want) })
					}
				}
				all.Wait()
			})
		}
	}
}

func exchangeBody(t *testing.T, c *http.Client, url string, size int, chunked bool, proto string) {
	body := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
	req, _ := http.NewRequest("POST", url, bytes.NewReader(body))
	if chunked {
		req.ContentLength, req.Body = -1, io.NopCloser(bytes.NewReader(body))
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Errorf("%d bytes: %v", size, err)
		return
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || !bytes.Equal(got, body) || resp.StatusCode != 200 {
		t.Errorf("%d bytes: %d, %d bytes came back, %v", size, resp.StatusCode, len(got), err)
	}
	if p := resp.Header.Get("X-Proto"); p != proto {
		t.Errorf("upstream saw %s, want %s", p, proto)
	}
	if l := resp.Header.Get("X-Length"); !chunked && l != fmt.Sprint(size) {
		t.Errorf("%d bytes: upstream was told %q", size, l)
	}
}
