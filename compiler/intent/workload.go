package intent

import "github.com/meshc/meshc/compiler/diag"

// Workload says how pods get a proxy. A nil field was not written.
type Workload struct {
	Inject  *Value[bool]
	Capture *Capture
	Probes  *Probes
	Hold    *Value[bool]
	Drain   *Value[string]
	Proxy   *ProxyContainer
	At      diag.Range
}

// Capture says which connections go through the proxy. A list is nil where it
// was not written.
type Capture struct {
	ExcludeInbound       []Value[int]
	IncludeOutbound      []Value[string] // ranges of addresses
	ExcludeOutbound      []Value[string]
	ExcludeOutboundPorts []Value[int]
	UID                  *Value[int]
	Inbound, Outbound    *diag.Range // where the blocks stand
	At                   diag.Range
}

// Probes says what becomes of the kubelet's.
type Probes struct {
	Rewrite *Value[bool]
	At      diag.Range
}

// ProxyContainer is the container of a proxy.
type ProxyContainer struct {
	Image      *Value[string]
	AgentImage *Value[string]
	LogLevel   *Value[string] // debug | info | warn | error
	Resources  *Resources
	At         diag.Range
}

// Resources of a container.
type Resources struct {
	Requests, Limits *Quantities
	At               diag.Range
}

// Quantities as Kubernetes writes them.
type Quantities struct {
	CPU, Memory *Value[string]
	At          diag.Range
}
