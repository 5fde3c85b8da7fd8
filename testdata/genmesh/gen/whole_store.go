package gen

import "fmt"

// writeStore adds a service and an external that speak gRPC alone and are
// reached through proxies, with what only HTTP/2 can do, and who calls both.
func (m *mesh) writeStore() {
	if !m.stored {
		return
	}
	f := newSource()
	f.open("service: store")
	f.line("namespace: \"shop\"")
	f.line("ports: rpc: {number: 9000, protocol: \"grpc\"}")
	f.line("uses: ledger: {}")
	f.line("versions: v1: %s", m.overHTTP2())
	f.line("traffic: %s", m.streams())
	f.close()
	f.line("service: teller: {namespace: \"shop\", versions: v1: {}, uses: {store: {}, ledger: {}}}")
	f.line("external: ledger: {namespace: \"shop\", host: \"ledger.example\", ports: rpc: {number: 9000, protocol: \"grpc\"}, traffic: %s}", m.streams())
	m.files["shop/store.cue"] = f.String()
}

func (m *mesh) overHTTP2() string {
	if m.chance(50) {
		return "{}"
	}
	return "traffic: " + m.streams()
}

func (m *mesh) streams() string {
	return fmt.Sprintf("{connections: {concurrentStreams: %d%s}, health: {grpc: {%s}, interval: \"5s\", timeout: \"1s\"}}", 1+m.dice.IntN(200), m.maybe(", "+m.pings()), m.maybe("service: \"shop.v1.Store\""))
}
