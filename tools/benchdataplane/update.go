package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
)

const (
	updatePause = 3 * time.Second // between updates
	disturbed   = time.Second     // from the moment that an update is sent
)

// updated is what requests take while updates are applied, and between them.
type updated struct {
	applied           []time.Duration // until each update was acknowledged
	during, otherwise latency
	most              time.Duration // that a request took during updates
}

// measureUpdates has each proxy take updates of all its clusters, a version and
// another in turns, under a load at a fixed rate. Requests that begin within a second
// of an update are those that it may have disturbed.
func (b *bench) measureUpdates(ctx context.Context, s scenario) (string, error) {
	all := map[string][]updated{}
	for round := range b.rounds {
		for i := range s.by {
			p := s.by[(i+round)%len(s.by)]
			u, err := b.measureUpdate(ctx, s, p)
			if err != nil {
				return "", fmt.Errorf("%s: %w", p.name(), err)
			}
			b.note("%s round %d %-12s acknowledged after %v, at %d/s during updates p50 %v p99 %v most %v, otherwise p50 %v p99 %v",
				s.name, round+1, p.name(), u.applied, s.rate, u.during.p50, u.during.p99, u.most, u.otherwise.p50, u.otherwise.p99)
			all[p.name()] = append(all[p.name()], u)
		}
	}
	return updatesTable(s, all), nil
}

func updatesTable(s scenario, all map[string][]updated) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s: medians of %d; latency at %d/s of requests that begin within %v of an update of %d clusters, and of others\n",
		s.name, len(all[s.by[0].name()]), s.rate, disturbed, s.moving.services)
	for _, p := range s.by {
		rs := all[p.name()]
		mid := func(f func(updated) time.Duration) time.Duration {
			var v []time.Duration
			for _, r := range rs {
				v = append(v, f(r))
			}
			slices.Sort(v)
			return v[len(v)/2]
		}
		during, otherwise := mid(func(u updated) time.Duration { return u.during.p99 }), mid(func(u updated) time.Duration { return u.otherwise.p99 })
		fmt.Fprintf(&out, "  %-12s p99 %6d µs during, %6d µs otherwise, %.2f ×  most %6d µs  acknowledged after %4d ms\n", p.name(),
			during.Microseconds(), otherwise.Microseconds(), float64(during)/float64(otherwise),
			mid(func(u updated) time.Duration { return u.most }).Microseconds(),
			mid(func(u updated) time.Duration { return slices.Max(u.applied) }).Milliseconds())
	}
	return out.String()
}

func (b *bench) measureUpdate(ctx context.Context, s scenario, p implementation) (u updated, err error) {
	control, err := startPlane()
	if err != nil {
		return u, err
	}
	defer control.server.Stop()
	h := hop{traffic: s.moving, name: "proxy", upstream: b.backends.of(s.moving), plane: control}
	run, err := p.start(ctx, b, h)
	if err != nil {
		return u, err
	}
	defer run.end()
	if err := b.answers(ctx, s.moving, run.addr); err != nil {
		return u, err
	}
	if _, err := b.saturate(ctx, s.moving, run.addr, time.Second); err != nil { // warm up
		return u, err
	}
	var versions [2]*discoveryv3.DeltaDiscoveryResponse
	for i := range versions {
		list, err := clustersOf(h, strconv.Itoa(i+2))
		if err != nil {
			return u, err
		}
		versions[i] = &discoveryv3.DeltaDiscoveryResponse{TypeUrl: clusterType, Resources: list}
	}
	log := filepath.Join(b.dir, "updates.log")
	defer os.Remove(log)
	loaded := make(chan error, 1)
	go func() {
		_, err := b.h2load(ctx, s.moving, run.addr, "-c", strconv.Itoa(pacers), "-m", "8", "--rps", strconv.Itoa(s.rate/pacers),
			"-D", strconv.Itoa(int(max(b.duration, 3*updatePause).Seconds())), "--log-file", log)
		loaded <- err
	}()
	var at []time.Time
	for n := 0; ; n++ {
		select {
		case err := <-loaded:
			if err == nil && len(at) == 0 {
				err = errors.New("no update has been made")
			}
			if err != nil {
				return u, err
			}
			return u, u.read(log, at)
		case <-time.After(updatePause):
		}
		versions[n%2].Nonce = strconv.Itoa(n)
		at = append(at, time.Now())
		took, err := control.push(ctx, versions[n%2])
		if err != nil {
			return u, err
		}
		u.applied = append(u.applied, took.Round(time.Microsecond))
	}
}

// read sorts what h2load has logged by whether an update disturbed it.
func (u *updated) read(file string, at []time.Time) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	var during, otherwise []time.Duration
	for s := bufio.NewScanner(f); s.Scan(); {
		begin, took, err := readRequest(s.Text())
		if err != nil {
			return err
		}
		if slices.ContainsFunc(at, func(t time.Time) bool { return begin.After(t) && begin.Before(t.Add(disturbed)) }) {
			during = append(during, took)
		} else {
			otherwise = append(otherwise, took)
		}
	}
	if len(during) == 0 || len(otherwise) == 0 {
		return fmt.Errorf("h2load logged %d requests during updates, and %d others", len(during), len(otherwise))
	}
	u.during, u.otherwise = latencyOf(during), latencyOf(otherwise)
	u.most = slices.Max(during)
	return nil
}
