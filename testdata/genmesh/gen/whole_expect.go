package gen

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// expectSeed keeps what is expected of a mesh apart from the mesh: both are drawn
// from the same seed.
const expectSeed = 0x657870

// writeExpectations expects something of services, of gateways and of the mesh, by
// names that are there. Whether it holds is left to chance.
func (m *mesh) writeExpectations(seed uint64) {
	if !m.whole {
		return
	}
	m.dice = rand.New(rand.NewPCG(seed, expectSeed))
	files := map[string]*source{}
	in := func(namespace string) *source {
		if files[namespace] == nil {
			files[namespace] = newSource()
		}
		return files[namespace]
	}
	for _, s := range m.services {
		if m.chance(30) {
			m.expectService(in(s.namespace), s)
		}
	}
	if m.gateway {
		m.expectEdge(in("shop"), "ingress", m.behind[0])
	}
	if strings.Contains(m.files["shop/tokens.cue"], "gateway: members") {
		m.expectTokens(in("shop"))
	}
	for namespace, f := range files {
		m.files[namespace+"/expect.cue"] = f.String()
	}
	if m.chance(40) {
		m.expectMesh()
	}
}

func (m *mesh) expectService(f *source, s *service) {
	port := "http"
	if s.rpc {
		port = "rpc"
	}
	f.open("service: " + s.name + ": expect")
	defer f.close()
	caller := m.caller(s)
	f.line("one: {port: %s, request: {from: %s%s}, %s}", quote(port), quote(caller), m.example(), m.sentOn(m.share(s)))
	f.line("\"what it is\": {request: {from: %s%s}, port: %s, %s}", quote(caller), m.maybe(", host: "+quote(s.name+".example")), quote(port),
		m.pick(`outcome: "allowed"`, `outcome: "denied", status: 403`, `location: "http://a.example/"`, `status: 302`, `notTo: ["`+s.versions[0]+`"]`))
	every := m.exceptions("expect")
	if s.rpc {
		every = `{grpc: {service: "shop.v1.Cart"` + m.maybe(`, method: "Get"`) + "}}"
	}
	f.line("every: {every: [%s]%s%s, %s}", every, m.maybe(", from: ["+quote(caller)+"]"), m.maybe(", port: "+quote(port)),
		m.pick(`notTo: ["`+s.versions[0]+`"]`, m.sentOn(m.share(s)), `status: 503`, `outcome: "not-declared"`))
	f.line("inside: reachedBy: only: %s", list(s.writtenCallers()))
}

// caller is one that declares to call s, or s itself, which does not.
func (m *mesh) caller(s *service) string {
	if len(s.callers) > 0 && m.chance(80) {
		if name := strings.TrimPrefix(s.callers[0], s.namespace+"/"); name != "ingress" && name != "shop/ingress" {
			return name
		}
	}
	return s.name
}

func (m *mesh) share(s *service) string {
	if len(s.versions) > 1 && m.chance(50) {
		return fmt.Sprintf("to: {%s: 99.5, %s: 0.5}", s.versions[0], s.versions[1])
	}
	return fmt.Sprintf("to: %s: 100", s.versions[0])
}

// sentOn is what one expects of requests that are sent on.
func (m *mesh) sentOn(to string) string {
	return to + m.maybe(`, outcome: "allowed"`) + m.maybe(`, timeout: "3s"`) + m.maybe(", retries: 2") + m.maybe(", faults: "+m.pick("true", "false"))
}

// example is the rest of one request.
func (m *mesh) example() string {
	return m.maybe(`, method: "POST"`) + m.maybe(`, path: "/a/b"`) + m.maybe(`, query: q: "1"`) + m.maybe(`, headers: "X-User": "ann"`) +
		m.maybe(`, cookies: user: "ann"`) + m.maybe(`, ip: "10.0.0.1"`)
}

func (m *mesh) expectEdge(f *source, name string, behind *service) {
	f.open("gateway: " + name + ": expect")
	defer f.close()
	service := behind.as("shop")
	f.line("one: {listener: \"http\", request: {host: \"www.example.org\"%s}, service: %s, %s}", m.example(), quote(service), m.sentOn(m.share(behind)))
	f.line("two: {listener: \"http\", request: host: \"www.example.org\", %s}", m.pick(`outcome: "no-route", status: 404`, `location: "http://a.example/"`, `notServices: [`+quote(service)+`]`))
	if m.told {
		f.line("told: {listener: \"balanced\", request: {host: \"www.example.org\", clientIP: \"192.0.2.1\"}, faults: false}")
	}
	f.line("every: {every: [%s]%s, %s}", m.exceptions("expect"), m.maybe(`, listener: "http"`), m.pick(`status: 404`, "notServices: ["+quote(service)+"]", "service: "+quote(service)))
}

func (m *mesh) expectTokens(f *source) {
	f.line("service: member: expect: token: {request: {from: \"guard\", claims: inner: sub: \"ann\"}, outcome: \"not-declared\"}")
	f.line("gateway: members: expect: token: {request: {host: \"a.example\", claims: outer: {sub: \"ann\"}}, outcome: \"allowed\"}")
	f.line("gateway: members: expect: every: {every: [{claims: outer: %s}], faults: false}", m.claims())
}

func (m *mesh) expectMesh() {
	first, last := m.services[0], m.services[len(m.services)-1]
	f := newSource()
	f.open("mesh: expect")
	f.line("inside: {services: [%s], reachedBy: only: [%s]}", quote(last.ref()), quote(first.ref()))
	f.line("\"not from there\": {services: [%s], notReachedFrom: [%s], exceptThrough: [%s]}", quote(first.ref()), quote(last.ref()), quote(m.services[1].ref()))
	f.close()
	m.files["expect.cue"] = f.String()
}
