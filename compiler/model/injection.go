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

// Settings lists what the injection comes to, but for built-in defaults.
func (i *Injection) Settings() []Setting {
	s := &settings{at: i.Origin}
	if i.Origin.IsZero() {
		return nil
	}
	if i.Off {
		s.add("inject", "false")
		return s.list
	}
	s.add("capture.inbound.exclude", joined(i.ExcludeInbound))
	s.add("capture.outbound.include", joined(i.IncludeOutbound))
	s.add("capture.outbound.exclude", joined(i.ExcludeOutbound))
	s.add("capture.outbound.excludePorts", joined(i.ExcludeOutboundPorts))
	s.number("capture.uid", i.UID)
	s.add("probes.rewrite", strconv.FormatBool(!i.KeepProbes))
	s.add("hold", strconv.FormatBool(!i.Unheld))
	s.span("drain", i.Drain)
	s.add("proxy.image", i.Image)
	s.add("proxy.agentImage", i.AgentImage)
	s.add("proxy.logLevel", i.LogLevel)
	s.add("proxy.resources.requests.cpu", i.Requests.CPU)
	s.add("proxy.resources.requests.memory", i.Requests.Memory)
	s.add("proxy.resources.limits.cpu", i.Limits.CPU)
	s.add("proxy.resources.limits.memory", i.Limits.Memory)
	return s.list
}

func joined[T any](list []T) string {
	var out []string
	for _, v := range list {
		out = append(out, fmt.Sprint(v))
	}
	return strings.Join(out, ", ")
}
