package xds

import (
	"fmt"
	"slices"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/meshc/meshc/compiler/model"
)

// sidecar gives a service's workload its own ports and those that it uses.
func (e *emitter) sidecar() error {
	s, err := e.ownService()
	if err != nil {
		return err
	}
	if err := e.server(s); err != nil {
		return err
	}
	for _, ref := range s.Uses {
		if err := e.client(ref); err != nil {
			return err
		}
	}
	if err := e.copyClusters(e.mesh.CopiesOf(s)); err != nil {
		return err
	}
	if err := e.limitServer(s.RateLimits); err != nil {
		return err
	}
	if err := e.keyClusters(s.JWT); err != nil {
		return err
	}
	if err := e.authorizerClusters(s.Authorizer); err != nil {
		return err
	}
	return e.collectorClusters()
}

// server gives the proxy the ports of its own service.
func (e *emitter) server(s *model.Service) error {
	if e.shared != nil {
		return e.shared.inbound(e, s)
	}
	return e.inboundPorts(s)
}

func (e *emitter) inboundPorts(s *model.Service) error {
	for _, p := range s.Ports {
		if err := e.inbound(s, p); err != nil {
			return err
		}
	}
	return nil
}

// client gives the proxy what it needs to call ref.
func (e *emitter) client(ref model.Ref) error {
	if e.shared != nil {
		return e.shared.outbound(e, ref)
	}
	return e.outbound(ref)
}

func (e *emitter) ownService() (*model.Service, error) {
	s, err := e.service(e.self.Service)
	if err != nil {
		return nil, err
	}
	if s.Version(e.self.Version) == nil {
		return nil, fmt.Errorf("service %s has no version %q", s.Ref, e.self.Version)
	}
	return s, nil
}

func (e *emitter) inbound(s *model.Service, p model.Port) error {
	if err := carried(s.Ref, p); err != nil {
		return err
	}
	at := e.self.Inbound[p.Number]
	if at == "" || e.self.App[p.Number] == "" {
		e.unplaced("inbound port %d", p.Number)
		return nil
	}
	if p.Protocol.Opaque() {
		return e.inboundTCP(s, p, at)
	}
	name := model.InboundName(p.Number)
	// The client's side has the timeout; the server's must not cut it short.
	route := everything("inbound", name, &routev3.RouteAction{Timeout: duration(0), IdleTimeout: patience(s.Routes...), UpgradeConfigs: upgradeConfigs(s.Upgrades(p.Number))})
	filters, err := e.serverFilters(s, p.Number)
	if err != nil {
		return err
	}
	limits, err := e.limitFilters(s.RateLimits)
	if err != nil {
		return err
	}
	if filters, err = admitting(append(filters, limits...), s.Admission); err != nil {
		return err
	}
	routes := []*routev3.Route{route}
	if p.Protocol == model.HTTP {
		if filters, err = holding(filters, s.Compression, s.Buffer); err != nil {
			return err
		}
		if routes, err = unheld(route, s.Compression, s.Buffer); err != nil {
			return err
		}
	}
	rc := &routev3.RouteConfiguration{Name: name, VirtualHosts: []*routev3.VirtualHost{virtualHost(name, []string{"*"}, routes)}}
	hcm, err := e.connectionManager(inboundSide, codec(p.Protocol), rc, filters...)
	if err != nil {
		return err
	}
	l, err := e.inboundListener(name, at, s.ModeOn(p.Number), p.Protocol, hcm)
	if err == nil {
		err = limitConnections(l, p.MaxConnections)
	}
	if err != nil {
		return err
	}
	e.addListener(l)
	return e.inboundCluster(s, p)
}

func (e *emitter) outbound(ref model.Ref) error {
	if x := e.mesh.External(ref); x != nil {
		return e.outboundExternal(x)
	}
	s, err := e.service(ref)
	if err != nil {
		return err
	}
	for _, p := range s.Ports {
		if err := carried(s.Ref, p); err != nil {
			return err
		}
		if !e.placedOutbound(ref, p.Number) {
			continue
		}
		if p.Protocol.Opaque() {
			if err := e.outboundTCP(s, p); err != nil {
				return err
			}
			continue
		}
		rc, err := e.serviceRoutes(s, p)
		if err != nil {
			return err
		}
		if err := e.outboundListener(s.Ref, p, rc); err != nil {
			return err
		}
		if err := e.serviceClusters(s, p.Number); err != nil {
			return err
		}
	}
	return nil
}

// serviceRoutes is the route table of one service port.
func (e *emitter) serviceRoutes(s *model.Service, p model.Port) (*routev3.RouteConfiguration, error) {
	name, port := model.OutboundName(p.Number, s.Host), p.Number
	vhost := virtualHost(name, []string{"*"}, nil)
	for _, r := range s.Routes {
		if !appliesTo(r, port) || !r.TakesFrom(e.self.Service) {
			continue
		}
		list, err := e.routes(r.Name, s, r, port)
		if err != nil {
			return nil, err
		}
		vhost.Routes = append(vhost.Routes, list...)
	}
	return &routev3.RouteConfiguration{Name: name, VirtualHosts: []*routev3.VirtualHost{vhost}}, nil
}

func appliesTo(r *model.Route, port uint16) bool {
	return slices.Contains(r.Ports, port)
}

// placedOutbound says whether the workload has an address from which it calls
// ref.
func (e *emitter) placedOutbound(ref model.Ref, port uint16) bool {
	if len(e.calledAt(ref, port)) == 0 {
		e.unplaced("outbound %s", model.OutboundKey(ref, port))
		return false
	}
	return true
}

func (e *emitter) outboundListener(ref model.Ref, p model.Port, rc *routev3.RouteConfiguration) error {
	fault, err := faultHTTPFilter()
	if err != nil {
		return err
	}
	hcm, err := e.connectionManager(outboundSide, codec(p.Protocol), rc, fault)
	if err != nil {
		return err
	}
	l, err := e.clientListener(rc.Name, ref, p.Number, hcm)
	if err != nil {
		return err
	}
	e.addListener(l)
	return nil
}

func (e *emitter) outboundExternal(x *model.External) error {
	for _, p := range x.Ports {
		if err := carried(x.Ref, p); err != nil {
			return err
		}
		if !e.named(x, p) && !e.placedOutbound(x.Ref, p.Number) {
			continue
		}
		name := model.OutboundName(p.Number, x.Host)
		if p.Protocol.Opaque() {
			if err := e.externalTCP(x, p); err != nil {
				return err
			}
			continue
		}
		route := everything("external", name, &routev3.RouteAction{
			Timeout: duration(x.Timeout), IdleTimeout: patience(&model.Route{Timeout: x.Timeout}),
		})
		route.Metadata = e.metadata(x.Origin, "")
		if err := e.externalListener(x, p, route); err != nil {
			return err
		}
		if err := e.reachExternal(x, p); err != nil {
			return err
		}
	}
	return nil
}

// externalListener takes the application's requests to a port of x.
func (e *emitter) externalListener(x *model.External, p model.Port, route *routev3.Route) error {
	if e.named(x, p) {
		return e.nameHost(x, p, route)
	}
	name := model.OutboundName(p.Number, x.Host)
	return e.outboundListener(x.Ref, p, &routev3.RouteConfiguration{
		Name:         name,
		VirtualHosts: []*routev3.VirtualHost{virtualHost(name, []string{"*"}, []*routev3.Route{route})},
	})
}
