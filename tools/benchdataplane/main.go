// Command benchdataplane measures what forwarding costs: CPU time of the proxy's processes
// per request, throughput at saturation, latency at a fixed rate and memory, for
// meshc-proxy beside HAProxy, nginx and Envoy, one worker each, in one run. The load
// comes from wrk and h2load, the backend is nginx, for gRPC grpc-go. Raw output is
// kept below docs/evidence/bench-dataplane.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

func main() {
	duration := flag.Duration("duration", 6*time.Second, "how long one measurement lasts")
	rounds := flag.Int("rounds", 3, "measurements of each proxy, taken in turns")
	conns := flag.Int("connections", 64, "connections of the load")
	evidence := flag.String("evidence", "docs/evidence/bench-dataplane", "directory for the raw output")
	only := flag.String("only", "", "measure only the scenarios whose whole name this expression matches: "+names())
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	b := &bench{duration: *duration, rounds: *rounds, conns: *conns}
	var err error
	if b.only, err = regexp.Compile("^(" + *only + ")$"); err == nil {
		b.part = *only
		err = b.run(ctx, *evidence)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchdataplane:", err)
		os.Exit(1)
	}
}

// bench is one run.
type bench struct {
	duration time.Duration
	rounds   int
	conns    int
	only     *regexp.Regexp
	part     string // what only was made of; "" for everything

	dir      string
	paths    paths
	backends backends
	raw      strings.Builder
}

func names() string {
	var out []string
	for _, s := range scenarios() {
		out = append(out, s.name)
	}
	return strings.Join(out, ", ")
}

// paths of the programs that are measured or needed.
type paths struct{ meshc, haproxy, nginx, envoy, wrk, h2load string }

func findPaths() (paths, error) {
	p := paths{meshc: filepath.Join("bin", "meshc-proxy")}
	if _, err := os.Stat(p.meshc); err != nil {
		return p, fmt.Errorf("%s is not there: run make build", p.meshc)
	}
	cache := os.Getenv("MESHC_TOOLS")
	if cache == "" {
		cache = filepath.Join(os.Getenv("HOME"), ".cache", "meshc", "tools")
	}
	p.envoy = filepath.Join(cache, "bin", "envoy")
	if _, err := os.Stat(p.envoy); err != nil {
		return p, fmt.Errorf("envoy is not in the tool cache: run make tools")
	}
	for name, dst := range map[string]*string{"haproxy": &p.haproxy, "nginx": &p.nginx, "wrk": &p.wrk, "h2load": &p.h2load} {
		path, err := exec.LookPath(name)
		if err != nil {
			return p, fmt.Errorf("%s is not installed (Debian package %s): %w", name, cmp.Or(map[string]string{"h2load": "nghttp2-client"}[name], name), err)
		}
		*dst = path
	}
	return p, nil
}

func (b *bench) run(ctx context.Context, evidence string) error {
	var err error
	if b.paths, err = findPaths(); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "meshc-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	b.note("%s", machine())
	defer b.backends.end()
	if err := b.startBackends(ctx); err != nil {
		return err
	}
	var tables []string
	for _, s := range scenarios() {
		if b.part != "" && !b.only.MatchString(s.name) {
			continue
		}
		measure := b.measureAll
		if s.update {
			measure = b.measureUpdates
		}
		t, err := measure(ctx, s)
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", s.name, err, b.logs())
		}
		fmt.Println(t)
		tables = append(tables, t)
	}
	if len(tables) == 0 {
		return fmt.Errorf("no scenario is called %q: %s", b.part, names())
	}
	return b.keep(evidence, strings.Join(tables, "\n"))
}

// note adds a line to the raw output.
func (b *bench) note(format string, args ...any) {
	fmt.Fprintf(&b.raw, format+"\n", args...)
}

// keep writes the raw output down, named after the commit.
func (b *bench) keep(dir, summary string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	part := strings.Trim(regexp.MustCompile("[^a-z0-9]+").ReplaceAllString(b.part, "-"), "-")
	name := filepath.Join(dir, strings.TrimPrefix(part+"-"+commit(), "-")+".txt")
	if err := os.WriteFile(name, []byte(b.raw.String()+"\n"+summary), 0o644); err != nil {
		return err
	}
	fmt.Println("raw output:", name)
	return nil
}

func commit() string {
	out, err := exec.Command("git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// machine says where the figures come from.
func machine() string {
	out, _ := exec.Command("uname", "-srm").Output()
	cpu := "unknown CPU"
	raw, _ := os.ReadFile("/proc/cpuinfo")
	cores := 0
	for line := range strings.Lines(string(raw)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
			cpu = strings.TrimSpace(v)
			cores++
		}
	}
	return fmt.Sprintf("commit %s, %s, %d × %s", commit(), strings.TrimSpace(string(out)), cores, cpu)
}

// logs are the last lines that the programs printed, for a failed run.
func (b *bench) logs() string {
	files, _ := filepath.Glob(filepath.Join(b.dir, "log-*"))
	var out strings.Builder
	for _, f := range files {
		raw, _ := os.ReadFile(f)
		if len(raw) > 0 {
			fmt.Fprintf(&out, "%s:\n%s\n", filepath.Base(f), raw[max(0, len(raw)-2000):])
		}
	}
	return out.String()
}
