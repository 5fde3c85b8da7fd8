package cluster

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/meshc/meshc/dataplane/snapshot"
	"github.com/meshc/meshc/dataplane/telemetry"
)

// fakeClock is time that a test moves.
type fakeClock struct {
	mu    sync.Mutex
	now   time.Duration
	alarm map[int]alarm
	next  int
}

type alarm struct {
	at time.Duration
	f  func()
}

func (c *fakeClock) Now() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) AfterFunc(d time.Duration, f func()) func() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.alarm == nil {
		c.alarm = map[int]alarm{}
	}
	c.next++
	id := c.next
	c.alarm[id] = alarm{c.now + d, f}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.alarm, id)
	}
}

// pass lets time pass, with whatever is to happen in it.
func (c *fakeClock) pass(d time.Duration) {
	end := c.Now() + d
	for {
		c.mu.Lock()
		first := -1
		for id, a := range c.alarm {
			if a.at <= end && (first < 0 || a.at < c.alarm[first].at || a.at == c.alarm[first].at && id < first) {
				first = id
			}
		}
		if first < 0 {
			c.now = end
			c.mu.Unlock()
			return
		}
		a := c.alarm[first]
		delete(c.alarm, first)
		c.now = a.at
		c.mu.Unlock()
		a.f()
	}
}

// bench is a State under test.
type bench struct {
	*State
	clock   *fakeClock
	list    []*Host
	changes int
	reg     *telemetry.Registry
}

func newBench(t *testing.T, n int, set func(*snapshot.Cluster)) *bench {
	c := &snapshot.Cluster{Name: "c", Outliers: &snapshot.Outliers{
		Interval: 10 * time.Second, Ejection: 30 * time.Second, MaxEjection: 100 * time.Second, MaxPercent: 100,
	}}
	set(c)
	for i := range n {
		c.Endpoints = append(c.Endpoints, snapshot.Endpoint{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 80), Weight: 1, Healthy: true})
	}
	b := &bench{clock: &fakeClock{}, reg: telemetry.New(1)}
	b.State = New(c, Deps{Clock: b.clock, Telemetry: b.reg, Changed: func() { b.changes++ }})
	b.Update(c)
	t.Cleanup(b.Close)
	for _, e := range c.Endpoints {
		b.list = append(b.list, b.Host(e.Addr))
	}
	return b
}

// well says who is, as "+" and "-".
func (b *bench) well() (out string) {
	for _, h := range b.list {
		if h.Well() {
			out += "+"
		} else {
			out += "-"
		}
	}
	return out
}

func (b *bench) expect(t *testing.T, what, want string) {
	t.Helper()
	if got := b.well(); got != want {
		t.Errorf("%s: %s, want %s", what, got, want)
	}
}

func repeat(n int, f func()) {
	for range n {
		f()
	}
}

