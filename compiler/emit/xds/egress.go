package xds

import (
	"fmt"
	"slices"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/meshc/meshc/compiler/model"
)

// An egress gateway has one listener, on which services ask by the server name of
// their mutual TLS for a port of an external (model.External.EgressSNI). Each has
// a chain of its own, which takes the identities that declare to use it and no
// others, in the handshake and again in the RBAC filter, and goes on as a caller
// without a gateway would.

// egress gives an egress gateway the externals behind it.
func (e *emitter) egress(g *model.Gateway) error {
	at := e.self.Inbound[model.EgressPort]
	if at == "" {
		e.unplaced("egress port %d", model.EgressPort)
		return nil
	}
	bind, err := address(at)
	if err != nil {
		return fmt.Errorf("listener %s: %w", model.EgressName(), err)
	}
	out := &listenerv3.Listener{Name: model.EgressName(), Address: bind, TrafficDirection: corev3.TrafficDirection_OUTBOUND}
	for _, x := range e.mesh.Behind(g.Ref) {
		users := e.mesh.Users(x.Ref)
		if len(users) == 0 {
			continue // nobody may
		}
		for _, p := range x.Ports {
			chain, err := e.egressChain(x, p, []model.Rule{{Principals: users, Aliases: e.mesh.Aliases}})
			if err != nil {
				return fmt.Errorf("external %s: %w", x.Ref, err)
			}
			out.FilterChains = append(out.FilterChains, chain)
			if err := e.externalCluster(x, p); err != nil {
				return err
			}
		}
	}
	if len(out.FilterChains) == 0 {
		return nil
	}
	if out.ListenerFilters, err = tlsInspector(); err != nil {
		return err
	}
	e.addListener(out)
	return nil
}

func (e *emitter) egressChain(x *model.External, p model.Port, users []model.Rule) (*listenerv3.FilterChain, error) {
	if err := carried(x.Ref, p); err != nil {
		return nil, err
	}
	socket, err := e.serverTLS(p.Protocol, e.mayConnect(users, p.Number)...)
	if err != nil {
		return nil, err
	}
	filters, err := e.egressFilters(x, p, users)
	if err != nil {
		return nil, err
	}
	name := x.EgressSNI(p.Number)
	return &listenerv3.FilterChain{
		Name: name, TransportSocket: socket, Filters: filters,
		FilterChainMatch: &listenerv3.FilterChainMatch{TransportProtocol: "tls", ServerNames: []string{name}},
	}, nil
}

func (e *emitter) egressFilters(x *model.External, p model.Port, users []model.Rule) ([]*listenerv3.Filter, error) {
	name := model.OutboundName(p.Number, x.Host)
	if p.Protocol.Opaque() {
		guard, err := e.tcpAllow(name, users, p.Number)
		if err != nil {
			return nil, err
		}
		proxy, err := e.tcpProxy(outboundSide, name, nil, name, tcpIdle, true)
		return []*listenerv3.Filter{guard, proxy}, err
	}
	// The caller's side has the timeout; the gateway must not cut it short.
	route := everything("egress", name, &routev3.RouteAction{Timeout: duration(0), IdleTimeout: patience(&model.Route{Timeout: x.Timeout})})
	route.Metadata = e.metadata(x.Origin, "")
	rc := &routev3.RouteConfiguration{
		Name:         name,
		VirtualHosts: []*routev3.VirtualHost{virtualHost(name, []string{"*"}, []*routev3.Route{route})},
	}
	guard, err := e.allowFilter(users, p.Number)
	if err != nil {
		return nil, err
	}
	// outboundSide: who calls is nobody's business outside of the mesh.
	hcm, err := e.connectionManager(outboundSide, codec(p.Protocol), rc, guard)
	return []*listenerv3.Filter{hcm}, err
}

// reachExternal is the cluster by which callers reach an external.
func (e *emitter) reachExternal(x *model.External, p model.Port) error {
	if x.Via == nil {
		return e.externalCluster(x, p)
	}
	name := model.ClusterName(p.Number, "", x.Host)
	c := newCluster(name)
	c.Metadata = party(x.Ref, x.Host, "")
	var err error
	if c.TransportSocket, err = e.clientTLS(x.Via.SPIFFEID, x.EgressSNI(p.Number), p.Protocol); err != nil {
		return err
	}
	if err := setProtocol(c, p.Protocol, nil); err != nil {
		return err
	}
	ends, err := e.gateways(name, x.Via.Gateway)
	if err != nil {
		return fmt.Errorf("external %s: %w", x.Ref, err)
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

// gateways are the ready instances of an egress gateway.
func (e *emitter) gateways(cluster string, g model.Ref) (*endpointv3.ClusterLoadAssignment, error) {
	var addrs []string
	for _, w := range e.workloads[instance{service: g}] {
		if at := w.Inbound[model.EgressPort]; w.Ready && at != "" {
			addrs = append(addrs, at)
		}
	}
	slices.SortFunc(addrs, strings.Compare)
	list, err := addresses(slices.Compact(addrs))
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return &endpointv3.ClusterLoadAssignment{ClusterName: cluster}, nil
	}
	return assignment(cluster, list...), nil
}

// egressUsers are those who may use the externals behind w.
func (ix *index) egressUsers(w *model.Workload) [][]string {
	var out [][]string
	for _, x := range ix.mesh.Behind(w.Service) {
		out = append(out, ix.mesh.Users(x.Ref))
	}
	return out
}
