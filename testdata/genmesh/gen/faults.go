package gen

import (
	"strconv"
	"strings"
)

// narrowFaults are for a part of the requests of the rest, for some callers, and
// bounded.
func (m *mesh) narrowFaults(f *source, s *service) {
	bound := ""
	if m.chance(50) {
		bound = "maxActive: " + strconv.Itoa(1+m.dice.IntN(9)) + ", "
		m.use("fault.maxActive")
	}
	end := bound + "until: " + quote(expiry) + "}"
	f.line("faults: slow: {on: \"rest\", %s%sdelay: {fixed: \"1s\", percent: 5}, %s", m.faultMatch(), m.faultFrom(s), end)
	if m.chance(60) {
		f.line("faults: thin: {on: \"rest\", %s%sbandwidth: {kibPerSecond: %s, percent: %s}, %s", m.faultMatch(), m.faultFrom(s), m.pick("1", "64", "1048576"), m.pick("100", "0.01"), end)
		m.use("fault.bandwidth")
	}
}

func (m *mesh) faultMatch() string {
	if !m.chance(60) {
		return ""
	}
	m.use("fault.match")
	return "match: [" + m.exceptions("fault") + "], "
}

func (m *mesh) faultFrom(s *service) string {
	names := s.surely()
	if len(names) == 0 || !m.chance(50) {
		return ""
	}
	m.use("fault.from")
	return "from: [" + strings.Join(names[:1+m.dice.IntN(len(names))], ", ") + "], "
}

// rpcFaults are of what grpc-go serves.
func (m *mesh) rpcFaults(f *source) {
	switch m.dice.IntN(3) {
	case 0:
		f.line("faults: slow: {on: \"rest\", delay: {fixed: \"1s\", percent: 5}, until: %s}", quote(expiry))
	case 1:
		f.line("faults: some: {on: \"rest\", match: [{grpc: {service: \"shop.v1.Cart\"%s}}], abort: {grpcStatus: %s, percent: 5}, until: %s}",
			m.pick("", `, method: "Add"`), quote(m.pick("unavailable", "internal", "data-loss", "cancelled")), quote(expiry))
	}
}
