package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// step is one commit of the routing lab and what it must do to requests.
type step struct {
	name    string
	files   map[string]string // path in the repository → new content
	user    string            // who is measured; "" = everybody who is not signed in
	split   map[string]float64
	delayed time.Duration // every measured answer takes at least this long
	rating  bool          // every measured answer misses its stars
	users   int           // how many users ask at once; more than 1,024 would meet the circuit breaker
	broken  string        // the place that meshc must name; the commit must change nothing
}

const reviewsFile, ratingsFile = "shop/reviews.cue", "shop/ratings.cue"

func reviews(routes string) string {
	return `package mesh

service: reviews: {
	owner: "team-catalog"
	ports: http: {number: 9080, protocol: "http"}
	versions: {v1: {}, v2: {}, v3: {}}
	uses: ratings: {}
` + routes + `	security: {mtls: "strict", allow: [{from: ["productpage"], methods: ["GET"]}]}
}
`
}

const jasonToV2 = `	routes: {
		jason: {match: [{headers: "end-user": exact: "jason"}], to: v2: 100}
		rest: to: %s
	}
`

func ratings(fault string) string {
	return `package mesh

service: ratings: {
	owner: "team-catalog"
	ports: http: {number: 9080, protocol: "http"}
	versions: v1: {}
	routes: {
		jason: {match: [{headers: "end-user": exact: "jason"}], to: v1: 100}
		rest: to: v1: 100
	}
` + fault + `	security: {mtls: "strict", allow: [{from: ["reviews"], methods: ["GET"]}]}
}
`
}

// steps of the lab, in order. until is the end of the injected faults.
func steps(until time.Time) []step {
	end := until.UTC().Format(time.RFC3339)
	all := func(v string) map[string]float64 { return map[string]float64{v: 1} }
	jason := fmt.Sprintf(jasonToV2, "{v1: 90, v2: 10}")
	return []step{
		{name: "all v1", files: map[string]string{reviewsFile: reviews("\troutes: all: to: v1: 100\n")}, split: all("v1")},
		{name: "90/10", files: map[string]string{reviewsFile: reviews("\troutes: all: to: {v1: 90, v2: 10}\n")}, split: map[string]float64{"v1": .9, "v2": .1}},
		{name: "jason to v2", files: map[string]string{reviewsFile: reviews(jason)}, user: "jason", split: all("v2")},
		{name: "7 s delay for jason", files: map[string]string{ratingsFile: ratings("\tfaults: slow: {on: \"jason\", delay: {fixed: \"7s\", percent: 100}, until: \"" + end + "\"}\n")},
			user: "jason", split: all("v2"), delayed: 7 * time.Second, users: 900},
		{name: "abort 500 for jason", files: map[string]string{ratingsFile: ratings("\tfaults: broken: {on: \"jason\", abort: {status: 500, percent: 100}, until: \"" + end + "\"}\n")},
			user: "jason", split: all("v2"), rating: true},
		{name: "50/50, faults gone", files: map[string]string{ratingsFile: ratings(""), reviewsFile: reviews("\troutes: all: to: {v1: 50, v3: 50}\n")},
			split: map[string]float64{"v1": .5, "v3": .5}},
		{name: "all v3", files: map[string]string{reviewsFile: reviews("\troutes: all: to: v3: 100\n")}, split: all("v3")},
		{name: "broken: syntax", files: map[string]string{reviewsFile: reviews("\troutes: all: to: {v1: \n")}, split: all("v3"), broken: reviewsFile},
		{name: "broken: version v9", files: map[string]string{reviewsFile: reviews("\troutes: all: to: v9: 100\n")}, split: all("v3"), broken: reviewsFile + ":8"},
		{name: "broken: weights 105", files: map[string]string{reviewsFile: reviews("\troutes: all: to: {v1: 90, v3: 15}\n")}, split: all("v3"), broken: reviewsFile + ":8"},
		{name: "fix: 20/80", files: map[string]string{reviewsFile: reviews("\troutes: all: to: {v2: 20, v3: 80}\n")}, split: map[string]float64{"v2": .2, "v3": .8}},
	}
}

