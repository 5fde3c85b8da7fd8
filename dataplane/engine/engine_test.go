package engine

import (
	"fmt"
	"io"
	"net/http"
	"testing"
)

func TestForwardsARequest(t *testing.T) {
	app := backend(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %s", r.Method, r.Host, r.URL)
	})
	e := start(t, newMesh(app))
	c := client(t)
	for range 50 {
		status, body := get(t, c, "http://"+addrOf(t, e, "in")+"/a/b?x=1")
		if want := "GET " + addrOf(t, e, "in") + " /a/b?x=1"; status != 200 || body != want {
			t.Fatalf("got %d %q, want 200 %q", status, body, want)
		}
	}
}

func TestStreamsABigBodyBothWays(t *testing.T) {
	app := backend(t, func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		io.Copy(w, r.Body)
	})
	e := start(t, newMesh(app))
	const size = 64 << 20
	for _, length := range []int64{size, -1} {
		req, _ := http.NewRequest("POST", "http://"+addrOf(t, e, "in")+"/", io.LimitReader(pattern{}, size))
		req.ContentLength = length
		resp, err := client(t).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(&checker{t: t}, resp.Body)
		resp.Body.Close()
		if n != size || err != nil {
			t.Fatalf("length %d: got %d bytes back, %v", length, n, err)
		}
	}
}

// pattern is an endless stream whose every byte is known by its place.
type pattern struct{}

func (pattern) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

type checker struct{ t *testing.T }

func (c *checker) Write(p []byte) (int, error) {
	for i := range p {
		if p[i] != 'x' {
			c.t.Fatalf("byte %q in the body", p[i])
		}
	}
	return len(p), nil
}
