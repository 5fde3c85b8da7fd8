package xds

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

// BundleName names the trust bundle secret of a trust domain.
func BundleName(trustDomain string) string { return "bundle|" + trustDomain }
