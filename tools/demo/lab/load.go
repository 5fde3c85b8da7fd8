package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// Answer is one response of the product page, as a user sees it.
type Answer struct {
	Begin   time.Time
	Took    time.Duration
	Version string // of reviews
	Rating  string // why there are no stars, or ""
	Failed  string // why the request counts as failed, or ""
}

// Load is a number of users that ask for the page one request after the other.
type Load struct {
	url    string
	user   string
	client *http.Client
	sink   func(Answer)
	wg     sync.WaitGroup
	stop   context.CancelFunc
}

func newLoad(gateway, user string, n int, sink func(Answer)) *Load {
	return &Load{
		url: "http://" + gateway + "/api/v1/products/0", user: user, sink: sink,
		client: &http.Client{Transport: &http.Transport{MaxIdleConns: n, MaxIdleConnsPerHost: n}, Timeout: 30 * time.Second},
	}
}

// rampUp is the time between two users' first requests. Many new connections
// at once would measure TLS handshakes, on every hop, and not the mesh.
const rampUp = 5 * time.Millisecond

// StartLoad lets n users called user ("" = nobody) ask the gateway until End.
// sink gets every answer, from many goroutines.
func StartLoad(ctx context.Context, gateway, user string, n int, sink func(Answer)) *Load {
	l := newLoad(gateway, user, n, sink)
	ctx, l.stop = context.WithCancel(ctx)
	for i := range n {
		l.wg.Go(func() {
			select {
			case <-ctx.Done():
			case <-time.After(time.Duration(i) * rampUp):
			}
			for ctx.Err() == nil {
				// The request outlives the end of the load: cancelling it
				// would look like a failure.
				l.sink(l.ask(context.WithoutCancel(ctx)))
			}
		})
	}
	return l
}

// End lets every user finish the request at hand.
func (l *Load) End() {
	l.stop()
	l.wg.Wait()
	l.client.CloseIdleConnections()
}

// page is what is read of the product page.
type page struct {
	Reviews struct {
		Version string `json:"version"`
		Reviews []struct {
			Rating *struct {
				Error string `json:"error"`
			} `json:"rating"`
		} `json:"reviews"`
	} `json:"reviews"`
}

func (l *Load) ask(ctx context.Context) Answer {
	a := Answer{Begin: time.Now()}
	status, body, err := l.fetch(ctx)
	a.Took = time.Since(a.Begin)
	if err != nil {
		a.Failed = err.Error()
		return a
	}
	if status != http.StatusOK {
		a.Failed = fmt.Sprintf("status %d: %.200s", status, body)
		return a
	}
	var p page
	if err := json.Unmarshal(body, &p); err != nil {
		a.Failed = "not the page: " + err.Error()
		return a
	}
	a.Version = p.Reviews.Version
	for _, r := range p.Reviews.Reviews {
		if r.Rating != nil && r.Rating.Error != "" {
			a.Rating = r.Rating.Error
		}
	}
	return a
}

func (l *Load) fetch(ctx context.Context) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.url, nil)
	if err != nil {
		return 0, nil, err
	}
	if l.user != "" {
		req.Header.Set("end-user", l.user)
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

// Ledger counts answers. The zero value is empty and ready.
type Ledger struct {
	mu       sync.Mutex
	total    int
	failed   int
	examples []string // of failures
	versions map[string]int
}

// maxExamples bounds the failures that are told in full.
const maxExamples = 10

// Note takes an answer.
func (g *Ledger) Note(a Answer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.total++
	if a.Failed == "" {
		if g.versions == nil {
			g.versions = map[string]int{}
		}
		g.versions[a.Version]++
		return
	}
	g.failed++
	if len(g.examples) < maxExamples {
		g.examples = append(g.examples, fmt.Sprintf("%s after %v: %s", a.Begin.Format("15:04:05.000"), a.Took.Round(time.Millisecond), a.Failed))
	}
}

// Counts gives how many answers there were, how many of them failed, and
// examples of failures.
func (g *Ledger) Counts() (total, failed int, examples []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.total, g.failed, append([]string(nil), g.examples...)
}

// Version gives how many answers came from that version of reviews.
func (g *Ledger) Version(v string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.versions[v]
}