func TestConsecutiveFailures(t *testing.T) {
	on := snapshot.Detector{Threshold: 3, Enforced: 100}
	off := snapshot.Detector{Threshold: 3}
	for name, c := range map[string]struct {
		set  func(*snapshot.Outliers)
		does func(h *Host)
		out  bool
	}{
		"5xx":                        {func(o *snapshot.Outliers) { o.Consecutive5xx = on }, func(h *Host) { repeat(3, func() { h.Answered(500, 500) }) }, true},
		"5xx, not in a row":          {func(o *snapshot.Outliers) { o.Consecutive5xx = on }, func(h *Host) { repeat(9, func() { h.Answered(500, 500); h.Answered(503, 503); h.Answered(200, 200) }) }, false},
		"5xx, not enforced":          {func(o *snapshot.Outliers) { o.Consecutive5xx = off }, func(h *Host) { repeat(9, func() { h.Answered(500, 500) }) }, false},
		"5xx of failures to connect": {func(o *snapshot.Outliers) { o.Consecutive5xx = on }, func(h *Host) { h.Failed(); h.TimedOut(); h.Answered(599, 599) }, true},
		"4xx":                        {func(o *snapshot.Outliers) { o.Consecutive5xx = on }, func(h *Host) { repeat(9, func() { h.Answered(499, 499) }) }, false},
		"chosen status":              {chosen(on), func(h *Host) { repeat(3, func() { h.Answered(429, 429) }) }, true},
		"of a chosen class":          {chosen(on), func(h *Host) { h.Answered(410, 410); h.Answered(419, 419); h.Answered(429, 429) }, true},
		"5xx that is not chosen":     {chosen(on), func(h *Host) { repeat(9, func() { h.Answered(500, 500) }) }, false},
		"chosen, good between":       {chosen(on), func(h *Host) { repeat(9, func() { h.Answered(429, 429); h.Answered(503, 503); h.Answered(420, 420) }) }, false},
		"failures to connect":        {chosen(on), func(h *Host) { repeat(3, h.Failed) }, true},
		"chosen, as gRPC means it":   {chosen(on), func(h *Host) { repeat(9, func() { h.Answered(200, 503) }) }, false},
		"chosen gateway": {func(o *snapshot.Outliers) {
			o.ConsecutiveGateway = on
			o.Failures = []snapshot.StatusRange{{From: 503, To: 504}}
		}, func(h *Host) { repeat(3, func() { h.Answered(503, 503) }) }, true},
		"gateway that is not chosen": {func(o *snapshot.Outliers) {
			o.ConsecutiveGateway = on
			o.Failures = []snapshot.StatusRange{{From: 503, To: 504}}
		}, func(h *Host) { repeat(9, func() { h.Answered(502, 502) }) }, false},
		"gateway":                  {func(o *snapshot.Outliers) { o.ConsecutiveGateway = on }, func(h *Host) { h.Answered(502, 502); h.Answered(503, 503); h.Answered(504, 504) }, true},
		"gateway, 500 between":     {func(o *snapshot.Outliers) { o.ConsecutiveGateway = on }, func(h *Host) { repeat(5, func() { h.Answered(502, 502); h.Answered(503, 503); h.Answered(500, 500) }) }, false},
		"local":                    {func(o *snapshot.Outliers) { o.SplitLocal, o.ConsecutiveLocal = true, on }, func(h *Host) { h.Failed(); h.TimedOut(); h.Failed() }, true},
		"local, connected between": {func(o *snapshot.Outliers) { o.SplitLocal, o.ConsecutiveLocal = true, on }, func(h *Host) { repeat(5, func() { h.Failed(); h.Failed(); h.Connected() }) }, false},
		"local apart from 5xx":     {func(o *snapshot.Outliers) { o.SplitLocal, o.Consecutive5xx = true, on }, func(h *Host) { repeat(9, h.Failed) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, 2, func(cl *snapshot.Cluster) { c.set(cl.Outliers) })
			c.does(b.list[0])
			if b.list[0].Well() == c.out || !b.list[1].Well() || (b.changes > 0) != c.out {
				t.Errorf("%s with %d notices", b.well(), b.changes)
			}
		})
	}
}

// An ejection lasts a multiple of the base time, up to the most, and the multiple
// goes down again while nothing happens.
func TestEjectionsGrow(t *testing.T) {
	b := newBench(t, 2, func(c *snapshot.Cluster) { c.Outliers.Consecutive5xx = snapshot.Detector{Threshold: 1, Enforced: 100} })
	h := b.list[0]
	for _, want := range []time.Duration{30, 60, 90, 100, 100} {
		h.Answered(500, 500)
		began := b.clock.Now()
		for !h.Well() {
			b.clock.pass(10 * time.Second)
		}
		if took := (b.clock.Now() - began) / time.Second; took != want {
			t.Errorf("out for %ds, want %ds", took, want)
		}
	}
	b.clock.pass(time.Hour)
	h.Answered(500, 500)
	b.clock.pass(29 * time.Second)
	b.expect(t, "after an hour of peace", "-+")
	b.clock.pass(11 * time.Second)
	b.expect(t, "and one base time more", "++")
}

func TestMaxPercent(t *testing.T) {
	fail := func(b *bench) {
		for _, h := range b.list {
			h.Answered(500, 500)
		}
	}
	for _, c := range []struct {
		n       int
		percent uint32
		always  bool
		out     int
	}{{10, 10, false, 1}, {10, 9, false, 0}, {10, 9, true, 1}, {4, 50, false, 2}, {3, 0, true, 1}, {3, 100, false, 3}, {2, 300, false, 2}} {
		b := newBench(t, c.n, func(cl *snapshot.Cluster) {
			cl.Outliers.Consecutive5xx = snapshot.Detector{Threshold: 1, Enforced: 100}
			cl.Outliers.MaxPercent, cl.Outliers.AlwaysOne = c.percent, c.always
		})
		fail(b)
		out := 0
		for _, h := range b.list {
			if !h.Well() {
				out++
			}
		}
		gauge := b.reg.Gauge("envoy_cluster_outlier_detection_ejections_active", telemetry.Label{Name: "envoy_cluster_name", Value: "c"}).Value()
		if out != c.out || int(gauge) != out {
			t.Errorf("%+v: %d are out, the gauge says %d", c, out, gauge)
		}
	}
}

