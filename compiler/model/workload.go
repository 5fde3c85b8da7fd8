package model

import "strconv"

// Role of a proxy, first part of its node id.
type Role string

// Roles. A RoleGRPC node is an application that speaks xDS itself.
const (
	RoleSidecar Role = "sidecar"
	RoleGateway Role = "gateway"
	RoleGRPC    Role = "grpc"
)

// Workload is one running instance and where its parts listen. Discovery
// adapters produce it; emit turns it into listeners and endpoints. Addresses
// are "ip:port".
type Workload struct {
	ID      string `json:"id"`      // instance name, unique in its namespace: "reviews-v1-0"
	Role    Role   `json:"role"`    // sidecar, gateway or grpc
	Service Ref    `json:"service"` // the service, or the gateway for RoleGateway
	Version string `json:"version,omitempty"`
	// Locality is where it runs; zero when nobody says.
	Locality Locality `json:"locality,omitzero"`

	// Inbound is where peers reach this instance, by service port: the
	// sidecar's inbound listener, or the application itself for RoleGRPC. For
	// RoleGateway it is where each gateway port is bound.
	Inbound map[uint16]string `json:"inbound,omitempty"`
	// App is where the application listens, by service port (sidecar only).
	App map[uint16]string `json:"app,omitempty"`
	// Outbound is where the sidecar listens on behalf of the application for
	// one used service port; the key is OutboundKey.
	Outbound map[string]string `json:"outbound,omitempty"`
	// Capture, unless nil, says that connections are led to the sidecar.
	Capture *Capture `json:"capture,omitempty"`
	// Ready instances are given to peers as healthy endpoints.
	Ready bool `json:"ready"`
}

// NodeID is "<role>~<namespace>/<id>".
func (w *Workload) NodeID() string {
	return string(w.Role) + "~" + w.Service.Namespace + "/" + w.ID
}

// OutboundKey names a used service's port: "namespace/name:port".
func OutboundKey(r Ref, port uint16) string {
	return r.String() + ":" + strconv.Itoa(int(port))
}
