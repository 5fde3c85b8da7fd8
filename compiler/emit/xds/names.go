package xds

import "fmt"

// Names of things that both a resource and the bootstrap speak of.
const (
	// AgentCluster is the static cluster of the local identity agent.
	AgentCluster = "meshc-agent"
	// ControllerCluster is the static cluster of the ADS server.
	ControllerCluster = "meshc-controller"
	// IdentitySecret is the workload's own certificate, served by the agent.
	IdentitySecret = "default"
	// RootSecret is the trust bundle as served by the agent.
	RootSecret = "ROOTCA"
	// GRPCProvider is the certificate provider instance that the bootstrap of
	// a grpc node must define.
	GRPCProvider = "default"
	// MetadataNamespace is the filter metadata key of a route's source.
	MetadataNamespace = "meshc.dev"
)

// OutboundName names the listener and the route configuration of one used
// service port.
func OutboundName(port uint16, host string) string {
	return ClusterName(port, "", host)
}

// ClusterName names one version of a service at one port; an external has the
// version "".
func ClusterName(port uint16, version, host string) string {
	return fmt.Sprintf("outbound|%d|%s|%s", port, version, host)
}

// InboundName names the listener, routes and cluster of a service's own port.
func InboundName(port uint16) string { return fmt.Sprintf("inbound|%d", port) }

// GatewayName names the listener and routes of one gateway port.
func GatewayName(port uint16) string { return fmt.Sprintf("gateway|%d", port) }

// BundleName names the trust bundle secret of a trust domain.
func BundleName(trustDomain string) string { return "bundle|" + trustDomain }
