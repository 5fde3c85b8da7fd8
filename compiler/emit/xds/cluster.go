package xds

import (
	"fmt"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"

	"github.com/meshc/meshc/compiler/model"
)

// connectTimeout bounds TCP connect and TLS handshake: Envoy's own default,
// written out so that every data plane uses the same.
const connectTimeout = 5 * time.Second

// serviceClusters adds one cluster per version of s at port. Versions that no
// route names yet are there too: a later split finds its clusters warm.
func (e *emitter) serviceClusters(s *model.Service, port uint16) error {
	for i := range s.Versions {
		if err := e.versionCluster(s, s.Versions[i].Name, port); err != nil {
			return fmt.Errorf("service %s version %s: %w", s.Ref, s.Versions[i].Name, err)
		}
	}
	return nil
}

func (e *emitter) versionCluster(s *model.Service, version string, port uint16) error {
	name := model.ClusterName(port, version, s.Host)
	protocol := s.Port(port).Protocol
	socket, err := e.upstreamSocket(s, port, protocol)
	if err != nil {
		return err
	}
	ends, err := e.endpoints(name, s, version, port)
	if err != nil {
		return err
	}
	c := newCluster(name)
	c.TransportSocket = socket
	traffic := s.Version(version).Traffic
	setTraffic(c, traffic)
	if e.self.Role != model.RoleGRPC { // whose application speaks nothing else
		if err := setProtocol(c, protocol, traffic); err != nil {
			return err
		}
		c.Metadata = party(s.Ref, s.Host, version)
	}
	if e.opts.Static {
		inline(c, clusterv3.Cluster_STATIC, ends)
	} else {
		c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS}
		c.EdsClusterConfig = &clusterv3.Cluster_EdsClusterConfig{EdsConfig: overADS(), ServiceName: name}
		e.out.Endpoints = append(e.out.Endpoints, ends)
	}
	e.out.Clusters = append(e.out.Clusters, c)
	return nil
}

// upstreamSocket is nil for plaintext. A permissive server is asked for TLS:
// every client of the mesh has an identity.
func (e *emitter) upstreamSocket(s *model.Service, port uint16, p model.Protocol) (*corev3.TransportSocket, error) {
	switch {
	case s.ModeOn(port) == model.MTLSDisable:
		return nil, nil
	case e.self.Role == model.RoleGRPC:
		return grpcTLS(s.SPIFFEID)
	default:
		return e.clientTLS(s.SPIFFEID, s.Host, p)
	}
}

// externalCluster is reached in plaintext, or by TLS with a certificate of the
// web and not of the mesh.
func (e *emitter) externalCluster(x *model.External, p model.Port) error {
	name, port := model.ClusterName(p.Number, "", x.Host), p.Number
	c := newCluster(name)
	if len(x.Endpoints) == 0 {
		inline(c, clusterv3.Cluster_STRICT_DNS, assignment(name, socketAddress(x.Host, port)))
		c.DnsLookupFamily = clusterv3.Cluster_V4_PREFERRED
	} else {
		addrs, err := addresses(x.Endpoints)
		if err != nil {
			return fmt.Errorf("external %s: %w", x.Ref, err)
		}
		inline(c, clusterv3.Cluster_STATIC, assignment(name, addrs...))
	}
	setTraffic(c, x.Traffic)
	c.Metadata = party(x.Ref, x.Host, "")
	if t := x.TLSOn(port); t != nil {
		var err error
		if c.TransportSocket, err = e.externalSocket(t, p.Protocol); err != nil {
			return fmt.Errorf("external %s: %w", x.Ref, err)
		}
	}
	if err := announce(c, x.Announce); err != nil {
		return fmt.Errorf("external %s: %w", x.Ref, err)
	}
	if err := setProtocol(c, p.Protocol, x.Traffic); err != nil {
		return fmt.Errorf("external %s: %w", x.Ref, err)
	}
	e.out.Clusters = append(e.out.Clusters, c)
	return nil
}

func addresses(list []string) ([]*corev3.Address, error) {
	out := make([]*corev3.Address, 0, len(list))
	for _, s := range list {
		a, err := address(s)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

// inboundCluster is the application beside the proxy.
func (e *emitter) inboundCluster(s *model.Service, p model.Port) error {
	a, err := address(e.self.App[p.Number])
	if err != nil {
		return fmt.Errorf("application port %d: %w", p.Number, err)
	}
	c := newCluster(model.InboundName(p.Number))
	if err := setProtocol(c, p.Protocol, nil); err != nil {
		return err
	}
	c.Metadata = party(s.Ref, s.Host, "") // its version is the proxy's
	inline(c, clusterv3.Cluster_STATIC, assignment(c.Name, a))
	e.out.Clusters = append(e.out.Clusters, c)
	return nil
}

func newCluster(name string) *clusterv3.Cluster {
	return &clusterv3.Cluster{
		Name:           name,
		ConnectTimeout: duration(connectTimeout),
		LbPolicy:       clusterv3.Cluster_ROUND_ROBIN,
	}
}

func inline(c *clusterv3.Cluster, kind clusterv3.Cluster_DiscoveryType, ends *endpointv3.ClusterLoadAssignment) {
	c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: kind}
	c.LoadAssignment = ends
}
