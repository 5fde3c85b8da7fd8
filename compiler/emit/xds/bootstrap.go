package xds

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/meshc/meshc/compiler/model"
)

const httpOptions = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

// BootstrapOptions say where a proxy finds what it starts from.
type BootstrapOptions struct {
	NodeID      string         // "<role>~<namespace>/<workload id>"
	Cluster     string         // node.cluster: the service, as metrics of the proxy name it
	Version     string         // of the service, in node.metadata for the same; empty = none
	Locality    model.Locality // node.locality, for people who read it; zero = none
	Admin       string         // "ip:port" of the admin endpoint; empty = none
	AdminSocket string         // path of a unix socket for the admin endpoint instead
	AgentSocket string         // path of the unix socket of meshc-proxy agent

	// Controller is the "host:port" of the ADS server and ControllerID the
	// SPIFFE ID that it must show. A static bootstrap has neither.
	Controller   string
	ControllerID string

	// Envoy says that stock Envoy reads it, whose metrics get names and labels that
	// tell services apart; those of meshc-proxy have them.
	Envoy   bool
	Metrics *model.Metrics // what is counted; nil: the standard profile

	// Now and Commit are as in Options. A dynamic bootstrap has neither.
	Now    time.Time
	Commit string
}

// Bootstrap makes the bootstrap of a proxy that takes everything from the
// controller by delta ADS. An error names the option that is wrong.
func Bootstrap(o BootstrapOptions) (*bootstrapv3.Bootstrap, error) {
	out, err := base(o)
	if err != nil {
		return nil, err
	}
	controller, err := controllerCluster(o)
	if err != nil {
		return nil, err
	}
	out.StaticResources.Clusters = append(out.StaticResources.Clusters, controller)
	out.DynamicResources = &bootstrapv3.Bootstrap_DynamicResources{
		LdsConfig: overADS(),
		CdsConfig: overADS(),
		AdsConfig: apiSource(corev3.ApiConfigSource_DELTA_GRPC, ControllerCluster),
	}
	return out, nil
}

// StaticBootstrap makes one complete bootstrap of w that needs no controller:
// what Emit gives, inline, and the identity from the agent.
func StaticBootstrap(m *model.Mesh, w *model.Workload, all []*model.Workload, o BootstrapOptions) (*bootstrapv3.Bootstrap, error) {
	if w.Role == model.RoleGRPC {
		return nil, fmt.Errorf("workload %s/%s has the role grpc: it has no proxy to bootstrap", w.Service.Namespace, w.ID)
	}
	res, err := Emit(m, w, all, Options{Now: o.Now, Commit: o.Commit, Static: true})
	if err != nil {
		return nil, err
	}
	if err := res.Complete(); err != nil {
		return nil, fmt.Errorf("workload %s/%s: %w", w.Service.Namespace, w.ID, err)
	}
	o.NodeID, o.Cluster, o.Version, o.Locality = w.NodeID(), w.Service.String(), w.Version, w.Locality
	o.Envoy, o.Metrics = m.RunsEnvoy(w), m.MetricsOf(w)
	out, err := base(o)
	if err != nil {
		return nil, err
	}
	out.StaticResources.Listeners = res.Listeners
	out.StaticResources.Clusters = append(out.StaticResources.Clusters, res.Clusters...)
	return out, nil
}

