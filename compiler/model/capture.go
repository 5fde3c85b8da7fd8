package model

// Ports of a proxy beside which a pod runs: the rules of the pod lead its
// connections there (`meshc-proxy capture`), and the kubelet asks at the last.
// They are the proxy's own in every pod, whatever the ports of its service.
const (
	CaptureOutboundPort uint16 = 15001
	CaptureInboundPort  uint16 = 15006
	HealthPort          uint16 = 15021
)

// DNSPort is never captured on the way out: names are asked for by UDP, which is
// not captured either, and by TCP where an answer is long.
const DNSPort uint16 = 53

// Capture says that the rules of a workload's pod lead connections to its proxy
// and from its application to two ports of the proxy, which looks where they
// were going. Clients then reach the pod at Workload.Inbound as if there were
// no proxy, the application calls addresses of services, and Workload.Outbound
// is empty.
type Capture struct {
	// Addresses of the pod: one, or one of IPv4 and one of IPv6.
	Addresses []string `json:"addresses"`
	// Outbound is where the application calls each used service port, all
	// addresses that the platform has for it; the key is OutboundKey. An external
	// without one is known by the name that the application asks for.
	Outbound map[string][]string `json:"outbound,omitempty"`
}

// CaptureOutboundName is the listener to which the application's connections are
// led, and its route configuration.
func CaptureOutboundName() string { return "outbound|" + portText(CaptureOutboundPort) }

// CaptureInboundName is the listener to which connections to the pod are led.
func CaptureInboundName() string { return InboundName(CaptureInboundPort) }

// ByNameName is the listener, and the route configuration, of connections to
// one port of externals that are known by name alone: "outbound|<port>".
func ByNameName(port uint16) string { return "outbound|" + portText(port) }
