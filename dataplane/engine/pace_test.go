package engine

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/meshc/meshc/dataplane/filter"
)

// slowed slows every response down, and counts the streams that are not over.
type slowed struct {
	rate int
	over chan struct{}
}

func (f *slowed) Name() string { return "slowed" }

func (f *slowed) OnRequest(s *filter.Stream) filter.Verdict {
	s.Pace, s.Over = f.rate, func() { f.over <- struct{}{} }
	return filter.Verdict{}
}

func TestResponsesAreSlowedDown(t *testing.T) {
	const size, rate = 40_000, 100_000 // 5,000 bytes in each slice of 50 ms
	m := newMesh(backend(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, size)) }))
	f := &slowed{rate, make(chan struct{}, 10)}
	m.chain.HTTP.Filters = []filter.HTTP{f}
	e := start(t, m)
	for name, c := range map[string]*http.Client{"HTTP/1.1": client(t), "HTTP/2": h2Client(t)} {
		begin := time.Now()
		resp, err := c.Get("http://" + addrOf(t, e, "in") + "/")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		// The first slice is there at once: seven remain.
		if took := time.Since(begin); err != nil || len(body) != size || took < 300*time.Millisecond {
			t.Errorf("%s: %d bytes in %v, %v", name, len(body), took, err)
		}
		<-f.over
	}
}
