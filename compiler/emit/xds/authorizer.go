package xds

import (
	"fmt"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/meshc/meshc/compiler/model"
)

const authorizerFilter = "envoy.filters.http.ext_authz"

// authorizerFilters ask a service about requests; none for nil.
func (e *emitter) authorizerFilters(a *model.Authorizer) ([]*hcmv3.HttpFilter, error) {
	if a == nil {
		return nil, nil
	}
	s, err := e.service(a.Service)
	if err != nil {
		return nil, fmt.Errorf("authorizer: %w", err)
	}
	out := &authv3.ExtAuthz{
		TransportApiVersion: corev3.ApiVersion_V3,
		Services: &authv3.ExtAuthz_GrpcService{GrpcService: &corev3.GrpcService{
			Timeout: duration(a.Timeout),
			TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{
				ClusterName: model.ClusterName(a.Port, a.Version, s.Host),
				Authority:   s.Host, // else the name of the cluster, whose "|" no authority may have
			}},
		}},
		FailureModeAllow:          a.FailOpen,
		ValidateMutations:         true,
		MetadataContextNamespaces: []string{jwtFilter},
	}
	for _, h := range a.Headers {
		if out.AllowedHeaders == nil {
			out.AllowedHeaders = &matcherv3.ListStringMatcher{}
		}
		out.AllowedHeaders.Patterns = append(out.AllowedHeaders.Patterns, exactly(h))
	}
	if a.MaxBody > 0 {
		out.WithRequestBody = &authv3.BufferSettings{MaxRequestBytes: a.MaxBody, PackAsBytes: true}
	}
	filters, err := askedFilters(a)
	if err != nil {
		return nil, err
	}
	if len(filters) > 0 {
		out.FilterEnabledMetadata = shadowAllowed(rbacFilter, askedPrefix)
	}
	f, err := httpFilter(authorizerFilter, out)
	if err != nil {
		return nil, err
	}
	return append(filters, f), nil
}

// authorizerClusters adds the cluster that questions go to, where the proxy does
// not have it for its application.
func (e *emitter) authorizerClusters(a *model.Authorizer) error {
	if a == nil {
		return nil
	}
	s, err := e.service(a.Service)
	if err != nil {
		return fmt.Errorf("authorizer: %w", err)
	}
	if s.Port(a.Port) == nil || s.Version(a.Version) == nil {
		return fmt.Errorf("authorizer: service %s has no port %d or version %q", s.Ref, a.Port, a.Version)
	}
	if e.hasCluster(model.ClusterName(a.Port, a.Version, s.Host)) {
		return nil
	}
	return e.versionCluster(s, a.Version, a.Port)
}