// base is what both bootstraps have: node, admin and the agent's cluster.
func base(o BootstrapOptions) (*bootstrapv3.Bootstrap, error) {
	if o.NodeID == "" {
		return nil, fmt.Errorf("a bootstrap needs a node id")
	}
	agent, err := agentCluster(o.AgentSocket)
	if err != nil {
		return nil, err
	}
	out := &bootstrapv3.Bootstrap{
		Node:            &corev3.Node{Id: o.NodeID, Cluster: o.Cluster},
		LayeredRuntime:  expressions(),
		StaticResources: &bootstrapv3.Bootstrap_StaticResources{Clusters: []*clusterv3.Cluster{agent}},
	}
	if o.Version != "" {
		out.Node.Metadata = stringStruct(map[string]string{"version": o.Version})
	}
	out.StatsConfig = statsOf(o.Metrics, o.Envoy)
	if o.Locality != (model.Locality{}) {
		out.Node.Locality = localityProto(o.Locality)
	}
	switch {
	case o.AdminSocket != "":
		out.Admin = &bootstrapv3.Admin{Address: pipe(o.AdminSocket)}
	case o.Admin != "":
		at, err := address(o.Admin)
		if err != nil {
			return nil, fmt.Errorf("admin: %w", err)
		}
		out.Admin = &bootstrapv3.Admin{Address: at}
	}
	return out, nil
}

// regexBound lets Envoy take every expression that vet takes: by default it
// refuses those of more than 100 instructions, which a negated query parameter
// of six letters exceeds.
const regexBound = 1 << 20

func expressions() *bootstrapv3.LayeredRuntime {
	values := &structpb.Struct{Fields: map[string]*structpb.Value{"re2.max_program_size.error_level": structpb.NewNumberValue(regexBound)}}
	return &bootstrapv3.LayeredRuntime{Layers: []*bootstrapv3.RuntimeLayer{{
		Name: "meshc", LayerSpecifier: &bootstrapv3.RuntimeLayer_StaticLayer{StaticLayer: values},
	}}}
}

func agentCluster(socket string) (*clusterv3.Cluster, error) {
	if socket == "" {
		return nil, fmt.Errorf("a bootstrap needs the socket of the identity agent")
	}
	c, err := grpcCluster(AgentCluster)
	if err != nil {
		return nil, err
	}
	inline(c, clusterv3.Cluster_STATIC, assignment(c.Name, pipe(socket)))
	return c, nil
}

// controllerCluster takes certificate and roots from the agent: ADS itself
// cannot bring what authenticates ADS.
func controllerCluster(o BootstrapOptions) (*clusterv3.Cluster, error) {
	host, port, err := splitHostPort(o.Controller)
	if err != nil {
		return nil, fmt.Errorf("controller: %w", err)
	}
	if o.ControllerID == "" {
		return nil, fmt.Errorf("a bootstrap needs the SPIFFE ID of the controller")
	}
	c, err := grpcCluster(ControllerCluster)
	if err != nil {
		return nil, err
	}
	kind := clusterv3.Cluster_STATIC
	if _, err := netip.ParseAddr(host); err != nil {
		kind = clusterv3.Cluster_STRICT_DNS
		c.DnsLookupFamily = clusterv3.Cluster_V4_PREFERRED
	}
	inline(c, kind, assignment(c.Name, socketAddress(host, port)))
	c.TransportSocket, err = transportSocket(&tlsv3.UpstreamTlsContext{
		CommonTlsContext: mutualTLS(agentSecret(RootSecret), []string{"h2"}, exactly(o.ControllerID)),
	})
	return c, err
}

func splitHostPort(s string) (string, uint16, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", 0, fmt.Errorf("%q is not host:port: %w", s, err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || host == "" {
		return "", 0, fmt.Errorf("%q is not host:port", s)
	}
	return host, uint16(n), nil
}

// grpcCluster speaks HTTP/2, as gRPC needs.
func grpcCluster(name string) (*clusterv3.Cluster, error) {
	options, err := toAny(&httpv3.HttpProtocolOptions{
		UpstreamProtocolOptions: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_{
			ExplicitHttpConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig{
				ProtocolConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{
					Http2ProtocolOptions: &corev3.Http2ProtocolOptions{},
				},
			},
		},
	})
	if err != nil {
		return nil, err
	}
	c := newCluster(name)
	c.TypedExtensionProtocolOptions = map[string]*anypb.Any{httpOptions: options}
	return c, nil
}
