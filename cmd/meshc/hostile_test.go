package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// hostileMesh is a mesh that is made to be too much, and the same after a change.
type hostileMesh struct {
	before, after string
	beside        string // another file of both, "" for none
	rules         string // of policies, "" for none
}

// soaking says that hostile meshes have their whole size, and are given to all
// commands.
var soaking = os.Getenv("MESHC_SOAK") != ""

func hostileSize(whole int) int {
	if soaking {
		return whole
	}
	return max(4, whole/50)
}

// hostileRoutes are a service with such a list of routes, of which a change turns
// the last one round, and an expectation about every request.
func hostileRoutes(n int, protocol string, match func(int) string) hostileMesh {
	text := func(last string) string {
		var b strings.Builder
		fmt.Fprintf(&b, "package mesh\n\nservice: web: uses: a: {}\nservice: a: {\n\tports: main: {number: 80, protocol: %q}\n\tversions: {v1: {}, v2: {}}\n\troutes: {\n", protocol)
		for i := range n {
			fmt.Fprintf(&b, "\t\tr%d: {%s, to: v%d: 100}\n", i, match(i), 1+i%2)
		}
		fmt.Fprintf(&b, "\t\trest: to: %s: 100\n\t}\n\texpect: all: {every: [{}], notTo: [\"v2\"]}\n}\n", last)
		return b.String()
	}
	return hostileMesh{before: text("v1"), after: text("v2")}
}

// besideRoutes are more routes of the same service, which nothing orders among them.
func besideRoutes(n int, match func(int) string) string {
	var b strings.Builder
	b.WriteString("package mesh\n\nservice: a: routes: {\n")
	for i := range n {
		fmt.Fprintf(&b, "\tb%d: {%s, to: v%d: 100}\n", i, match(i), 1+i%2)
	}
	return b.String() + "}\n"
}

func ofManyKinds(i int) string {
	switch i % 4 {
	case 0:
		return match(`path: segmentPrefix: "/team-%d/s-%d", headers: "x-canary": exact: "%d"`, i%17, i, i%5)
	case 1:
		return match(`path: regex: "/team-%d/v[0-9]+/item-%d(/.*)?"`, i%17, i)
	case 2:
		return match(`path: exact: "/item/%d", method: ["GET", "HEAD"]`, i)
	}
	return match(`path: prefix: "/p%d", query: q: prefix: "%d"`, i, i%9)
}

// hostileSecurity are a service with such allow rules, of which a change takes the
// last one away.
func hostileSecurity(n int, more string, rule func(int) string) hostileMesh {
	text := func(n int) string {
		var b strings.Builder
		fmt.Fprintf(&b, "package mesh\n\nservice: web: uses: a: {}\nservice: a: {\n\tports: main: {number: 80, protocol: \"http\"}\n\tversions: v1: {}\n%s\n\tsecurity: allow: [\n", more)
		for i := range n {
			fmt.Fprintf(&b, "\t\t%s,\n", rule(i))
		}
		b.WriteString("\t]\n\texpect: all: {every: [{}], outcome: \"allowed\"}\n}\n")
		return b.String()
	}
	return hostileMesh{before: text(n + 1), after: text(n)}
}

func match(format string, args ...any) string { return fmt.Sprintf("match: [{"+format+"}]", args...) }

