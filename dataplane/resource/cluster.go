package resource

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/proto"

	"github.com/meshc/meshc/dataplane/proxyprotocol"
	"github.com/meshc/meshc/dataplane/snapshot"
)

// Discovery says where a cluster's endpoints come from.
type Discovery uint8

// Discovery types.
const (
	Static Discovery = iota
	EDS
	StrictDNS
)

// Cluster is a decoded Cluster: Template is a snapshot.Cluster that still
// lacks its TLS configuration and its endpoints.
type Cluster struct {
	Template  snapshot.Cluster
	Discovery Discovery
	Family    Family                    // of StrictDNS
	Endpoints *Endpoints                // of Static and StrictDNS
	EDSName   string                    // of EDS
	TLS       *tlsv3.UpstreamTlsContext // nil: plaintext

	failures []snapshot.StatusRange // of the answers of endpoints; nil: 500 and above
}

// ResourceName implements Resource.
func (c *Cluster) ResourceName() string { return c.Template.Name }

// Secrets lists what the cluster's TLS context refers to.
func (c *Cluster) Secrets() []SecretRef { return secretRefs(c.TLS.GetCommonTlsContext()) }

// Family says which addresses of a name are used.
type Family uint8

// Families. Auto takes IPv6 addresses if there are any, else IPv4.
const (
	Auto Family = iota
	V4Only
	V6Only
	V4Preferred
	All
)

var families = map[clusterv3.Cluster_DnsLookupFamily]Family{
	clusterv3.Cluster_AUTO:         Auto,
	clusterv3.Cluster_V4_ONLY:      V4Only,
	clusterv3.Cluster_V6_ONLY:      V6Only,
	clusterv3.Cluster_V4_PREFERRED: V4Preferred,
	clusterv3.Cluster_ALL:          All,
}

func decodeCluster(m *clusterv3.Cluster) (Resource, error) {
	c, err := clusterOf(m)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func clusterOf(m *clusterv3.Cluster) (*Cluster, error) {
	c := &Cluster{Template: snapshot.Cluster{
		Name:           m.GetName(),
		ConnectTimeout: m.GetConnectTimeout().AsDuration(),
		Track: snapshot.Track{
			Budgets:   m.GetTrackClusterStats().GetTimeoutBudgets(),
			Sizes:     m.GetTrackClusterStats().GetRequestResponseSizes(),
			Endpoints: m.GetTrackClusterStats().GetPerEndpointStats(),
		},
	}}
	if err := c.discovery(m); err != nil {
		return nil, err
	}
	if err := c.options(m); err != nil {
		return nil, err
	}
	if err := c.limits(m); err != nil {
		return nil, err
	}
	if err := c.balance(m); err != nil {
		return nil, err
	}
	var err error
	if c.Template.Outliers, err = outliers(m.GetOutlierDetection()); err != nil {
		return nil, fmt.Errorf("outlier_detection: %w", err)
	}
	if c.Template.Outliers != nil {
		c.Template.Outliers.Failures = c.failures
	} else if c.failures != nil {
		return nil, errors.New("typed_extension_protocol_options: outlier_detection: error_matcher: nothing judges answers without the cluster's outlier_detection")
	}
	if c.Template.Health, err = healthChecks(m); err != nil {
		return nil, err
	}
	if h := c.Template.Health; h != nil && h.GRPC != nil && c.Template.Protocol != snapshot.UpstreamHTTP2 {
		return nil, errors.New("health_checks[0]: grpc_health_check: only of clusters that speak HTTP/2")
	}
	socket := m.GetTransportSocket()
	if c.Template.Announce, socket, err = announcing(socket); err != nil {
		return nil, fmt.Errorf("transport_socket: %w", err)
	}
	if c.TLS, err = upstreamTLS(socket); err != nil {
		return nil, fmt.Errorf("transport_socket: %w", err)
	}
	c.Template.Party = partyOf(m, c.TLS)
	c.Template.Digest, err = clusterDigest(m)
	return c, err
}

func (c *Cluster) discovery(m *clusterv3.Cluster) error {
	switch m.GetType() {
	case clusterv3.Cluster_STATIC, clusterv3.Cluster_STRICT_DNS:
		return c.inlineEndpoints(m)
	case clusterv3.Cluster_EDS:
		c.Discovery = EDS
		if m.GetLoadAssignment() != nil {
			return errors.New("load_assignment: not for an EDS cluster")
		}
		if err := overADS(m.GetEdsClusterConfig().GetEdsConfig()); err != nil {
			return fmt.Errorf("eds_cluster_config: eds_config: %w", err)
		}
		if c.EDSName = m.GetEdsClusterConfig().GetServiceName(); c.EDSName == "" {
			c.EDSName = m.GetName()
		}
		return nil
	}
	return fmt.Errorf("type: %v is not supported", m.GetType())
}

func (c *Cluster) inlineEndpoints(m *clusterv3.Cluster) (err error) {
	if m.GetEdsClusterConfig() != nil {
		return errors.New("eds_cluster_config: only for an EDS cluster")
	}
	dns := m.GetType() == clusterv3.Cluster_STRICT_DNS
	if dns {
		c.Discovery = StrictDNS
		c.Family = families[m.GetDnsLookupFamily()]
	}
	if c.Endpoints, err = endpointsOf(m.GetLoadAssignment(), dns); err != nil {
		return fmt.Errorf("load_assignment: %w", err)
	}
	return nil
}

// options reads the upstream HTTP protocol options, whatever their key: the
// type decides.
func (c *Cluster) options(m *clusterv3.Cluster) error {
	for key, packed := range m.GetTypedExtensionProtocolOptions() {
		o := new(httpv3.HttpProtocolOptions)
		if err := packed.UnmarshalTo(o); err != nil {
			return fmt.Errorf("typed_extension_protocol_options[%q]: %w", key, err)
		}
		if err := c.upstreamProtocol(o); err != nil {
			return fmt.Errorf("typed_extension_protocol_options[%q]: %w", key, err)
		}
		if d := o.GetOutlierDetection(); d != nil {
			var err error
			if c.failures, err = failureStatuses(d.GetErrorMatcher()); err != nil {
				return fmt.Errorf("typed_extension_protocol_options[%q]: outlier_detection: error_matcher: %w", key, err)
			}
		}
		if err := c.connectionOptions(o.GetCommonHttpProtocolOptions()); err != nil {
			return fmt.Errorf("typed_extension_protocol_options[%q]: common_http_protocol_options: %w", key, err)
		}
	}
	return nil
}

// clusterDigest covers everything but endpoints: pools survive what leaves it equal.
func clusterDigest(m *clusterv3.Cluster) (string, error) {
	bare := proto.Clone(m).(*clusterv3.Cluster)
	bare.LoadAssignment = nil
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(bare)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:]), nil
}

