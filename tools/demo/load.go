package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// answer is one response of the product page, as a user sees it.
type answer struct {
	begin   time.Time
	took    time.Duration
	version string // of reviews
	rating  string // why there are no stars, or ""
	failed  string // why the request counts as failed, or ""
}

// load is a number of users that ask for the page one request after the other.
type load struct {
	url    string
	user   string
	client *http.Client
	sink   func(answer)
	wg     sync.WaitGroup
	stop   context.CancelFunc
}

// startLoad lets n users called user ("" = nobody) ask the gateway until end.
func startLoad(ctx context.Context, gateway, user string, n int, sink func(answer)) *load {
	ctx, stop := context.WithCancel(ctx)
	l := &load{
		url: "http://" + gateway + "/api/v1/products/0", user: user, sink: sink, stop: stop,
		client: &http.Client{Transport: &http.Transport{MaxIdleConns: n, MaxIdleConnsPerHost: n}, Timeout: 30 * time.Second},
	}
	for range n {
		l.wg.Go(func() {
			for ctx.Err() == nil {
				// The request outlives the end of the load: cancelling it
				// would look like a failure.
				l.sink(l.ask(context.WithoutCancel(ctx)))
			}
		})
	}
	return l
}

// end lets every user finish the request at hand.
func (l *load) end() {
	l.stop()
	l.wg.Wait()
	l.client.CloseIdleConnections()
}

func (l *load) ask(ctx context.Context) answer {
	a := answer{begin: time.Now()}
	status, body, err := l.fetch(ctx)
	a.took = time.Since(a.begin)
	if err != nil {
		a.failed = err.Error()
		return a
	}
	var page struct {
		Reviews struct {
			Version string `json:"version"`
			Reviews []struct {
				Rating *struct {
					Error string `json:"error"`
				} `json:"rating"`
			} `json:"reviews"`
		} `json:"reviews"`
	}
	if status != http.StatusOK {
		a.failed = fmt.Sprintf("status %d: %.200s", status, body)
		return a
	}
	if err := json.Unmarshal(body, &page); err != nil {
		a.failed = "not the page: " + err.Error()
		return a
	}
	a.version = page.Reviews.Version
	for _, r := range page.Reviews.Reviews {
		if r.Rating != nil && r.Rating.Error != "" {
			a.rating = r.Rating.Error
		}
	}
	return a
}

func (l *load) fetch(ctx context.Context) (int, []byte, error) {
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

// ledger counts the answers of the background load over all commits.
type ledger struct {
	total, failed, ratingErrors atomic.Int64
	mu                          sync.Mutex
	examples                    []string
}

func (g *ledger) note(a answer) {
	g.total.Add(1)
	if a.rating != "" {
		g.ratingErrors.Add(1)
	}
	if a.failed == "" {
		return
	}
	g.failed.Add(1)
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.examples) < 10 {
		g.examples = append(g.examples, a.begin.Format(time.TimeOnly)+" "+a.failed)
	}
}

func newProbeClient() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
}