// lab runs the steps against a running mesh.
type lab struct {
	ws       *workspace
	requests int
	upEnded  <-chan error
	ledger   ledger
	rows     []row
}

// row is one line of the table.
type row struct {
	step               step
	commit             string
	programmed         time.Duration
	proxies            string
	n                  int
	measured, expected string
	problems           []string
}

func (l *lab) run(ctx context.Context) error {
	if err := l.waitReady(ctx); err != nil {
		return err
	}
	anybody := startLoad(ctx, l.ws.gateway, "", 6, l.ledger.note)
	jason := startLoad(ctx, l.ws.gateway, "jason", 2, l.ledger.note)
	var failed error
	for _, s := range steps(time.Now().Add(6 * time.Hour)) {
		r, err := l.step(ctx, s)
		if err != nil {
			failed = fmt.Errorf("step %q: %w", s.name, err)
			break
		}
		l.rows = append(l.rows, *r)
		fmt.Fprintf(os.Stderr, "%-22s %s\n", s.name, r.measured)
	}
	anybody.end()
	jason.end()
	return errors.Join(failed, l.report())
}

// waitReady waits for the first commit on every proxy, and for the page.
func (l *lab) waitReady(ctx context.Context) error {
	head, err := l.ws.git("rev-parse", "HEAD")
	if err != nil {
		return err
	}
	deadline := time.Now().Add(60 * time.Second)
	probe := &load{url: "http://" + l.ws.gateway + "/api/v1/products/0", client: newProbeClient()}
	for time.Now().Before(deadline) && ctx.Err() == nil {
		select {
		case err := <-l.upEnded:
			return fmt.Errorf("meshc up ended: %v", err)
		case <-time.After(200 * time.Millisecond):
		}
		if _, code, err := l.ws.meshc("wait", head, "--timeout", "1s"); err != nil {
			return err
		} else if code == 0 && probe.ask(ctx).failed == "" {
			return nil
		}
	}
	out, _, _ := l.ws.meshc("status")
	return fmt.Errorf("the mesh was not ready within 60 s; meshc status:\n%s", out)
}

func (l *lab) step(ctx context.Context, s step) (*row, error) {
	for name, content := range s.files {
		if err := l.ws.edit(name, func(string) string { return content }); err != nil {
			return nil, err
		}
	}
	begin := time.Now()
	commit, err := l.ws.commit(s.name)
	if err != nil {
		return nil, err
	}
	r := &row{step: s, commit: commit[:8]}
	out, code, err := l.ws.meshc("wait", commit, "--timeout", "60s")
	if err != nil {
		return nil, err
	}
	r.programmed = time.Since(begin)
	r.proxies = strings.TrimSpace(out)
	if s.broken != "" {
		l.judgeBroken(r, code)
	} else if code != 0 {
		status, _, _ := l.ws.meshc("status")
		return nil, fmt.Errorf("meshc wait %s: exit status %d: %s\n%s", commit, code, out, status)
	}
	l.measure(ctx, r)
	return r, nil
}

// judgeBroken checks that a broken commit is refused, with its file and line
// in the status.
func (l *lab) judgeBroken(r *row, code int) {
	if code != 1 {
		r.problems = append(r.problems, fmt.Sprintf("meshc wait ended with status %d for a broken commit, not 1", code))
	}
	status, _, err := l.ws.meshc("status")
	if err != nil {
		r.problems = append(r.problems, err.Error())
	}
	if !strings.Contains(status, r.step.broken) {
		r.problems = append(r.problems, fmt.Sprintf("meshc status does not name %s:\n%s", r.step.broken, status))
	}
}

// measure asks until enough answers are in and compares them with the step.
func (l *lab) measure(ctx context.Context, r *row) {
	users := max(r.step.users, 16)
	var mu sync.Mutex
	var answers []answer
	full := make(chan struct{})
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	load := startLoad(ctx, l.ws.gateway, r.step.user, users, func(a answer) {
		l.ledger.note(a)
		mu.Lock()
		defer mu.Unlock()
		answers = append(answers, a)
		if len(answers) == l.requests {
			close(full)
		}
	})
	select {
	case <-full:
	case <-ctx.Done():
		r.problems = append(r.problems, "fewer requests than asked for were answered in 5 minutes")
	}
	load.end()
	r.judge(answers)
}