// hostile are meshes by what of them is too much.
var hostile = map[string]func() hostileMesh{
	"products of expressions": func() hostileMesh {
		return hostileRoutes(hostileSize(30), "http", func(i int) string { return match(`path: regex: "/.*a.{%d}b.*"`, i+3) })
	},
	"a huge expression": func() hostileMesh {
		return hostileRoutes(hostileSize(10), "http", func(i int) string { return match(`path: regex: "/.*a.{%d}"`, 890+i) })
	},
	"unicode": func() hostileMesh {
		return hostileRoutes(hostileSize(20), "http", func(i int) string { return match(`headers: x: regex: "(\\pL{1,%d}\\PL){1,3}"`, i%5+1) })
	},
	"substrings of one header": func() hostileMesh {
		return hostileRoutes(hostileSize(800), "http", func(i int) string { return match(`headers: x: contains: "v%d"`, i) })
	},
	"repetitions": func() hostileMesh {
		return hostileRoutes(hostileSize(30), "http", func(i int) string { return match(`path: regex: "(/a{%d})*"`, 2*i+3) })
	},
	"thousands of rules on one host": func() hostileMesh { return hostileRoutes(hostileSize(3000), "http", ofManyKinds) },
	"rules of two files": func() hostileMesh {
		m := hostileRoutes(hostileSize(1500), "http", ofManyKinds)
		m.beside = besideRoutes(hostileSize(1500), func(i int) string { return ofManyKinds(i + hostileSize(1500)) })
		return m
	},
	"expressions of two files": func() hostileMesh {
		m := hostileRoutes(hostileSize(100), "http", func(i int) string { return match(`path: regex: "/.*a.{%d}b.*"`, i%40+3) })
		m.beside = besideRoutes(hostileSize(100), func(i int) string { return match(`path: regex: "/.*c.{%d}(d|e).*"`, i%40+3) })
		return m
	},
	"deep negations": func() hostileMesh {
		return hostileRoutes(hostileSize(300), "http", func(i int) string {
			return match(`path: {regex: "/[a-f]*%d.*", not: true}, headers: {"x-%d": {prefix: "%d", not: true}, "y-%d": {contains: "%d", not: true}}, query: q: {suffix: "%d", not: true}`, i, i%40, i, i%30, i, i)
		})
	},
	"lists of exceptions": func() hostileMesh {
		return hostileRoutes(hostileSize(200), "http", func(i int) string {
			var except []string
			for k := range 20 {
				except = append(except, fmt.Sprintf(`{path: prefix: "/x%d/%d"}`, i, k))
			}
			return fmt.Sprintf(`match: [{headers: "x-%d": present: true}], except: [%s]`, i%50, strings.Join(except, ", "))
		})
	},
	"cookies times query": func() hostileMesh {
		return hostileRoutes(hostileSize(300), "http", func(i int) string {
			return match(`cookies: c%d: regex: "(s%d|t)[0-9a-f]+", query: q%d: contains: "v%d"`, i%30, i, i%31, i)
		})
	},
	"calls of gRPC": func() hostileMesh {
		return hostileRoutes(hostileSize(2000), "grpc", func(i int) string {
			if i%10 == 0 {
				return match(`path: regex: "/[a-z.]+\\.S%d/[A-Za-z]+"`, i%300)
			}
			return match(`grpc: {service: "shop.v%d.S%d", method: "Get%d"}`, i%5, i%300, i)
		})
	},
	"ranges": func() hostileMesh {
		return hostileRoutes(hostileSize(600), "http", func(i int) string {
			return match(`headers: {"x-v%d": range: {from: %d, to: %d}, "x-w%d": range: {from: %d, to: %d}}`, i%4, i*3, i*7+1000, i%3, i, 5000-i)
		})
	},
	"claims": func() hostileMesh {
		return hostileSecurity(hostileSize(400), "\tsecurity: jwt: login: {issuer: \"https://id.test\", required: true, jwks: file: \"/keys.json\"}", func(i int) string {
			return fmt.Sprintf(`{from: ["web"], claims: login: {"/realm/%d": {regex: "[a-z]*(admin|owner-%d)[a-z]*", not: %t}, sub: contains: "u%d"}}`, i%40, i, i%2 == 0, i)
		})
	},
	"addresses": func() hostileMesh {
		return hostileSecurity(hostileSize(2000), "", func(i int) string {
			return fmt.Sprintf(`{ips: ["10.%d.%d.0/24", "2001:db8:%x::/48"], notIPs: ["10.%d.%d.%d/32"], methods: ["GET"]}`, i%251, i/7%251, i, i%251, i/7%251, i%250)
		})
	},
	"paths of rules": func() hostileMesh {
		return hostileSecurity(hostileSize(60), "", func(i int) string {
			return fmt.Sprintf(`{from: ["web"], paths: [{regex: ".*a.{%d}b.*"}, {prefix: "/p%d"}], notPaths: [{regex: ".*c.{%d}"}], headers: x: regex: "y{%d}.*"}`, i+3, i, i+5, i)
		})
	},
	"hosts with wildcards": func() hostileMesh { return hostileHosts(hostileSize(400)) },
	"rate limits":          func() hostileMesh { return hostileLimits(hostileSize(200)) },
	"faults": func() hostileMesh {
		m := hostileRoutes(hostileSize(100), "http", func(i int) string { return match(`path: regex: "/[ab]*%d.*"`, i) })
		var faults strings.Builder
		for i := range hostileSize(100) {
			fmt.Fprintf(&faults, "service: a: faults: f%d: {on: \"r%d\", match: [{headers: x: regex: \".*a.{%d}b\"}, {path: regex: \".*b.{%d}\"}], abort: {status: 503, percent: 50}, until: \"2999-01-01T00:00:00Z\"}\n", i, i, i%20, i%15)
		}
		return hostileMesh{before: m.before + faults.String(), after: m.after + faults.String()}
	},
	"policies of a change": func() hostileMesh {
		m := hostileRoutes(hostileSize(300), "http", func(i int) string { return match(`path: prefix: "/p%d"`, i) })
		m.after = strings.ReplaceAll(m.after, "to: v1: 100", "to: {v1: 90, v2: 10}")
		m.rules = "package policies\n\napiVersion: \"meshc.dev/policy/v1\"\n\nrule: pairs: {\n\tover: \"change\"\n\twhy: \"it is many\"\n" +
			"\tdeny: [for e in change.entries for f in change.entries for s in e.shares for t in f.shares if s.after-s.before > t.after+100 {message: \"\\(e.route) and \\(f.route)\", service: e.ref, route: e.route}]\n}\n"
		return m
	},
}

// hostileHosts is a gateway with so many hosts, each with expressions.
func hostileHosts(n int) hostileMesh {
	text := func(last string) string {
		var listener, routes strings.Builder
		for i := range n {
			host := fmt.Sprintf("s%d.t%d.shop.test", i, i%19)
			if i%3 == 0 {
				host = fmt.Sprintf("*.t%d.u%d.shop.test", i%19, i)
			}
			fmt.Fprintf(&listener, "%q, ", host)
			fmt.Fprintf(&routes, "\t\tr%d: {hosts: [%q], match: [{path: regex: \"/.*a.{%d}b.*\"}, {headers: x: contains: \"%d\"}], to: %q}\n", i, host, i%17+3, i, "a")
		}
		return "package mesh\n\nservice: a: {ports: main: {number: 80, protocol: \"http\"}, versions: {v1: {}, v2: {}}, routes: all: to: " + last + ": 100, security: allow: [{from: [\"edge\"]}], expect: all: {every: [{}], notTo: [\"v2\"]}}\n" +
			"gateway: edge: {\n\tlisteners: web: {port: 8080, protocol: \"http\", hosts: [" + listener.String() + "\"*\"]}\n\troutes: {\n" + routes.String() + "\t\tall: to: \"a\"\n\t}\n}\n"
	}
	return hostileMesh{before: text("v1"), after: text("v2")}
}

// hostileLimits is a service with so many rate limits.
func hostileLimits(n int) hostileMesh {
	m := hostileRoutes(3, "http", func(i int) string { return match(`path: prefix: "/%d"`, i) })
	var limits strings.Builder
	for i := range n {
		fmt.Fprintf(&limits, "service: a: rateLimits: l%d: {match: [{path: regex: \"/.*a.{%d}b.*\"}, {headers: x: contains: \"%d\"}, {query: q: prefix: \"%d\"}], local: {requests: %d, per: \"1s\"}}\n", i, i%40, i, i, i+1)
	}
	return hostileMesh{before: m.before + limits.String(), after: m.after + limits.String()}
}

// most is what one command may take of a CPU, and of memory in KiB.
const (
	mostCPU    = 10 * time.Second
	mostMemory = 1 << 20
)

// TestHostileMeshesEnd runs the commands on meshes that are made to be too much,
// as processes: each ends in an answer, or says what it could not tell and where.
func TestHostileMeshesEnd(t *testing.T) {
	for i, name := range slices.Sorted(maps.Keys(hostile)) {
		t.Run(name, func(t *testing.T) {
			m := hostile[name]()
			dir := t.TempDir()
			for side, text := range map[string]string{"before": m.before, "after": m.after} {
				writeFiles(t, filepath.Join(dir, side), map[string]string{"a.cue": text, "b.cue": m.beside, "policies/rules.cue": m.rules})
			}
			commands := [][]string{{"vet", "after"}, {"diff", "before", "after"}, {"reach", "--to", "a", "--dir", "after"}, {"test", "after"}, {"reach", "--to", "a", "--dir", "after", "--base", "before"}}
			if !soaking {
				commands = commands[i%4 : i%4+1]
			}
			for _, args := range commands {
				endsInTime(t, dir, args)
			}
		})
	}
}

// writeFiles makes a mesh directory of these files and those that every mesh has;
// empty ones are left out.
func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	files["cue.mod/module.cue"] = "module: \"mesh.example\"\nlanguage: version: \"v0.17.0\"\n"
	files["mesh.cue"] = "package mesh\n\nimport m \"meshc.dev/mesh\"\n\nmesh: m.#Config\nservice: m.#Services\ngateway: m.#Gateways\nexternal: m.#Externals\n"
	for name, text := range files {
		if text == "" {
			continue
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func endsInTime(t *testing.T, dir string, args []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // the machine may be busy
	defer cancel()
	cmd := exec.CommandContext(ctx, "meshc", args...)
	cmd.Dir = dir
	var out, errw bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errw
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	status := cmd.ProcessState.ExitCode()
	took := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	memory := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss
	what := strings.Join(args, " ")
	text := out.String() + errw.String()
	t.Logf("%s: status %d, %v of a CPU, %d MiB: %s", what, status, took.Round(time.Millisecond), memory>>10, firstUnknown(text))
	if took > mostCPU || memory > mostMemory {
		t.Errorf("%s took %v of a CPU and %d MiB", what, took, memory>>10)
	}
	if status < 0 || status > 2 || strings.Contains(text, "MSH9001") || strings.Contains(text, "panic") {
		t.Errorf("%s: status %d, %.2000s", what, status, text)
	}
	unknown := strings.Contains(text, "not known: ")
	if status == 2 && !unknown && !strings.Contains(text, "NOT KNOWN in ") && !strings.Contains(text, "does not compile: ") {
		t.Errorf("%s could not tell, and does not say where: %.2000s", what, text)
	}
	if unknown && status != 2 && args[0] != "vet" { // vet's verdict is not about what it remarks
		t.Errorf("%s: status %d, and something is not known: %.2000s", what, status, text)
	}
}

// firstUnknown is the first line that says what is not known.
func firstUnknown(text string) string {
	for line := range strings.Lines(text) {
		if i := strings.Index(line, "not known: "); i >= 0 {
			return strings.TrimSpace(line[i:])
		}
	}
	return "all known"
}
