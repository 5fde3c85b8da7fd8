package xds

import (
	"time"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshc/meshc/compiler/model"
)

// Names of the filters, as Envoy registers them.
const (
	hcmFilter    = "envoy.filters.network.http_connection_manager"
	faultFilter  = "envoy.filters.http.fault"
	rbacFilter   = "envoy.filters.http.rbac"
	routerFilter = "envoy.filters.http.router"
)

// Bounds of a connection manager, written out so that they do not depend on
// the data plane's own defaults.
const (
	streamIdleTimeout     = 5 * time.Minute
	requestHeadersTimeout = 10 * time.Second
	idleTimeout           = time.Hour
)

// nowhereIdle is what a client has that is answered 502 at once: one that waits
// for the server to speak first waits no longer.
const nowhereIdle = 5 * time.Second

// side is where a connection manager stands: beside the server, beside the
// client, at the edge of the mesh, or beside a client that calls what it has not
// declared.
type side uint8

const (
	inboundSide side = iota
	outboundSide
	edgeSide
	nowhereSide
)

// connectionManager serves rc on one side with filters in front of the router.
func (e *emitter) connectionManager(at side, speaks hcmv3.HttpConnectionManager_CodecType, rc *routev3.RouteConfiguration, filters ...*hcmv3.HttpFilter) (*listenerv3.Filter, error) {
	router, err := emptyFilter(routerFilter, &routerv3.Router{})
	if err != nil {
		return nil, err
	}
	if filters, err = withCORS(rc, filters); err != nil {
		return nil, err
	}
	log, err := e.accessLog(at == inboundSide || at == edgeSide, rbacFilter)
	if err != nil {
		return nil, err
	}
	tracing, err := e.tracing(at)
	if err != nil {
		return nil, err
	}
	hcm := &hcmv3.HttpConnectionManager{
		StatPrefix:                rc.Name,
		CodecType:                 speaks,
		HttpFilters:               append(filters, router),
		AccessLog:                 log,
		Tracing:                   tracing,
		StreamIdleTimeout:         duration(streamIdleTimeout),
		RequestHeadersTimeout:     duration(requestHeadersTimeout),
		CommonHttpProtocolOptions: commonOptions(),
		NormalizePath:             boolValue(true),
		// A proxy in the path does not rename the application.
		ServerHeaderTransformation: hcmv3.HttpConnectionManager_PASS_THROUGH,
		UseRemoteAddress:           boolValue(at == edgeSide),
	}
	if at == edgeSide {
		// No peer is trusted for being on a private address.
		hcm.InternalAddressConfig = &hcmv3.HttpConnectionManager_InternalAddressConfig{}
		if err := e.setGateway(hcm); err != nil {
			return nil, err
		}
	}
	if at == nowhereSide {
		hcm.CommonHttpProtocolOptions.IdleTimeout = duration(nowhereIdle)
	}
	if err := e.patched(model.RawRoutes, rc); err != nil {
		return nil, err
	}
	e.setRoutes(hcm, rc)
	harden(hcm, at)
	packed, err := toAny(hcm)
	if err != nil {
		return nil, err
	}
	return &listenerv3.Filter{Name: hcmFilter, ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: packed}}, nil
}

// setGateway says whom the gateway believes, and replaces the built-in bounds by
// those that it writes.
func (e *emitter) setGateway(hcm *hcmv3.HttpConnectionManager) error {
	g := e.mesh.Gateway(e.self.Service)
	if g == nil {
		return nil
	}
	hcm.XffNumTrustedHops = g.TrustedHops
	if g.ServerHeader != "" {
		hcm.ServerName, hcm.ServerHeaderTransformation = g.ServerHeader, hcmv3.HttpConnectionManager_OVERWRITE
	}
	if err := claimsOnly(hcm, g.JWT); err != nil || !g.Timeouts.Written() {
		return err
	}
	hcm.RequestHeadersTimeout = duration(g.Timeouts.RequestHeaders)
	hcm.CommonHttpProtocolOptions.IdleTimeout = duration(g.Timeouts.Idle)
	if g.Timeouts.MaxConnection > 0 {
		hcm.CommonHttpProtocolOptions.MaxConnectionDuration = duration(g.Timeouts.MaxConnection)
	}
	return nil
}

// setRoutes refers to rc by RDS, or holds it in a static bootstrap.
func (e *emitter) setRoutes(hcm *hcmv3.HttpConnectionManager, rc *routev3.RouteConfiguration) {
	e.addRoutes(rc)
	if e.opts.Static {
		hcm.RouteSpecifier = &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: rc}
		return
	}
	hcm.RouteSpecifier = &hcmv3.HttpConnectionManager_Rds{Rds: rds(rc.Name)}
}

func rds(name string) *hcmv3.Rds {
	return &hcmv3.Rds{RouteConfigName: name, ConfigSource: overADS()}
}

// harden sets what a side does with what its peer claims. Only the server's
// side knows the client's certificate; escaped slashes are refused wherever
// the path decides who may do what.
func harden(hcm *hcmv3.HttpConnectionManager, at side) {
	hcm.ForwardClientCertDetails = hcmv3.HttpConnectionManager_SANITIZE
	if at == inboundSide {
		hcm.ForwardClientCertDetails = hcmv3.HttpConnectionManager_SANITIZE_SET
		hcm.SetCurrentClientCertDetails = &hcmv3.HttpConnectionManager_SetCurrentClientCertDetails{Uri: true}
	}
	if at != outboundSide {
		hcm.PathWithEscapedSlashesAction = hcmv3.HttpConnectionManager_REJECT_REQUEST
	}
}

// apiListener is the connection manager that grpc-go reads: routes and client
// filters only.
func apiListener(rc string) (*listenerv3.ApiListener, error) {
	fault, err := faultHTTPFilter()
	if err != nil {
		return nil, err
	}
	router, err := emptyFilter(routerFilter, &routerv3.Router{})
	if err != nil {
		return nil, err
	}
	packed, err := toAny(&hcmv3.HttpConnectionManager{
		StatPrefix:     rc,
		RouteSpecifier: &hcmv3.HttpConnectionManager_Rds{Rds: rds(rc)},
		HttpFilters:    []*hcmv3.HttpFilter{fault, router},
	})
	if err != nil {
		return nil, err
	}
	return &listenerv3.ApiListener{ApiListener: packed}, nil
}

// faultHTTPFilter does nothing by itself: routes bring their own config.
func faultHTTPFilter() (*hcmv3.HttpFilter, error) {
	return emptyFilter(faultFilter, &faultv3.HTTPFault{})
}

func httpFilter(name string, config proto.Message) (*hcmv3.HttpFilter, error) {
	packed, err := toAny(config)
	return packedFilter(name, packed), err
}

// emptyFilter is one in whose config nothing is set.
func emptyFilter(name string, config proto.Message) (*hcmv3.HttpFilter, error) {
	packed, err := toEmptyAny(config)
	return packedFilter(name, packed), err
}

func packedFilter(name string, packed *anypb.Any) *hcmv3.HttpFilter {
	return &hcmv3.HttpFilter{Name: name, ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: packed}}
}
