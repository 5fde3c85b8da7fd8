package xds

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tracev3 "github.com/envoyproxy/go-control-plane/envoy/config/trace/v3"
	otlplogv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/open_telemetry/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpproxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

// provenance is the filter metadata key that holds, on routes, where they were
// written and by which commit. It says nothing about behaviour, so it is left out
// of the version: a commit that only moves lines pushes nothing, and the pair of
// commit and line that a proxy holds stays true of that commit. On clusters the
// same key says who serves them, which proxies count by.
const provenance = "meshc.dev"

var deterministic = proto.MarshalOptions{Deterministic: true}

// newResource marshals one message and finds its version, its needs and where it
// sends requests.
func newResource(t Type, name string, m proto.Message, raw []byte) (*Resource, error) {
	blind := proto.Clone(m)
	needs, edges := map[Key]bool{}, map[edge]bool{}
	if err := walk(blind.ProtoReflect(), func(v proto.Message) { collect(v, needs); collectEdges(v, edges); forget(v) }); err != nil {
		return nil, fmt.Errorf("%s %q: %w", t, name, err)
	}
	hashed, err := deterministic.Marshal(blind)
	if err != nil {
		return nil, fmt.Errorf("%s %q: %w", t, name, err)
	}
	sum := sha256.Sum256(hashed)
	r := &Resource{
		Key:     Key{t, name},
		Version: hex.EncodeToString(sum[:12]),
		Body:    &anypb.Any{TypeUrl: t.URL(), Value: raw},

		endpoints: usable(m),
	}
	for k := range needs {
		r.Needs = append(r.Needs, k)
	}
	r.edges = slices.SortedFunc(maps.Keys(edges), edge.compare)
	sortKeys(r.Needs)
	return r, nil
}

// walk visits every message of a tree, looking into Any as well and packing
// again what visit changed.
func walk(m protoreflect.Message, visit func(proto.Message)) error {
	if a, ok := m.Interface().(*anypb.Any); ok {
		return walkAny(a, visit)
	}
	visit(m.Interface())
	var failed error
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		failed = walkField(fd, v, visit)
		return failed == nil
	})
	return failed
}

func walkField(fd protoreflect.FieldDescriptor, v protoreflect.Value, visit func(proto.Message)) error {
	var failed error
	switch {
	case fd.IsMap():
		if fd.MapValue().Message() != nil {
			v.Map().Range(func(_ protoreflect.MapKey, e protoreflect.Value) bool {
				failed = walk(e.Message(), visit)
				return failed == nil
			})
		}
	case fd.Message() == nil:
	case fd.IsList():
		for i := 0; i < v.List().Len() && failed == nil; i++ {
			failed = walk(v.List().Get(i).Message(), visit)
		}
	default:
		failed = walk(v.Message(), visit)
	}
	return failed
}

func walkAny(a *anypb.Any, visit func(proto.Message)) error {
	if a.GetTypeUrl() == "" && len(a.GetValue()) == 0 {
		return nil // there is nothing in it: FilterConfig.config, to enable a filter as it is
	}
	inner, err := a.UnmarshalNew()
	if err != nil {
		return fmt.Errorf("type %s: %w", a.GetTypeUrl(), err)
	}
	if err := walk(inner.ProtoReflect(), visit); err != nil {
		return err
	}
	a.Value, err = deterministic.Marshal(inner)
	return err
}

// forget drops the provenance of a route.
func forget(m proto.Message) {
	if r, ok := m.(*routev3.Route); ok {
		delete(r.GetMetadata().GetFilterMetadata(), provenance)
	}
}

// collect adds the resources that one message refers to over ADS.
func collect(m proto.Message, needs map[Key]bool) {
	switch m := m.(type) {
	case *routev3.RouteAction:
		collectAction(m, needs)
	case *tcpproxyv3.TcpProxy:
		addName(needs, CDS, m.GetCluster())
		for _, c := range m.GetWeightedClusters().GetClusters() {
			addName(needs, CDS, c.GetName())
		}
	case *tracev3.OpenTelemetryConfig:
		addName(needs, CDS, m.GetGrpcService().GetEnvoyGrpc().GetClusterName())
	case *tracev3.ZipkinConfig:
		addName(needs, CDS, m.GetCollectorCluster())
	case *otlplogv3.OpenTelemetryAccessLogConfig:
		addName(needs, CDS, m.GetGrpcService().GetEnvoyGrpc().GetClusterName())
	case *hcmv3.Rds:
		if m.GetConfigSource().GetAds() != nil {
			addName(needs, RDS, m.GetRouteConfigName())
		}
	case *tlsv3.SdsSecretConfig:
		if m.GetSdsConfig().GetAds() != nil {
			addName(needs, SDS, m.GetName())
		}
	case *clusterv3.Cluster:
		if m.GetType() == clusterv3.Cluster_EDS && m.GetEdsClusterConfig().GetEdsConfig().GetAds() != nil {
			name := m.GetEdsClusterConfig().GetServiceName()
			if name == "" {
				name = m.GetName()
			}
			addName(needs, EDS, name)
		}
	}
}

func collectAction(m *routev3.RouteAction, needs map[Key]bool) {
	addName(needs, CDS, m.GetCluster())
	for _, c := range m.GetWeightedClusters().GetClusters() {
		addName(needs, CDS, c.GetName())
	}
	for _, p := range m.GetRequestMirrorPolicies() {
		addName(needs, CDS, p.GetCluster())
	}
}

func addName(needs map[Key]bool, t Type, name string) {
	if name != "" {
		needs[Key{t, name}] = true
	}
}
