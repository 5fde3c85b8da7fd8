// Package gen makes random meshes as CUE: a seed goes in, the files of a mesh
// directory that vets clean come out, and which constructs of the language
// they use. The same seed always gives the same mesh.
package gen

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"testing/fstest"
)

// Generated is one mesh.
type Generated struct {
	// Files by slash-separated path, cue.mod/module.cue among them.
	Files map[string]string
	// Constructs that occur, sorted: "path.exact", "fault.delay".
	Constructs []string
}

// FS gives the files as a file system rooted at the module root.
func (g *Generated) FS() fs.FS {
	out := make(fstest.MapFS, len(g.Files))
	for name, content := range g.Files {
		out[name] = &fstest.MapFile{Data: []byte(content), Mode: 0o644}
	}
	return out
}

// Constructs says what the mesh of seed uses, sorted.
func Constructs(seed uint64) []string { return Mesh(seed).Constructs }

// Mesh gives the mesh of seed: 5 to 12 services in two namespaces, perhaps a
// gateway, and one external.
func Mesh(seed uint64) *Generated { return generate(seed, kind{}) }

// kind says what a mesh may use.
type kind struct {
	envoy bool // also what only Envoy serves
	whole bool // every field of the schema
}

func generate(seed uint64, k kind) *Generated {
	m := &mesh{
		kind:       k,
		dice:       rand.New(rand.NewPCG(seed, 0x67656e)),
		files:      make(map[string]string),
		constructs: make(map[string]bool),
	}
	m.plan()
	m.root()
	for _, s := range m.services {
		if s.rpc {
			m.writeRPC(s)
			continue
		}
		m.write(s)
	}
	m.writeExternal()
	m.writeStore()
	m.writeTokens()
	m.writeCopies()
	if m.gateway {
		m.writeGateway()
	}
	m.writeCollector()
	m.writeExpectations(seed)
	m.writePolicies(seed)
	g := &Generated{Files: m.files}
	for c := range m.constructs {
		g.Constructs = append(g.Constructs, c)
	}
	slices.Sort(g.Constructs)
	return g
}

// mesh is one mesh while it is made.
type mesh struct {
	kind
	dice       *rand.Rand
	services   []*service
	gateway    bool
	behind     []*service // what the gateway leads to
	files      map[string]string
	constructs map[string]bool

	budget    bool // retries are limited by budgets, wherever they are
	allHashed bool // every service is hashed
	silent    bool // some access log is off
	audited   bool // somebody audits
	told      bool // somebody in front of the gateway tells who clients are
	allAdmin  bool // every service has a port for administration
	collects  bool // there is a collector of telemetry
	stored    bool // there is a store, which counts for global rate limits too
}

// service is what has to be known of a service before any is written.
type service struct {
	name, namespace string
	mtls            string // as written; "" = not
	ports           []string
	versions        []string
	uses            []string // references as written by this service
	callers         []string // full references "namespace/name"
	budget          bool     // retries have a budget
	hashed          bool     // all routes have hash keys, and all versions a policy that hashes
	rpc             bool     // an application that reads xDS itself
	upgrades        bool     // some route has upgrades
}

func (s *service) ref() string { return s.namespace + "/" + s.name }

// as gives the reference to s that a thing in namespace writes.
func (s *service) as(namespace string) string {
	if s.namespace == namespace {
		return s.name
	}
	return s.ref()
}

func (m *mesh) chance(percent int) bool { return m.dice.IntN(100) < percent }

func (m *mesh) pick(list ...string) string { return list[m.dice.IntN(len(list))] }

// use notes that a construct occurs.
func (m *mesh) use(construct string) { m.constructs[construct] = true }

// plan draws the services and who calls whom. Calls go from a lower to a
// higher number, so that they make no circle.
func (m *mesh) plan() {
	if m.whole {
		m.planWhole()
	}
	n := m.size()
	for i := range n {
		s := &service{
			name:      fmt.Sprintf("s%d", i),
			namespace: m.pick("shop", "shop", "pay"),
			mtls:      m.pick("", "strict", "strict", "permissive", "disable"),
			ports:     []string{"http"},
			versions:  []string{"v1", "v2", "v3"}[:1+m.dice.IntN(3)],
		}
		if m.chance(20) || m.allAdmin {
			s.ports = append(s.ports, "admin")
			m.use("ports.several")
		}
		m.services = append(m.services, s)
	}
	for i, s := range m.services {
		for _, to := range m.services[i+1:] {
			if m.chance(m.edges(n)) {
				s.uses = append(s.uses, to.as(s.namespace))
				to.callers = append(to.callers, s.ref())
				m.use("uses")
			}
		}
	}
	m.planGateway()
	if m.whole {
		m.planCalls()
	}
}

func (m *mesh) planGateway() {
	if m.gateway = m.chance(75) || m.whole; !m.gateway {
		return
	}
	m.use("gateway")
	m.behind = m.services[:1+m.dice.IntN(3)]
	for _, s := range m.behind {
		s.callers = append(s.callers, "shop/ingress")
	}
}

func (m *mesh) root() {
	m.files["cue.mod/module.cue"] = "module: \"generated.example/mesh\"\nlanguage: version: \"v0.17.0\"\n"
	domain := ""
	if m.chance(30) {
		domain = "\n\ttrustDomain: \"mesh.example.org\""
		m.use("trustDomain")
	}
	m.files["mesh.cue"] = `package mesh

import m "meshc.dev/mesh"

mesh:     m.#Config
service:  m.#Services
gateway:  m.#Gateways
external: m.#Externals

mesh: {
	name: "generated"` + domain + m.proxy() + m.config() + `
}
`
}

func (m *mesh) proxy() string {
	if !m.envoy {
		return ""
	}
	return "\n\tproxy: \"envoy\""
}