func TestSuccessRate(t *testing.T) {
	// Envoy's own example: rates 50, 100, 100, 100, 100 have the mean 90 and the
	// deviation 20, so that 1.9 deviations below are 52.
	if got := leastRate([]judged{{success: 50}, {success: 100}, {success: 100}, {success: 100}, {success: 100}}, 1.9); got != 52 {
		t.Errorf("threshold %v, want 52", got)
	}
	for name, c := range map[string]struct {
		bad, requests int
		rate          snapshot.Rate
		failure       bool
		want          string
	}{
		"one far below":      {50, 100, snapshot.Rate{MinHosts: 5, MinRequests: 100, Factor: 1900, Enforced: 100}, false, "-++++"},
		"not far enough":     {50, 100, snapshot.Rate{MinHosts: 5, MinRequests: 100, Factor: 2100, Enforced: 100}, false, "+++++"},
		"too few requests":   {50, 99, snapshot.Rate{MinHosts: 5, MinRequests: 100, Factor: 1900, Enforced: 100}, false, "+++++"},
		"too few hosts":      {50, 100, snapshot.Rate{MinHosts: 6, MinRequests: 100, Factor: 1900, Enforced: 100}, false, "+++++"},
		"failure percentage": {50, 100, snapshot.Rate{MinHosts: 5, MinRequests: 50, Factor: 50, Enforced: 100}, true, "-++++"},
		"below it":           {49, 100, snapshot.Rate{MinHosts: 5, MinRequests: 50, Factor: 50, Enforced: 100}, true, "+++++"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, 5, func(cl *snapshot.Cluster) {
				if c.failure {
					cl.Outliers.FailurePercent = c.rate
					cl.Outliers.SuccessRate.MinHosts = 100
				} else {
					cl.Outliers.SuccessRate = c.rate
					cl.Outliers.FailurePercent.MinHosts = 100
				}
			})
			for i, h := range b.list {
				for n := range c.requests {
					if i == 0 && n < c.bad {
						h.Answered(500, 500)
					} else {
						h.Answered(200, 200)
					}
				}
			}
			b.expect(t, "before the interval is over", "+++++")
			b.clock.pass(10 * time.Second)
			b.expect(t, "after it", c.want)
			b.clock.pass(10 * time.Second)
			b.expect(t, "after one without requests", c.want)
		})
	}
}

// Endpoints that go take their ejection with them; those that stay keep theirs.
func TestUpdateKeepsWhoStays(t *testing.T) {
	b := newBench(t, 3, func(c *snapshot.Cluster) { c.Outliers.Consecutive5xx = snapshot.Detector{Threshold: 1, Enforced: 100} })
	b.list[0].Answered(500, 500)
	b.list[1].Answered(500, 500)
	less := *b.snap
	less.Endpoints = less.Endpoints[1:]
	b.Update(&less)
	if b.Host(b.snap.Endpoints[0].Addr) != nil || b.Host(b.snap.Endpoints[1].Addr) != b.list[1] || b.list[1].Well() || b.ejected != 1 {
		t.Errorf("%s, %d are out", b.well(), b.ejected)
	}
	b.list[0].Answered(500, 500) // of a request that was on its way
	if b.ejected != 1 {
		t.Error("an endpoint that is gone was ejected")
	}
	b.Update(b.snap)
	if !b.Host(b.snap.Endpoints[0].Addr).Well() {
		t.Error("an endpoint that comes back is judged by its past")
	}
}

// Nothing is reported after Close, whatever goes on.
func TestClosedStatesAreSilent(t *testing.T) {
	b := newBench(t, 3, func(c *snapshot.Cluster) { c.Outliers.Consecutive5xx = snapshot.Detector{Threshold: 1, Enforced: 100} })
	b.Close()
	b.list[0].Answered(500, 500)
	b.clock.pass(time.Hour)
	if b.changes != 0 {
		t.Error(b.changes)
	}
}

func TestManyLoops(t *testing.T) {
	b := newBench(t, 4, func(c *snapshot.Cluster) {
		c.Outliers.Consecutive5xx = snapshot.Detector{Threshold: 5, Enforced: 100}
		c.Outliers.MaxPercent = 50
	})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range 2000 {
				h := b.list[i%4]
				h.Begin()
				h.Answered(500+i%2, 500+i%2)
				h.Connected()
				h.Failed()
				h.End()
			}
		})
	}
	all.Go(func() { repeat(50, func() { b.clock.pass(time.Second) }) })
	all.Wait()
	for _, s := range b.Hosts() {
		if s.Active != 0 {
			t.Error(fmt.Sprint(s))
		}
	}
	if b.ejected > 2 {
		t.Errorf("%d of 4 are out", b.ejected)
	}
}

// chosen counts 429 and 410 to 419 as failures.
func chosen(d snapshot.Detector) func(*snapshot.Outliers) {
	return func(o *snapshot.Outliers) {
		o.Consecutive5xx, o.Failures = d, []snapshot.StatusRange{{From: 410, To: 420}, {From: 429, To: 430}}
	}
}
