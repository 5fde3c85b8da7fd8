package model

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Injection says how the pods of a service get a proxy beside them. lower fills
// in every default but the images, which are the release's where they are "".
type Injection struct {
	Off bool // they get none, and nothing else here counts

	ExcludeInbound       []uint16       // ports that clients reach directly, sorted
	IncludeOutbound      []netip.Prefix // destinations that are captured, sorted; none = all
	ExcludeOutbound      []netip.Prefix // destinations that are reached directly, sorted
	ExcludeOutboundPorts []uint16       // sorted
	UID                  uint32         // user of the proxy

	KeepProbes bool // the kubelet's probes stay as they are
	Unheld     bool // the application does not wait for the proxy
	Drain      time.Duration

	Image      string
	AgentImage string
	LogLevel   string
	Requests   Quantities
	Limits     Quantities

	Origin Origin // of the service's own block, else the mesh's; zero: neither
}

// Quantities are amounts as Kubernetes writes them; "" is not said.
type Quantities struct{ CPU, Memory string }

// DefaultInjection is what a mesh gets that says nothing of pods. The user is
// the one that images know from other meshes; the drain leaves the kubelet 5 s
// of its own default of 30 s.
func DefaultInjection() Injection {
	return Injection{
		UID: 1337, Drain: 25 * time.Second, LogLevel: "info",
		Requests: Quantities{CPU: "50m", Memory: "64Mi"},
	}
}

// Settings lists what differs from the built-in defaults, and the limits.
func (i *Injection) Settings() []Setting {
	def, s := DefaultInjection(), &settings{at: i.Origin}
	if i.Off {
		s.add("inject", "false")
		return s.list
	}
	unless := func(name, value, usual string) {
		if value != usual {
			s.add(name, value)
		}
	}
	s.add("capture.inbound.exclude", joined(i.ExcludeInbound))
	s.add("capture.outbound.include", joined(i.IncludeOutbound))
	s.add("capture.outbound.exclude", joined(i.ExcludeOutbound))
	s.add("capture.outbound.excludePorts", joined(i.ExcludeOutboundPorts))
	if i.UID != def.UID {
		s.number("capture.uid", i.UID)
	}
	unless("probes.rewrite", strconv.FormatBool(!i.KeepProbes), "true")
	unless("hold", strconv.FormatBool(!i.Unheld), "true")
	if i.Drain != def.Drain {
		s.span("drain", i.Drain)
	}
	s.add("proxy.image", i.Image)
	s.add("proxy.agentImage", i.AgentImage)
	unless("proxy.logLevel", i.LogLevel, def.LogLevel)
	if i.Requests != def.Requests {
		s.add("proxy.resources.requests.cpu", unsaid(i.Requests.CPU))
		s.add("proxy.resources.requests.memory", unsaid(i.Requests.Memory))
	}
	s.add("proxy.resources.limits.cpu", i.Limits.CPU)
	s.add("proxy.resources.limits.memory", i.Limits.Memory)
	return s.list
}

// unsaid writes an amount that is not said where the default says one.
func unsaid(quantity string) string {
	if quantity == "" {
		return "none"
	}
	return quantity
}

func joined[T any](list []T) string {
	var out []string
	for _, v := range list {
		out = append(out, fmt.Sprint(v))
	}
	return strings.Join(out, ", ")
}
