package gen

import "fmt"

// most draws how many connections a port takes, more than it has callers; "" for
// no limit. It follows the other fields of a port.
func (m *mesh) most() string {
	if !m.whole || m.chance(70) {
		return ""
	}
	return fmt.Sprintf(", maxConnections: %d", 100+m.dice.IntN(100_000))
}

// pings draws when a connection of HTTP/2 is asked for life.
func (m *mesh) pings() string {
	return m.pick(`pings: {interval: "30s", timeout: "5s"}`, `pings: {interval: "1s", timeout: "10ms"}`, `pings: {interval: "1h", timeout: "1h"}`)
}
