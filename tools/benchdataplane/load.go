package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

var (
	wrkRequests = regexp.MustCompile(`(\d+) requests in`)
	wrkTrouble  = regexp.MustCompile(`(?m)^\s*(Socket errors|Non-2xx).*$`)
	h2Requests  = regexp.MustCompile(`requests: \d+ total, \d+ started, \d+ done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout`)
)

// saturate asks as fast as answers come, and gives how many came. Any error is an
// error of the measurement: a proxy that refuses is cheap.
func (b *bench) saturate(ctx context.Context, t traffic, addr string, d time.Duration) (int, error) {
	if t.h2 {
		return b.h2load(ctx, t, addr, "-c", "16", "-m", strconv.Itoa(max(1, b.conns/16)), "-D", strconv.Itoa(int(d.Seconds())))
	}
	args := []string{"-t1", "-c" + strconv.Itoa(b.conns), "-d" + strconv.Itoa(int(d.Seconds())) + "s", "--timeout", "10s"}
	if h := t.host(); h != "" {
		args = append(args, "-H", "Host: "+h)
	}
	out, err := exec.CommandContext(ctx, b.paths.wrk, append(args, "http://"+addr+t.url())...).CombinedOutput()
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

// h2load gives how many requests succeeded; none may fail.
func (b *bench) h2load(ctx context.Context, t traffic, addr string, args ...string) (int, error) {
	args = append([]string{"-t1"}, args...)
	if !t.h2 {
		args = append(args, "-p", "http/1.1")
	}
	if t.grpc {
		body, err := b.callBody()
		if err != nil {
			return 0, err
		}
		args = append(args, "-d", body, "-H", "content-type: application/grpc", "-H", "te: trailers")
	}
	if h := t.host(); h != "" {
		args = append(args, "-H", ":authority: "+h)
	}
	out, err := exec.CommandContext(ctx, b.paths.h2load, append(args, "http://"+addr+t.url())...).CombinedOutput()
	b.note("%s", lastLines(out, 14))
	if err != nil {
		return 0, fmt.Errorf("h2load: %w\n%s", err, out)
	}
	m := h2Requests.FindSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("h2load printed no number of requests:\n%s", out)
	}
	n, err := strconv.Atoi(string(m[1]))
	if err != nil || n == 0 || string(m[2]) != "0" || string(m[3]) != "0" || string(m[4]) != "0" {
		return 0, fmt.Errorf("h2load: %s", m[0])
	}
	return n, nil
}

func lastLines(out []byte, n int) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// latency of requests that come at a fixed rate whatever the answers take, as long
// as one of 16 connections (HTTP/2: of their streams) is free.
type latency struct{ p50, p99 time.Duration }

const pacers = 16

func (b *bench) paced(ctx context.Context, t traffic, addr string, rate int) (latency, error) {
	log := filepath.Join(b.dir, "paced.log")
	defer os.Remove(log)
	_, err := b.h2load(ctx, t, addr, "-c", strconv.Itoa(pacers), "-m", "8", "--rps", strconv.Itoa(rate/pacers),
		"-D", strconv.Itoa(int(b.duration.Seconds())), "--log-file", log)
	if err != nil {
		return latency{}, err
	}
	return readLatency(log)
}

// readLatency reads what h2load logs.
func readLatency(file string) (latency, error) {
	f, err := os.Open(file)
	if err != nil {
		return latency{}, err
	}
	defer f.Close()
	var all []time.Duration
	for s := bufio.NewScanner(f); s.Scan(); {
		_, took, err := readRequest(s.Text())
		if err != nil {
			return latency{}, err
		}
		all = append(all, took)
	}
	if len(all) == 0 {
		return latency{}, fmt.Errorf("h2load logged no request")
	}
	return latencyOf(all), nil
}

// readRequest reads a line that h2load logs for a request: when it began, in µs since
// 1970, its status and its duration in µs, between tabs.
func readRequest(line string) (begin time.Time, took time.Duration, err error) {
	fields := strings.Split(line, "\t")
	if len(fields) != 3 || fields[1] != "200" {
		return begin, 0, fmt.Errorf("h2load logged %q", line)
	}
	at, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return begin, 0, err
	}
	us, err := strconv.Atoi(fields[2])
	return time.UnixMicro(at), time.Duration(us) * time.Microsecond, err
}

// latencyOf sorts what requests took.
func latencyOf(all []time.Duration) latency {
	slices.Sort(all)
	return latency{p50: all[len(all)/2], p99: all[len(all)*99/100]}
}
