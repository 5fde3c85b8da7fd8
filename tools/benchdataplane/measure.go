package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// result of one measurement.
type result struct {
	requests   int       // when as many are asked for as are answered
	throughput float64   // requests/s of these
	perHop     []float64 // CPU µs per request of these, by hop
	rss        int64     // bytes of all hops afterwards
	paced      latency   // at the rate of the scenario
}

func (r result) cpu() (sum float64) {
	for _, v := range r.perHop {
		sum += v
	}
	return sum
}

// results are those of one scenario.
type results struct {
	of   map[string][]result // by implementation, one of each round
	hops map[string][]string // their names
}

// measureAll takes rounds measurements of every proxy in turns, so that a
// noisy neighbour disturbs all alike. Each round begins with another one: who
// comes first finds the machine rested.
func (b *bench) measureAll(ctx context.Context, s scenario) (string, error) {
	all := results{map[string][]result{}, map[string][]string{}}
	for round := range b.rounds {
		for i := range s.by {
			p := s.by[(i+round)%len(s.by)]
			r, names, err := b.measure(ctx, s, p)
			if err != nil {
				return "", fmt.Errorf("%s: %w", p.name(), err)
			}
			b.note("%s round %d %-12s requests %d, %.0f/s, CPU µs/request %.2f, RSS %.1f MiB, at %d/s p50 %v p99 %v",
				s.name, round+1, p.name(), r.requests, r.throughput, r.perHop, mebibytes(r.rss), s.rate, r.paced.p50, r.paced.p99)
			all.of[p.name()] = append(all.of[p.name()], r)
			all.hops[p.name()] = names
		}
	}
	return table(s, all), nil
}

func (b *bench) measure(ctx context.Context, s scenario, p implementation) (result, []string, error) {
	run, err := b.begin(ctx, s, p)
	if err != nil {
		return result{}, nil, err
	}
	defer run.end()
	if err := b.answers(ctx, s.moving, run.addr); err != nil {
		return result{}, nil, err
	}
	if _, err := b.saturate(ctx, s.moving, run.addr, time.Second); err != nil { // warm up
		return result{}, nil, err
	}
	var r result
	if s.rate > 0 {
		if r.paced, err = b.paced(ctx, s.moving, run.addr, s.rate); err != nil {
			return result{}, nil, err
		}
	}
	before, err := cpuOf(run.hops)
	if err != nil {
		return result{}, nil, err
	}
	if r.requests, err = b.saturate(ctx, s.moving, run.addr, b.duration); err != nil {
		return result{}, nil, err
	}
	after, err := cpuOf(run.hops)
	if err != nil {
		return result{}, nil, err
	}
	r.throughput = float64(r.requests) / b.duration.Seconds()
	var names []string
	for i := range after {
		r.perHop = append(r.perHop, float64((after[i]-before[i]).Microseconds())/float64(r.requests))
		names = append(names, run.hops[i].name)
	}
	r.rss, err = rssOf(run.hops)
	return r, names, err
}

// table prints medians, and the ratio of each proxy's CPU time to HAProxy's, or to
// that of the first where HAProxy is not among them.
func table(s scenario, all results) string {
	first := "haproxy"
	if all.of[first] == nil {
		first = s.by[0].name()
	}
	base := median(all.of[first], result.cpu)
	var out strings.Builder
	fmt.Fprintf(&out, "%s: medians of %d; CPU µs/request, requests/s at saturation, RSS", s.name, len(all.of[first]))
	if s.rate > 0 {
		fmt.Fprintf(&out, ", latency at %d/s", s.rate)
	}
	out.WriteByte('\n')
	for _, p := range s.by {
		rs := all.of[p.name()]
		cpu := median(rs, result.cpu)
		fmt.Fprintf(&out, "  %-12s %6.1f µs  %.2f × %s  %7.0f/s  %5.0f MiB", p.name(), cpu, cpu/base, first,
			median(rs, func(r result) float64 { return r.throughput }), median(rs, func(r result) float64 { return mebibytes(r.rss) }))
		if s.rate > 0 {
			fmt.Fprintf(&out, "  p50 %4.0f µs  p99 %5.0f µs", median(rs, func(r result) float64 { return float64(r.paced.p50.Microseconds()) }),
				median(rs, func(r result) float64 { return float64(r.paced.p99.Microseconds()) }))
		}
		if len(all.hops[p.name()]) > 1 {
			for i, h := range all.hops[p.name()] {
				fmt.Fprintf(&out, "  %s %.1f", h, median(rs, func(r result) float64 { return r.perHop[i] }))
			}
		}
		out.WriteByte('\n')
	}
	return out.String()
}

func median(rs []result, f func(result) float64) float64 {
	var v []float64
	for _, r := range rs {
		v = append(v, f(r))
	}
	slices.Sort(v)
	return v[len(v)/2]
}

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }
