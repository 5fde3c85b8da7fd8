package gen

import (
	"fmt"
	"math/rand/v2"
	"path"
	"slices"

	"github.com/meshc/meshc/schema"
)

// LargeOptions say which large mesh. The same options always give the same
// files.
type LargeOptions struct {
	Services int    // how many
	PerDir   int    // services in one directory; 0 means 20
	Routes   int    // of a service, at least 3
	Seed     uint64 // which one of that size
}

// Shape of a large mesh. Services stand in tiers, and call the next one only:
// the graph has no circle and its depth does not grow with its size.
const (
	tiers       = 5
	fanOut      = 5
	perExternal = 100 // services
	perGateway  = 500 // services
	perComputed = 20  // directories: one in so many uses CUE's own means
)

// Large hands every file of a large mesh to write: 3 routes or more and 2
// versions a service, 5 calls, layers of constraints, and a share of directories whose
// CUE refers and computes. A copy of the schema is among the files, so that
// stock cue reads the mesh too. It stops at the first error of write.
func Large(o LargeOptions, write func(name, content string) error) error {
	if o.PerDir <= 0 {
		o.PerDir = 20
	}
	l := &large{LargeOptions: o, dice: rand.New(rand.NewPCG(o.Seed, 0x6c61726765)), write: write}
	l.frame()
	for i := range o.Services {
		l.service(i)
	}
	for i := 0; i < o.Services; i += perExternal {
		l.external(i)
	}
	for i := 0; i < o.Services; i += perGateway {
		l.gateway(i)
	}
	return l.err
}

// large is one large mesh while it is made.
type large struct {
	LargeOptions
	dice  *rand.Rand
	write func(name, content string) error
	err   error
}

func (l *large) file(name, content string) {
	if l.err == nil {
		l.err = l.write(name, content)
	}
}

func (l *large) chance(percent int) bool { return l.dice.IntN(100) < percent }

func (l *large) team(service int) string { return fmt.Sprintf("team-%04d", service/l.PerDir) }

func (l *large) dir(service int) string { return path.Join("prod", l.team(service)) }

func serviceName(i int) string { return fmt.Sprintf("svc-%05d", i) }

// ref names a service for any directory.
func (l *large) ref(i int) string { return l.team(i) + "/" + serviceName(i) }

// computed says that the directory of a service refers and computes.
func (l *large) computed(service int) bool { return service/l.PerDir%perComputed == perComputed/2 }

// frame writes the module, the schema for stock cue, and the layers.
func (l *large) frame() {
	l.file("cue.mod/module.cue", "module: \"large.example/mesh\"\nlanguage: version: \"v0.17.0\"\n")
	files := schema.Files()
	for _, name := range sorted(files) {
		l.file(path.Join(schema.VendorDir, name), string(files[name]))
	}
	l.file("mesh.cue", `package mesh

import m "meshc.dev/mesh"

mesh:     m.#Config
service:  m.#Services
gateway:  m.#Gateways
external: m.#Externals

mesh: {
	name:        "large"
	trustDomain: "large.example"
}
`)
	l.file("prod/env.cue", `package mesh

// Everything in production speaks mutual TLS.
service: [string]: security: mtls: "strict"
`)
	for i := 0; i < l.Services; i += l.PerDir {
		f := newSource()
		f.line("")
		f.line("namespace: %s", quote(l.team(i)))
		f.line("")
		f.line("// Who answers for what is in this directory.")
		f.line("service: [string]: owner: %s", quote(l.team(i)))
		if l.computed(i) {
			f.line("")
			f.line("_first: 8000")
			f.line("#Web: {ports: http: {number: _first + 80, protocol: \"http\"}, ...}")
		}
		l.file(path.Join(l.dir(i), "team.cue"), f.String())
	}
}

func sorted(files map[string][]byte) []string {
	var names []string
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (l *large) service(i int) {
	name := serviceName(i)
	f := newSource()
	f.line("")
	f.line("// %s is number %d of %d.", name, i, l.Services)
	f.open("service: " + quote(name))
	if l.computed(i) {
		f.line("#Web")
	} else {
		f.line("ports: http: {number: 8080, protocol: \"http\"}")
	}
	f.line("versions: {v1: {}, v2: labels: {version: \"v2\", track: \"canary\"}}")
	l.calls(f, i)
	f.open("routes")
	l.routes(f, name)
	f.close()
	if l.chance(15) {
		f.line("faults: slow: {on: \"list\", delay: {fixed: \"2s\", percent: 0.5}, until: %s}", quote(expiry))
	}
	if l.chance(30) {
		f.line("security: allow: [{from: [\"*\"], methods: [\"GET\", \"POST\"], paths: [{segmentPrefix: \"/%s\"}, {prefix: \"/\"}]}]", name)
	}
	f.close()
	l.file(path.Join(l.dir(i), name+".cue"), f.String())
}

// calls go to the next tier; the last one calls out of the mesh.
func (l *large) calls(f *source, i int) {
	tier := i % tiers
	next := (l.Services - tier + tiers - 2) / tiers // how many services the next tier has
	if tier == tiers-1 || next == 0 {
		if l.chance(50) {
			f.line("uses: %s: {}", quote(l.externalRef(i)))
		}
		return
	}
	f.open("uses")
	seen := map[int]bool{}
	for len(seen) < min(fanOut, next) {
		to := l.dice.IntN(next)*tiers + tier + 1
		if !seen[to] {
			seen[to] = true
			f.line("%s: {}", quote(l.ref(to)))
		}
	}
	f.close()
}

// routes are one by header, one by path and method, as many by path as are asked
// for, and one for the rest.
func (l *large) routes(f *source, name string) {
	f.open("beta")
	f.line("match: [{headers: \"x-user\": exact: \"beta\"}]")
	f.line("to: v2: 100")
	f.close()
	f.open("list")
	f.line("match: [")
	f.line("\t{path: prefix: \"/%s/list\", method: \"GET\", headers: \"x-user\": {exact: \"beta\", not: true}},", name)
	f.line("\t{path: exact: \"/%s\", method: [\"GET\", \"HEAD\"], headers: \"x-user\": {exact: \"beta\", not: true}},", name)
	f.line("]")
	f.line("to: v1: 100")
	f.line("timeout: \"3s\"")
	if l.chance(30) {
		f.line("requestHeaders: {set: \"x-list\": \"1\", remove: [\"x-debug\"]}")
	}
	f.close()
	for k := range l.Routes - 3 {
		f.line("item%02d: {match: [{path: segmentPrefix: \"/%s/item-%d\", headers: \"x-user\": {exact: \"beta\", not: true}}], to: v1: 100, timeout: \"%ds\"}", k, name, k, 2+k%3)
	}
	f.open("rest")
	whole := 80 + l.dice.IntN(20)
	f.line("to: {v1: %d, v2: %d}", whole, 100-whole)
	f.line("timeout: \"5s\"")
	if l.chance(50) {
		f.line("retries: {attempts: 1, on: [\"connect-failure\", \"503\"], perTry: \"1s\"}")
	}
	f.close()
}

func (l *large) externalRef(i int) string {
	first := i / perExternal * perExternal
	return fmt.Sprintf("%s/partner-%04d", l.team(first), i/perExternal)
}

func (l *large) external(i int) {
	n := i / perExternal
	f := newSource()
	f.open(fmt.Sprintf("external: \"partner-%04d\"", n))
	f.line("host: \"api.partner-%04d.example\"", n)
	f.line("ports: http: {number: 80, protocol: \"http\"}")
	f.line("timeout: \"2s\"")
	f.close()
	l.file(path.Join(l.dir(i), fmt.Sprintf("partner-%04d.cue", n)), f.String())
}

func (l *large) gateway(i int) {
	n := i / perGateway
	f := newSource()
	f.open(fmt.Sprintf("gateway: \"edge-%03d\"", n))
	f.line("listeners: http: {port: 8080, protocol: \"http\", hosts: [\"*.edge-%03d.example\"]}", n)
	f.open("routes")
	for k := range 5 {
		to := i + k*tiers
		if to >= l.Services {
			break
		}
		f.line("r%d: {match: [{path: segmentPrefix: \"/r%d\"}], to: %s}", k, k, quote(l.ref(to)))
	}
	f.close()
	f.close()
	l.file(path.Join(l.dir(i), fmt.Sprintf("edge-%03d.cue", n)), f.String())
}
