// Package resource turns xDS resources (Listener, RouteConfiguration, Cluster,
// ClusterLoadAssignment, Secret) into typed ones. A resource is taken whole or
// refused: whatever is set and not supported is named in the error, and no
// field is accepted and then ignored.
package resource

import (
	"errors"
	"fmt"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshc/meshc/dataplane/route"
)

// Type URLs of the resources that the proxy asks for.
const (
	ListenerType  = "type.googleapis.com/envoy.config.listener.v3.Listener"
	RouteType     = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
	ClusterType   = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	EndpointsType = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
	SecretType    = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
)

// Types lists the type URLs, referrers before what they refer to.
var Types = []string{ClusterType, EndpointsType, SecretType, ListenerType, RouteType}

// Resource is one of *Listener, *RouteConfiguration, *Cluster, *Endpoints and
// *Secret. All are immutable.
type Resource interface {
	ResourceName() string
}

// RouteConfiguration is a compiled route table under its name.
type RouteConfiguration struct{ Table *route.Table }

// ResourceName implements Resource.
func (r *RouteConfiguration) ResourceName() string { return r.Table.Name }

// Decode gives the typed resource in packed, which must be of type typeURL.
// Errors name the resource and the path of the field.
func Decode(typeURL string, packed *anypb.Any) (Resource, error) {
	if packed == nil {
		return nil, errors.New("resource without a body")
	}
	if packed.GetTypeUrl() != typeURL {
		return nil, fmt.Errorf("resource of type %q where %q was asked for", packed.GetTypeUrl(), typeURL)
	}
	m, err := packed.UnmarshalNew()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", typeURL, err)
	}
	return FromProto(m)
}

// FromProto gives the typed resource of a Listener, RouteConfiguration,
// Cluster, ClusterLoadAssignment or Secret.
func FromProto(m proto.Message) (Resource, error) {
	kind, name, decode := decoderOf(m)
	if decode == nil {
		return nil, fmt.Errorf("type %s is not a resource of this proxy", m.ProtoReflect().Descriptor().FullName())
	}
	if name == "" {
		return nil, fmt.Errorf("%s without a name", kind)
	}
	if err := Supported.Check(m); err != nil {
		return nil, fmt.Errorf("%s %q: %w", kind, name, err)
	}
	r, err := decode()
	if err != nil {
		return nil, fmt.Errorf("%s %q: %w", kind, name, err)
	}
	return r, nil
}

func decoderOf(m proto.Message) (kind, name string, decode func() (Resource, error)) {
	switch m := m.(type) {
	case *listenerv3.Listener:
		return "listener", m.GetName(), func() (Resource, error) { return decodeListener(m) }
	case *routev3.RouteConfiguration:
		return "route configuration", m.GetName(), func() (Resource, error) { return decodeRoutes(m) }
	case *clusterv3.Cluster:
		return "cluster", m.GetName(), func() (Resource, error) { return decodeCluster(m) }
	case *endpointv3.ClusterLoadAssignment:
		return "cluster load assignment", m.GetClusterName(), func() (Resource, error) { return decodeEndpoints(m) }
	case *tlsv3.Secret:
		return "secret", m.GetName(), func() (Resource, error) { return decodeSecret(m) }
	}
	return "", "", nil
}

func decodeRoutes(m *routev3.RouteConfiguration) (Resource, error) {
	table, err := route.Compile(m, perRouteConfig)
	if err != nil {
		return nil, err
	}
	return &RouteConfiguration{Table: table}, nil
}
