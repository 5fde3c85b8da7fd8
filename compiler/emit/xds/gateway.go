package xds

import (
	"fmt"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/meshc/meshc/compiler/model"
)

// gateway gives an ingress gateway its ports and the services behind them, and
// an egress gateway the externals behind it.
func (e *emitter) gateway() error {
	g := e.mesh.Gateway(e.self.Service)
	if g == nil {
		return fmt.Errorf("no gateway %s in the mesh", e.self.Service)
	}
	if g.Egress {
		if err := e.egress(g); err != nil {
			return err
		}
		return e.collectorClusters()
	}
	for i := range g.Listeners {
		if err := e.gatewayListener(g, &g.Listeners[i]); err != nil {
			return err
		}
	}
	if err := e.gatewayClusters(g); err != nil {
		return err
	}
	if err := e.copyClusters(g.Copies()); err != nil {
		return err
	}
	if err := e.limitServer(g.RateLimits); err != nil {
		return err
	}
	if err := e.keyClusters(g.JWT); err != nil {
		return err
	}
	if err := e.authorizerClusters(g.Authorizer); err != nil {
		return err
	}
	return e.collectorClusters()
}

func (e *emitter) gatewayListener(g *model.Gateway, l *model.GatewayListener) error {
	at := e.self.Inbound[l.Port]
	if at == "" {
		e.unplaced("gateway port %d", l.Port)
		return nil
	}
	at, err := boundTo(l.Bind, at)
	if err != nil {
		return err
	}
	if l.Protocol.Opaque() {
		return e.gatewayBytes(g, l, at)
	}
	rc, err := e.gatewayRoutes(g, l)
	if err != nil {
		return err
	}
	fault, err := faultHTTPFilter()
	if err != nil {
		return err
	}
	filters, err := e.edgeFilters(g, l.Port)
	if err != nil {
		return err
	}
	limits, err := e.limitFilters(g.RateLimits)
	if err != nil {
		return err
	}
	if filters, err = holding(append(filters, limits...), g.Compression, g.Buffer); err != nil {
		return err
	}
	filters = append(filters, fault)
	hcm, err := e.connectionManager(edgeSide, e.edgeCodec(l), rc, filters...)
	if err != nil {
		return err
	}
	out, err := plainListener(rc.Name, at, corev3.TrafficDirection_INBOUND, hcm)
	if err == nil && l.TLS != nil {
		err = setListenerTLS(out, l.TLS)
	}
	if err == nil && l.ProxyProtocol {
		err = setProxyProtocol(out)
	}
	if err == nil {
		err = believe(out, g.TrustedCIDRs)
	}
	if err == nil {
		err = limitConnections(out, l.MaxConnections)
	}
	if err != nil {
		return err
	}
	e.addListener(out)
	return nil
}

// edgeCodec is HTTP/1.1, and where a route leads to a grpc port HTTP/2 too: what
// comes from outside is told apart by its first bytes. With TLS both are agreed
// on in the handshake.
func (e *emitter) edgeCodec(l *model.GatewayListener) hcmv3.HttpConnectionManager_CodecType {
	if l.TLS != nil {
		return hcmv3.HttpConnectionManager_AUTO
	}
	for _, h := range l.Hosts {
		for _, r := range h.Routes {
			if s, err := e.service(r.Service); err == nil {
				if p := s.Port(r.Port); p != nil && p.Protocol == model.GRPC {
					return hcmv3.HttpConnectionManager_AUTO
				}
			}
		}
	}
	return hcmv3.HttpConnectionManager_HTTP1
}

// gatewayRoutes has one virtual host per host pattern. A client names the
// gateway's port in Host or not, as it likes.
func (e *emitter) gatewayRoutes(g *model.Gateway, l *model.GatewayListener) (*routev3.RouteConfiguration, error) {
	rc := &routev3.RouteConfiguration{Name: model.GatewayName(l.Port), IgnorePortInHostMatching: true}
	for _, host := range l.RedirectHosts {
		rc.VirtualHosts = append(rc.VirtualHosts, virtualHost(host, []string{host}, []*routev3.Route{e.redirectAll(l)}))
	}
	for _, h := range l.Hosts {
		vhost := virtualHost(h.Host, []string{h.Host}, nil)
		for _, r := range h.Routes {
			s := &model.Service{} // of a rule that goes to none
			if !r.Itself() {
				var err error
				if s, err = e.service(r.Service); err != nil {
					return nil, fmt.Errorf("gateway route %q: %w", r.Name, err)
				}
			}
			list, err := e.routes(r.Name, s, r.Route, r.Port)
			if err != nil {
				return nil, err
			}
			if err := enableLimits(list, g.RateLimits, r.Rule()); err != nil {
				return nil, err
			}
			if err := unheldRoutes(list, g, r.Rule()); err != nil {
				return nil, err
			}
			vhost.Routes = append(vhost.Routes, list...)
		}
		rc.VirtualHosts = append(rc.VirtualHosts, vhost)
	}
	return rc, nil
}

// gatewayClusters adds each service port that a route leads to, once.
func (e *emitter) gatewayClusters(g *model.Gateway) error {
	type target struct {
		service model.Ref
		port    uint16
	}
	done := make(map[target]bool)
	for _, l := range g.Listeners {
		for _, h := range l.Hosts {
			for _, r := range h.Routes {
				t := target{r.Service, r.Port}
				if done[t] || r.Itself() {
					continue
				}
				done[t] = true
				if err := e.gatewayTarget(r); err != nil {
					return fmt.Errorf("gateway route %q: %w", r.Name, err)
				}
			}
		}
	}
	return nil
}

func (e *emitter) gatewayTarget(r *model.GatewayRoute) error {
	s, err := e.service(r.Service)
	if err != nil {
		return err
	}
	p := s.Port(r.Port)
	if p == nil {
		return fmt.Errorf("service %s has no port %d", s.Ref, r.Port)
	}
	if err := carried(s.Ref, *p); err != nil {
		return err
	}
	return e.serviceClusters(s, p.Number)
}
