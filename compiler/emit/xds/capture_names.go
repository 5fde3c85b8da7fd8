package xds

import (
	"errors"
	"maps"
	"slices"
	"strconv"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/meshc/meshc/compiler/model"
)

// In a captured pod an external is known by the name that the application asks
// for, in the Host field of HTTP or the server name of TLS, unless discovery says
// its addresses. What the application took the name for does not matter: the
// proxy asks DNS itself, and goes nowhere else. Bytes of protocol tcp have no
// name, and are known by the addresses in `endpoints`.

// byName are the externals of one port that are known so.
type byName struct {
	hosts     []*routev3.VirtualHost
	protocols map[model.Protocol]bool // of hosts
	chains    []*listenerv3.FilterChain
}

// named says that an external is known by its name, on a port of protocol p.
func (e *emitter) named(x *model.External, p model.Port) bool {
	return e.self.Capture != nil && p.Protocol != model.TCP && len(e.self.Capture.Outbound[model.OutboundKey(x.Ref, p.Number)]) == 0
}

func (e *emitter) namesOn(port uint16) *byName {
	if e.names == nil {
		e.names = make(map[uint16]*byName)
	}
	if e.names[port] == nil {
		e.names[port] = &byName{protocols: make(map[model.Protocol]bool)}
	}
	return e.names[port]
}

// nameHost leads requests for the host of x by route.
func (e *emitter) nameHost(x *model.External, p model.Port, route *routev3.Route) error {
	if err := e.unpatched(model.OutboundName(p.Number, x.Host)); err != nil {
		return err
	}
	n := e.namesOn(p.Number)
	n.protocols[p.Protocol] = true
	domains := []string{x.Host, x.Host + ":" + strconv.Itoa(int(p.Number))}
	n.hosts = append(n.hosts, virtualHost(model.OutboundName(p.Number, x.Host), domains, []*routev3.Route{route}))
	return nil
}

// nameTLS leads connections for the server name of x.
func (e *emitter) nameTLS(x *model.External, p model.Port, proxy *listenerv3.Filter) error {
	if err := e.unpatched(model.OutboundName(p.Number, x.Host)); err != nil {
		return err
	}
	n := e.namesOn(p.Number)
	n.chains = append(n.chains, &listenerv3.FilterChain{
		Name: model.OutboundName(p.Number, x.Host), Filters: []*listenerv3.Filter{proxy},
		FilterChainMatch: &listenerv3.FilterChainMatch{TransportProtocol: "tls", ServerNames: []string{x.Host}},
	})
	return nil
}

// unpatched refuses raw patches of a listener or routes that a captured pod has
// in common with those of other names.
func (e *emitter) unpatched(name string) error {
	for i := range e.mesh.Raw {
		if r := &e.mesh.Raw[i]; r.Kind != model.RawCluster && r.Target == name && r.For(e.self.Service) {
			return &RawError{r, errors.New("a captured pod knows this external by its name, and has no such resource")}
		}
	}
	return nil
}

// captureNames adds a listener for each port of externals that are known by name.
// One that has an address of the connection's own is before it.
func (e *emitter) captureNames() error {
	for _, port := range slices.Sorted(maps.Keys(e.names)) {
		n := e.names[port]
		at, err := e.everywhere(port)
		if err != nil {
			return err
		}
		l := &listenerv3.Listener{Name: model.ByNameName(port), TrafficDirection: corev3.TrafficDirection_OUTBOUND, FilterChains: n.chains}
		if l.Address, err = address(at[0]); err != nil {
			return err
		}
		if err := unbound(l, at[1:]); err != nil {
			return err
		}
		if len(n.chains) > 0 {
			if l.ListenerFilters, err = tlsInspector(); err != nil {
				return err
			}
		}
		if len(n.hosts) > 0 {
			chain, err := e.namesChain(port, n)
			if err != nil {
				return err
			}
			l.FilterChains = append(l.FilterChains, chain)
		}
		e.addListener(l)
	}
	return nil
}

// namesChain takes what is no TLS.
func (e *emitter) namesChain(port uint16, n *byName) (*listenerv3.FilterChain, error) {
	speaks := hcmv3.HttpConnectionManager_AUTO
	if len(n.protocols) == 1 {
		for only := range n.protocols {
			speaks = codec(only)
		}
	}
	fault, err := faultHTTPFilter()
	if err != nil {
		return nil, err
	}
	rc := &routev3.RouteConfiguration{Name: model.ByNameName(port), VirtualHosts: append(n.hosts, e.undeclared())}
	hcm, err := e.connectionManager(outboundSide, speaks, rc, fault)
	if err != nil {
		return nil, err
	}
	chain := &listenerv3.FilterChain{Name: "plaintext", Filters: []*listenerv3.Filter{hcm}}
	if len(n.chains) > 0 {
		chain.FilterChainMatch = &listenerv3.FilterChainMatch{TransportProtocol: "raw_buffer"}
	}
	return chain, nil
}
