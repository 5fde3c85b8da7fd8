package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// scenario is one way that requests go through a proxy. Start runs the proxy
// (one process, or two for mutual TLS) and gives the address of its first hop.
type scenario struct {
	name    string
	proxies []proxy
}

// proxy is one implementation in one scenario.
type proxy struct {
	name  string
	start func(ctx context.Context, b *bench) (*running, error)
}

// running is a started proxy: the address for the load and the processes whose
// CPU time counts, by hop.
type running struct {
	addr string
	hops []hop
	stop []func()
}

type hop struct {
	name string
	pids []int
}

func (r *running) end() {
	for _, f := range slices.Backward(r.stop) {
		f()
	}
}

// result of one measurement: CPU µs per request, by hop.
type result struct {
	requests int
	perHop   []float64
}

// measureAll takes rounds measurements of every proxy in turns, so that a
// noisy neighbour disturbs all alike.
func (b *bench) measureAll(ctx context.Context, s scenario) (string, error) {
	results := map[string][]result{}
	hops := map[string][]string{}
	for round := range b.rounds {
		for _, p := range s.proxies {
			r, names, err := b.measure(ctx, p)
			if err != nil {
				return "", fmt.Errorf("%s: %w", p.name, err)
			}
			b.note("%s round %d %-12s requests %d CPU µs/request %.2f", s.name, round+1, p.name, r.requests, r.perHop)
			results[p.name] = append(results[p.name], r)
			hops[p.name] = names
		}
	}
	return table(s, results, hops), nil
}

func (b *bench) measure(ctx context.Context, p proxy) (result, []string, error) {
	run, err := p.start(ctx, b)
	if err != nil {
		return result{}, nil, err
	}
	defer run.end()
	if err := waitHTTP(ctx, run.addr); err != nil {
		return result{}, nil, err
	}
	if _, err := b.wrk(ctx, run.addr, time.Second); err != nil { // warm up
		return result{}, nil, err
	}
	before, err := cpuOf(run.hops)
	if err != nil {
		return result{}, nil, err
	}
	n, err := b.wrk(ctx, run.addr, b.duration)
	if err != nil {
		return result{}, nil, err
	}
	after, err := cpuOf(run.hops)
	if err != nil {
		return result{}, nil, err
	}
	r := result{requests: n}
	var names []string
	for i := range after {
		r.perHop = append(r.perHop, float64((after[i]-before[i]).Microseconds())/float64(n))
		names = append(names, run.hops[i].name)
	}
	return r, names, nil
}

var (
	wrkRequests = regexp.MustCompile(`(\d+) requests in`)
	wrkTrouble  = regexp.MustCompile(`(?m)^\s*(Socket errors|Non-2xx).*$`)
)

// wrk loads addr and gives the number of answered requests. Any error is an
// error of the measurement: a proxy that refuses is cheap.
func (b *bench) wrk(ctx context.Context, addr string, d time.Duration) (int, error) {
	out, err := exec.CommandContext(ctx, b.paths.wrk, "-t1", "-c"+strconv.Itoa(b.conns),
		"-d"+strconv.Itoa(int(d.Seconds()))+"s", "--timeout", "10s", "http://"+addr+"/").CombinedOutput()
	b.note("%s", out)
	if err != nil {
		return 0, fmt.Errorf("wrk: %w\n%s", err, out)
	}
	if t := wrkTrouble.Find(out); t != nil {
		return 0, fmt.Errorf("wrk: %s", strings.TrimSpace(string(t)))
	}
	m := wrkRequests.FindSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("wrk printed no number of requests:\n%s", out)
	}
	return strconv.Atoi(string(m[1]))
}

// cpuOf gives user plus system time of each hop's processes.
func cpuOf(hops []hop) ([]time.Duration, error) {
	out := make([]time.Duration, len(hops))
	for i, h := range hops {
		for _, pid := range h.pids {
			d, err := cpuTime(pid)
			if err != nil {
				return nil, err
			}
			out[i] += d
		}
	}
	return out, nil
}

// cpuTime reads /proc/<pid>/schedstat of every thread: nanoseconds on a CPU,
// finer than the ticks of /proc/<pid>/stat.
func cpuTime(pid int) (time.Duration, error) {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, t := range tasks {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/schedstat", pid, t.Name()))
		if err != nil {
			return 0, err
		}
		ns, err := strconv.ParseInt(strings.Fields(string(raw))[0], 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(ns)
	}
	return sum, nil
}

// children of a master process (nginx): the workers do the work.
func children(pid int) []int {
	raw, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	var out []int
	for _, f := range strings.Fields(string(raw)) {
		if n, err := strconv.Atoi(f); err == nil {
			out = append(out, n)
		}
	}
	return out
}

func waitHTTP(ctx context.Context, addr string) error {
	deadline := time.Now().Add(15 * time.Second)
	for {
		last := probe(addr)
		if last == nil {
			return nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return fmt.Errorf("%s does not answer: %w", addr, last)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func probe(addr string) error {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(2 * time.Second))
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: bench\r\n\r\n")
	buf := make([]byte, 64)
	n, err := c.Read(buf)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(string(buf[:n]), "HTTP/1.1 200") {
		return fmt.Errorf("answered %q", buf[:n])
	}
	return nil
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// spawn starts a program that ends with this one; stop ends it.
func (b *bench) spawn(ctx context.Context, name string, args ...string) (*exec.Cmd, func(), error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = b.dir
	log, err := os.CreateTemp(b.dir, "log-*")
	if err != nil {
		return nil, nil, err
	}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, nil, errors.Join(err, log.Close())
	}
	stop := func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		_ = log.Close()
	}
	return cmd, stop, nil
}

// table prints medians and the ratio of each proxy's total to HAProxy's.
func table(s scenario, results map[string][]result, hops map[string][]string) string {
	total := func(r result) (sum float64) {
		for _, v := range r.perHop {
			sum += v
		}
		return sum
	}
	median := func(rs []result, f func(result) float64) float64 {
		var v []float64
		for _, r := range rs {
			v = append(v, f(r))
		}
		slices.Sort(v)
		return v[len(v)/2]
	}
	base := median(results["haproxy"], total)
	var out strings.Builder
	fmt.Fprintf(&out, "%s: CPU µs per request, median of %d\n", s.name, len(results["haproxy"]))
	for _, p := range s.proxies {
		rs := results[p.name]
		t := median(rs, total)
		fmt.Fprintf(&out, "  %-12s %6.1f   %.2f × haproxy", p.name, t, t/base)
		if len(hops[p.name]) > 1 {
			for i, h := range hops[p.name] {
				fmt.Fprintf(&out, "   %s %.1f", h, median(rs, func(r result) float64 { return r.perHop[i] }))
			}
		}
		out.WriteByte('\n')
	}
	return out.String()
}

// waitTCP waits until something listens on addr.
func waitTCP(ctx context.Context, addr string) error {
	deadline := time.Now().Add(15 * time.Second)
	for {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			return c.Close()
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}