// judge compares answers with what the step promises. A share must lie within
// five standard deviations of its binomial; a share of 0 or 1 must be exact.
func (r *row) judge(answers []answer) {
	r.n = len(answers)
	counts := map[string]int{}
	var late, unrated, failed int
	for _, a := range answers {
		counts[a.version]++
		if a.took >= r.step.delayed {
			late++
		}
		if a.rating != "" {
			unrated++
		}
		if a.failed != "" {
			failed++
		}
	}
	for _, v := range []string{"v1", "v2", "v3"} {
		want, got := r.step.split[v], float64(counts[v])/float64(max(r.n, 1))
		if want > 0 || counts[v] > 0 {
			r.expected += fmt.Sprintf(" %s %.4g%%", v, want*100)
			r.measured += fmt.Sprintf(" %s %.4g%%", v, got*100)
		}
		if bound := 5 * math.Sqrt(want*(1-want)/float64(max(r.n, 1))); math.Abs(got-want) > bound {
			r.problems = append(r.problems, fmt.Sprintf("%s got %.3f %%, not %.3f %% ± %.3f %%", v, got*100, want*100, bound*100))
		}
	}
	r.judgeFault(late, unrated)
	if failed > 0 {
		r.problems = append(r.problems, fmt.Sprintf("%d measured requests failed", failed))
	}
	r.expected, r.measured = strings.TrimSpace(r.expected), strings.TrimSpace(r.measured)
}

func (r *row) judgeFault(late, unrated int) {
	if r.step.delayed > 0 {
		r.expected += fmt.Sprintf(", ≥ %v 100%%", r.step.delayed)
		r.measured += fmt.Sprintf(", ≥ %v %.4g%%", r.step.delayed, 100*float64(late)/float64(r.n))
		if late != r.n {
			r.problems = append(r.problems, fmt.Sprintf("%d of %d answers came before %v", r.n-late, r.n, r.step.delayed))
		}
	}
	want := 0
	if r.step.rating {
		want = r.n
		r.expected += ", no stars 100%"
		r.measured += fmt.Sprintf(", no stars %.4g%%", 100*float64(unrated)/float64(r.n))
	}
	if unrated != want {
		r.problems = append(r.problems, fmt.Sprintf("%d of %d answers had no stars, not %d", unrated, r.n, want))
	}
}

// report prints the table and says whether everything held.
func (l *lab) report() error {
	fmt.Printf("%-22s %-9s %-34s %-34s %8s %12s  %s\n", "step", "commit", "expected", "measured", "requests", "live after", "verdict")
	var bad []string
	for _, r := range l.rows {
		verdict := "ok"
		if len(r.problems) > 0 {
			verdict = "FAILED"
			bad = append(bad, r.step.name+": "+strings.Join(r.problems, "; "))
		}
		live := fmt.Sprintf("%.2f s", r.programmed.Seconds())
		if r.step.broken != "" {
			live = "refused"
		}
		fmt.Printf("%-22s %-9s %-34s %-34s %8d %12s  %s\n", r.step.name, r.commit, r.expected, r.measured, r.n, live, verdict)
	}
	fmt.Printf("requests over all commits: %d, failed: %d\n", l.ledger.total.Load(), l.ledger.failed.Load())
	if n := l.ledger.failed.Load(); n > 0 {
		bad = append(bad, fmt.Sprintf("%d requests failed, for example:\n  %s", n, strings.Join(l.ledger.examples, "\n  ")))
	}
	if len(l.rows) == 0 {
		bad = append(bad, "no step was run")
	}
	slices.Sort(bad)
	if len(bad) > 0 {
		return errors.New(strings.Join(bad, "\n"))
	}
	return nil
}
