package interop

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"sync"
	"testing"
)

// share is what part of the requests to a path something happens to.
type share struct {
	of   func(*http.Response) bool
	want float64
}

func from(backend string) func(*http.Response) bool {
	return func(r *http.Response) bool { return r.Header.Get("x-served") == backend }
}

func status(code int) func(*http.Response) bool {
	return func(r *http.Response) bool { return r.StatusCode == code }
}

// shares measures splits and faults of each data plane: within five sigma of
// the binomial distribution.
func (b *bed) shares(t *testing.T) {
	n := scale(1000, 20_000)
	for path, list := range map[string][]share{
		"/w/90":       {{of: from("lab/v1"), want: 0.9}, {of: from("lab/v2"), want: 0.1}},
		"/w/0.01":     {{of: from("lab/v1"), want: 0.9999}, {of: from("lab/v2"), want: 0.0001}},
		"/w/3":        {{of: from("lab/v1"), want: 0.3333}, {of: from("lab/v2"), want: 0.3333}, {of: from("lab/v3"), want: 0.3334}},
		"/abort/some": {{of: status(500), want: 0.125}, {of: from("lab/v1"), want: 0.875 * 0.9}, {of: from("lab/v2"), want: 0.875 * 0.1}},
	} {
		for _, k := range kinds {
			t.Run(fmt.Sprintf("%s through %s", path, k), func(t *testing.T) {
				t.Parallel()
				measure(t, b.client(k, "lab"), path, n, list)
			})
		}
	}
}

func measure(t *testing.T, addr, path string, n int, list []share) {
	const connections = 4
	var mu sync.Mutex
	var wg sync.WaitGroup
	hits, total := make([]int, len(list)), 0
	for range connections {
		wg.Go(func() {
			mine, done, err := count(addr, path, n/connections, list)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			total += done
			for i := range mine {
				hits[i] += mine[i]
			}
		})
	}
	wg.Wait()
	for i, s := range list {
		mean := float64(total) * s.want
		// A rare event has no bell: at least a handful is within the bound.
		bound := max(5*math.Sqrt(mean*(1-s.want)), 5)
		if got := float64(hits[i]); math.Abs(got-mean) > bound {
			t.Errorf("share %d: %d of %d, want %.0f ± %.0f", i, hits[i], total, mean, bound)
		}
	}
}

// count sends n requests over one connection and counts what happens.
func count(addr, path string, n int, list []share) (hits []int, done int, err error) {
	hits = make([]int, len(list))
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return hits, 0, err
	}
	defer c.Close()
	in := bufio.NewReader(c)
	for ; done < n; done++ {
		if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nhost: lab\r\n\r\n", path); err != nil {
			return hits, done, err
		}
		r, err := http.ReadResponse(in, nil)
		if err != nil {
			return hits, done, err
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return hits, done, err
		}
		for i := range list {
			if list[i].of(r) {
				hits[i]++
			}
		}
	}
	return hits, done, nil
}
