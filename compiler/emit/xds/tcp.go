package xds

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	networkrbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/rbac/v3"
	tcpproxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/model"
)

// Names of the network filters, as Envoy registers them.
const (
	tcpProxyFilter    = "envoy.filters.network.tcp_proxy"
	networkRBACFilter = "envoy.filters.network.rbac"
)

// tcpIdle is Envoy's own default, written out.
const tcpIdle = time.Hour

// earlyData is how much of what a client sends is held until the server is
// connected, in bytes; then reading pauses.
const earlyData = 64 << 10

// inboundTCP judges who connects and hands the bytes to the application.
func (e *emitter) inboundTCP(s *model.Service, p model.Port, at string) error {
	name := model.InboundName(p.Number)
	secured := s.ModeOn(p.Number) != model.MTLSDisable
	proxy, err := e.tcpProxy(inboundSide, name, nil, name, tcpPatience(s, p.Number), secured)
	if err != nil {
		return err
	}
	l, err := e.inboundListener(name, at, s.ModeOn(p.Number), p.Protocol, proxy, e.mayConnect(s.Allow, p.Number)...)
	if err != nil {
		return err
	}
	guards, err := e.tcpAudit(name, s.Audit, p.Number)
	if err != nil {
		return err
	}
	deny, err := e.tcpDeny(name, s.Deny, p.Number)
	if err != nil {
		return err
	}
	allow, err := e.tcpAllow(name, s.Allow, p.Number)
	if err != nil {
		return err
	}
	guards = append(append(guards, deny...), allow)
	for _, c := range l.FilterChains {
		c.Filters = append(guards, c.Filters...)
	}
	if err := limitConnections(l, p.MaxConnections); err != nil {
		return err
	}
	e.addListener(l)
	return e.inboundCluster(s, p)
}

// tcpPatience is the longest that any route lets a connection be silent: the
// server's side must not cut it short.
func tcpPatience(s *model.Service, port uint16) time.Duration {
	longest := tcpIdle
	for _, r := range s.Routes {
		if appliesTo(r, port) {
			longest = max(longest, r.IdleTimeout)
		}
	}
	return longest
}

// tcpDeny is what requests meet in denyFilters, for connections.
func (e *emitter) tcpDeny(name string, rules []model.Rule, port uint16) ([]*listenerv3.Filter, error) {
	refused, err := e.policies("deny", rules, port)
	if err != nil || len(refused) == 0 {
		return nil, err
	}
	f, err := networkFilter(denyFilter, &networkrbacv3.RBAC{StatPrefix: name + ".deny", Rules: &rbacv3.RBAC{Action: rbacv3.RBAC_DENY, Policies: refused}})
	if err != nil {
		return nil, err
	}
	return []*listenerv3.Filter{f}, nil
}

// tcpAllow is what requests meet in allowFilter, for connections.
func (e *emitter) tcpAllow(name string, rules []model.Rule, port uint16) (*listenerv3.Filter, error) {
	taken, err := e.policies("allow", rules, port)
	if err != nil {
		return nil, err
	}
	return networkFilter(networkRBACFilter, &networkrbacv3.RBAC{StatPrefix: name, Rules: &rbacv3.RBAC{Action: rbacv3.RBAC_ALLOW, Policies: taken}})
}

// outboundTCP is the client's side of a tcp port.
func (e *emitter) outboundTCP(s *model.Service, p model.Port) error {
	i := slices.IndexFunc(s.Routes, func(r *model.Route) bool { return appliesTo(r, p.Number) })
	if i < 0 {
		return fmt.Errorf("service %s: no route is for the tcp port %d", s.Ref, p.Number)
	}
	name := model.OutboundName(p.Number, s.Host)
	split, idle := shares(s, p.Number, s.Routes[i])
	if err := e.tcpListener(name, s.Ref, p, split, "", idle, nil); err != nil {
		return err
	}
	return e.serviceClusters(s, p.Number)
}