// ControlCluster is a static cluster of the bootstrap that serves gRPC to the
// proxy itself.
type ControlCluster struct {
	Name    string
	Network string   // "tcp" or "unix"
	Targets []string // "host:port", or one socket path
	TLS     *tlsv3.UpstreamTlsContext
}

// DecodeControlCluster reads the ADS or agent cluster of a bootstrap, which
// unlike others may be reached over a unix socket and speaks HTTP/2.
func DecodeControlCluster(m *clusterv3.Cluster) (*ControlCluster, error) {
	if err := Supported.Check(m); err != nil {
		return nil, fmt.Errorf("cluster %q: %w", m.GetName(), err)
	}
	c, err := controlCluster(m)
	if err != nil {
		return nil, fmt.Errorf("cluster %q: %w", m.GetName(), err)
	}
	return c, nil
}

func controlCluster(m *clusterv3.Cluster) (*ControlCluster, error) {
	c := &ControlCluster{Name: m.GetName(), Network: "tcp"}
	probe := proto.Clone(m).(*clusterv3.Cluster)
	probe.LoadAssignment = nil
	probe.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC}
	decoded, err := clusterOf(probe)
	if err != nil {
		return nil, err
	}
	if decoded.Template.Protocol != snapshot.UpstreamHTTP2 {
		return nil, errors.New("a gRPC cluster needs http2_protocol_options")
	}
	if decoded.Template.HTTP2 != (snapshot.HTTP2{}) {
		return nil, errors.New("http2_protocol_options: only empty ones are supported in a gRPC cluster of the bootstrap")
	}
	if decoded.Template.Announce != proxyprotocol.None {
		return nil, errors.New("transport_socket: no PROXY protocol in a gRPC cluster of the bootstrap")
	}
	c.TLS = decoded.TLS
	for _, group := range m.GetLoadAssignment().GetEndpoints() {
		for _, e := range group.GetLbEndpoints() {
			if err := c.target(e.GetEndpoint().GetAddress()); err != nil {
				return nil, err
			}
		}
	}
	if len(c.Targets) == 0 {
		return nil, errors.New("load_assignment: no address")
	}
	return c, nil
}

func (c *ControlCluster) target(a *corev3.Address) error {
	if pipe := a.GetPipe(); pipe != nil {
		if len(c.Targets) > 0 {
			return errors.New("load_assignment: a pipe must be the only address")
		}
		c.Network, c.Targets = "unix", []string{pipe.GetPath()}
		return nil
	}
	s := a.GetSocketAddress()
	if s == nil || c.Network == "unix" {
		return errors.New("load_assignment: only socket_address, or one pipe, is supported")
	}
	c.Targets = append(c.Targets, hostPort(s))
	return nil
}