// shares are the weights of a route by cluster, and its idle timeout.
func shares(s *model.Service, port uint16, r *model.Route) (map[string]uint32, time.Duration) {
	split := make(map[string]uint32, len(r.Split))
	for _, d := range r.Split {
		split[model.ClusterName(port, d.Version, s.Host)] = d.BasisPoints
	}
	return split, cmp.Or(r.IdleTimeout, tcpIdle)
}

func (e *emitter) externalTCP(x *model.External, p model.Port) error {
	name := model.OutboundName(p.Number, x.Host)
	if e.named(x, p) {
		proxy, err := e.tcpProxy(outboundSide, name, nil, model.ClusterName(p.Number, "", x.Host), tcpIdle, false)
		if err == nil {
			err = e.nameTLS(x, p, proxy)
		}
		if err != nil {
			return err
		}
		return e.reachExternal(x, p)
	}
	if err := e.tcpListener(name, x.Ref, p, nil, model.ClusterName(p.Number, "", x.Host), tcpIdle, []string{x.Host}); err != nil {
		return err
	}
	return e.reachExternal(x, p)
}

// tcpListener takes the application's connections. Those to a tls port begin
// with a handshake, for one of these server names where there are any.
func (e *emitter) tcpListener(name string, ref model.Ref, p model.Port, split map[string]uint32, cluster string, idle time.Duration, sni []string) error {
	proxy, err := e.tcpProxy(outboundSide, name, split, cluster, idle, false)
	if err != nil {
		return err
	}
	l, err := e.clientListener(name, ref, p.Number, proxy)
	if err == nil && p.Protocol == model.TLS {
		err = onlyTLS(l, sni)
	}
	if err != nil {
		return err
	}
	e.addListener(l)
	return nil
}

// onlyTLS closes connections that do not begin with a handshake of TLS, for one
// of these server names where there are any.
func onlyTLS(l *listenerv3.Listener, sni []string) error {
	l.FilterChains[0].Name = "tls"
	l.FilterChains[0].FilterChainMatch = &listenerv3.FilterChainMatch{TransportProtocol: "tls", ServerNames: sni}
	var err error
	l.ListenerFilters, err = tlsInspector()
	return err
}

// tcpProxy leads to one cluster, or by weight to several. Behind TLS that ends
// here it connects only once the handshake is done.
func (e *emitter) tcpProxy(at side, name string, split map[string]uint32, cluster string, idle time.Duration, secured bool) (*listenerv3.Filter, error) {
	log, err := e.accessLog(at != outboundSide, networkRBACFilter)
	if err != nil {
		return nil, err
	}
	out := &tcpproxyv3.TcpProxy{StatPrefix: name, IdleTimeout: duration(idle), AccessLog: log}
	if secured {
		out.UpstreamConnectMode = tcpproxyv3.UpstreamConnectMode_ON_DOWNSTREAM_TLS_HANDSHAKE
		out.MaxEarlyDataBytes = wrapperspb.UInt32(earlyData)
	}
	switch {
	case len(split) == 1:
		for only := range split {
			cluster = only
		}
		fallthrough
	case cluster != "":
		out.ClusterSpecifier = &tcpproxyv3.TcpProxy_Cluster{Cluster: cluster}
	default:
		out.ClusterSpecifier = &tcpproxyv3.TcpProxy_WeightedClusters{WeightedClusters: weightedTCP(split)}
	}
	return networkFilter(tcpProxyFilter, out)
}

func weightedTCP(split map[string]uint32) *tcpproxyv3.TcpProxy_WeightedCluster {
	out := &tcpproxyv3.TcpProxy_WeightedCluster{}
	for name, weight := range split {
		out.Clusters = append(out.Clusters, &tcpproxyv3.TcpProxy_WeightedCluster_ClusterWeight{Name: name, Weight: weight})
	}
	sortByName(out.Clusters, (*tcpproxyv3.TcpProxy_WeightedCluster_ClusterWeight).GetName)
	return out
}

func networkFilter(name string, config proto.Message) (*listenerv3.Filter, error) {
	packed, err := toAny(config)
	if err != nil {
		return nil, err
	}
	return &listenerv3.Filter{Name: name, ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: packed}}, nil
}
