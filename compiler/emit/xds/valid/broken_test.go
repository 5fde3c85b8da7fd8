package valid_test

import (
	"strings"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	admissionv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/admission_control/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// parts of a configuration that is valid until a case breaks one.
type parts struct {
	listener *listenerv3.Listener
	hcm      *hcmv3.HttpConnectionManager
	routes   *routev3.RouteConfiguration
	cluster  *clusterv3.Cluster
	tls      *tlsv3.UpstreamTlsContext // nil: plaintext
}

func whole() *parts {
	router := pack(&routerv3.Router{})
	return &parts{
		listener: &listenerv3.Listener{Name: "in", Address: address("127.0.0.1", 18080)},
		hcm: &hcmv3.HttpConnectionManager{
			StatPrefix:  "in",
			HttpFilters: []*hcmv3.HttpFilter{{Name: "router", ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: router}}},
		},
		routes: &routev3.RouteConfiguration{Name: "in", VirtualHosts: []*routev3.VirtualHost{{Name: "all", Domains: []string{"*"}, Routes: []*routev3.Route{{
			Match:  &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
			Action: &routev3.Route_Route{Route: &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: "to"}}},
		}}}}},
		cluster: &clusterv3.Cluster{
			Name: "to", ConnectTimeout: durationpb.New(time.Second), ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
			LoadAssignment: &endpointv3.ClusterLoadAssignment{ClusterName: "to", Endpoints: []*endpointv3.LocalityLbEndpoints{{
				LbEndpoints: []*endpointv3.LbEndpoint{endpoint("127.0.0.1", 18081), endpoint("127.0.0.1", 18082)},
			}}},
		},
	}
}

func address(host string, port uint32) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: host, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: port},
	}}}
}

func endpoint(host string, port uint32) *endpointv3.LbEndpoint {
	return &endpointv3.LbEndpoint{HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: address(host, port)}}}
}

func pack(m proto.Message) *anypb.Any {
	out, err := anypb.New(m)
	if err != nil {
		panic(err)
	}
	return out
}

// admit puts admission control in front of the router, after spoil.
func (p *parts) admit(spoil func(*admissionv3.AdmissionControl)) {
	a := &admissionv3.AdmissionControl{
		EvaluationCriteria: &admissionv3.AdmissionControl_SuccessCriteria_{SuccessCriteria: &admissionv3.AdmissionControl_SuccessCriteria{
			HttpCriteria: &admissionv3.AdmissionControl_SuccessCriteria_HttpCriteria{HttpSuccessStatus: []*typev3.Int32Range{{Start: 200, End: 300}}},
		}},
		SrThreshold: &corev3.RuntimePercent{DefaultValue: &typev3.Percent{Value: 95}, RuntimeKey: "x"},
	}
	spoil(a)
	f := &hcmv3.HttpFilter{Name: "admission", ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: pack(a)}}
	p.hcm.HttpFilters = append([]*hcmv3.HttpFilter{f}, p.hcm.HttpFilters...)
}

func (p *parts) route() *routev3.Route          { return p.routes.VirtualHosts[0].Routes[0] }
func (p *parts) action() *routev3.RouteAction   { return p.route().GetRoute() }
func (p *parts) router() *hcmv3.HttpFilter      { return p.hcm.HttpFilters[0] }
func (p *parts) chain() *listenerv3.FilterChain { return p.listener.FilterChains[0] }

// assemble packs what belongs together.
func (p *parts) assemble() *bootstrapv3.Bootstrap {
	if p.hcm.RouteSpecifier == nil {
		p.hcm.RouteSpecifier = &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: p.routes}
	}
	hcm := &listenerv3.Filter{Name: "http", ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: pack(p.hcm)}}
	if p.listener.FilterChains == nil {
		p.listener.FilterChains = []*listenerv3.FilterChain{{Name: "one"}}
		p.chain().Filters = []*listenerv3.Filter{hcm}
	}
	for _, c := range p.listener.FilterChains {
		if c.Name == "filled" {
			c.Filters = []*listenerv3.Filter{hcm}
		}
	}
	if p.tls != nil {
		p.cluster.TransportSocket = &corev3.TransportSocket{
			Name: "tls", ConfigType: &corev3.TransportSocket_TypedConfig{TypedConfig: pack(p.tls)},
		}
	}
	return &bootstrapv3.Bootstrap{
		Node: &corev3.Node{Id: "test"},
		LayeredRuntime: &bootstrapv3.LayeredRuntime{Layers: []*bootstrapv3.RuntimeLayer{{Name: "x", LayerSpecifier: &bootstrapv3.RuntimeLayer_StaticLayer{
			StaticLayer: &structpb.Struct{Fields: map[string]*structpb.Value{"re2.max_program_size.error_level": structpb.NewNumberValue(1 << 20)}},
		}}}},
		StaticResources: &bootstrapv3.Bootstrap_StaticResources{
			Listeners: []*listenerv3.Listener{p.listener}, Clusters: []*clusterv3.Cluster{p.cluster},
		},
	}
}

// verdict is what Envoy does with a broken configuration.
type verdict uint8

const (
	refuses verdict = iota
	takes           // and does something else than it says, or grpc-go refuses it
)

// broken has one case for each rule, at least.
var broken = []struct {
	name  string
	spoil func(p *parts)
	want  string // part of the reason
	envoy verdict
}{
	{"negative duration", func(p *parts) { p.action().Timeout = durationpb.New(-time.Second) }, "timeout: the duration -1s is negative", refuses},
	{"duration out of range", func(p *parts) { p.action().Timeout = &durationpb.Duration{Seconds: 1 << 60} }, "exceeds +10000 years", refuses},
	{"regex that is none", func(p *parts) { p.route().Match = regexMatch("a(b") }, `match.safe_regex: regular expression "a(b"`, refuses},
	{"regex that repeats too often", func(p *parts) { p.route().Match = regexMatch("(?:[a-z]{1000}){1000}") }, "regular expression", refuses},
	{"regex beyond the bound", func(p *parts) { p.route().Match = regexMatch(strings.Repeat("[a-z]{1000}", 400)) }, "instructions", takes},
	{"reference to no group", func(p *parts) {
		p.action().RegexRewrite = &matcherv3.RegexMatchAndSubstitute{Pattern: &matcherv3.RegexMatcher{Regex: "/(a)"}, Substitution: `/\2`}
	}, `refers to \2, and the pattern has 1 groups`, takes},
	{"reference that is none", func(p *parts) {
		p.action().RegexRewrite = &matcherv3.RegexMatchAndSubstitute{Pattern: &matcherv3.RegexMatcher{Regex: "/a"}, Substitution: `/\q`}
	}, "is no reference to a group", takes},
	{"more than the whole", func(p *parts) {
		p.route().Match.RuntimeFraction = &corev3.RuntimeFractionalPercent{DefaultValue: &typev3.FractionalPercent{Numerator: 101}}
	}, "more than the whole", takes},
	{"empty range", func(p *parts) {
		p.route().Match.Headers = []*routev3.HeaderMatcher{{Name: "n", HeaderMatchSpecifier: &routev3.HeaderMatcher_RangeMatch{RangeMatch: &typev3.Int64Range{Start: 5, End: 5}}}}
	}, "headers[0].range_match: no number is from 5", takes},
	{"pseudo header", func(p *parts) { p.route().RequestHeadersToAdd = setHeader(":path", "/") }, `header ":path" cannot be changed`, refuses},
	{"host as header", func(p *parts) { p.route().RequestHeadersToAdd = setHeader("Host", "x") }, `header "Host" cannot be changed`, refuses},
	{"host removed", func(p *parts) { p.route().RequestHeadersToRemove = []string{"host"} }, `header "host" cannot be changed`, refuses},
	{"half an operator", func(p *parts) { p.route().RequestHeadersToAdd = setHeader("x", "50%") }, "neither doubled nor an operator", refuses},
	{"hardly any success", func(p *parts) {
		p.admit(func(a *admissionv3.AdmissionControl) { a.SrThreshold.DefaultValue.Value = 0.5 })
	}, "a success rate of less than 1 %", refuses},
	{"no time to look back on", func(p *parts) {
		p.admit(func(a *admissionv3.AdmissionControl) { a.SamplingWindow = durationpb.New(time.Second / 2) })
	}, "shorter than a second", takes},
	{"statuses that there are not", func(p *parts) {
		p.admit(func(a *admissionv3.AdmissionControl) {
			a.GetSuccessCriteria().HttpCriteria.HttpSuccessStatus[0].End = 601
		})
	}, "[200, 601) is no range", refuses},
	{"a status that gRPC has not", func(p *parts) {
		p.admit(func(a *admissionv3.AdmissionControl) {
			a.GetSuccessCriteria().GrpcCriteria = &admissionv3.AdmissionControl_SuccessCriteria_GrpcCriteria{GrpcSuccessStatus: []uint32{17}}
		})
	}, "gRPC has no status 17", refuses},
	{"domain twice", func(p *parts) {
		second := proto.Clone(p.routes.VirtualHosts[0]).(*routev3.VirtualHost)
		second.Name, second.Domains = "second", []string{"A.example", "a.example"}
		p.routes.VirtualHosts = append(p.routes.VirtualHosts, second)
	}, `domain "a.example" leads to the virtual hosts`, refuses},
	{"every host twice", func(p *parts) {
		second := proto.Clone(p.routes.VirtualHosts[0]).(*routev3.VirtualHost)
		second.Name = "second"
		p.routes.VirtualHosts = append(p.routes.VirtualHosts, second)
	}, `domain "*" leads to the virtual hosts "all" and "second"`, refuses},
	{"virtual host twice", func(p *parts) {
		second := proto.Clone(p.routes.VirtualHosts[0]).(*routev3.VirtualHost)
		second.Domains = []string{"a.example"}
		p.routes.VirtualHosts = append(p.routes.VirtualHosts, second)
	}, `two virtual hosts are called "all"`, takes},
	{"weights of nothing", func(p *parts) { p.action().ClusterSpecifier = weights(0) }, "the weights sum to 0", refuses},
	{"weights beyond 32 bits", func(p *parts) { p.action().ClusterSpecifier = weights(1<<31, 1<<31) }, "the weights sum to 4294967296", refuses},
	{"two rewrites", func(p *parts) {
		p.action().PrefixRewrite = "/x"
		p.action().RegexRewrite = &matcherv3.RegexMatchAndSubstitute{Pattern: &matcherv3.RegexMatcher{Regex: "/a"}, Substitution: "/b"}
	}, "exclude one another", refuses},
	{"upgrade twice", func(p *parts) {
		p.action().UpgradeConfigs = []*routev3.RouteAction_UpgradeConfig{{UpgradeType: "websocket"}, {UpgradeType: "WebSocket"}}
	}, `upgrade "websocket" is named twice`, refuses},
	{"unknown retry condition", func(p *parts) { p.action().RetryPolicy = &routev3.RetryPolicy{RetryOn: "5xx,resets"} }, `"resets" is no condition`, takes},
	{"no status", func(p *parts) {
		p.action().RetryPolicy = &routev3.RetryPolicy{RetryOn: "retriable-status-codes", RetriableStatusCodes: []uint32{1000}}
	}, "1000 is no status", takes},
	{"back-off that shrinks", func(p *parts) {
		p.action().RetryPolicy = &routev3.RetryPolicy{RetryOn: "5xx", RetryBackOff: &routev3.RetryPolicy_RetryBackOff{
			BaseInterval: durationpb.New(time.Second), MaxInterval: durationpb.New(time.Millisecond),
		}}
	}, "max_interval 1ms is less than base_interval 1s", refuses},
	{"body too long", func(p *parts) {
		p.route().Action = &routev3.Route_DirectResponse{DirectResponse: &routev3.DirectResponseAction{
			Status: 200, Body: &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: strings.Repeat("x", 4097)}},
		}}
	}, "the body has 4097 bytes", refuses},
	{"listener without address", func(p *parts) { p.listener.Address = nil }, "it has no address", refuses},
	{"listener at a name", func(p *parts) { p.listener.Address = address("localhost", 18080) }, `"localhost" is no IP address`, refuses},
	{"listener without chain", func(p *parts) { p.listener.FilterChains = []*listenerv3.FilterChain{} }, "it has no filter chain", refuses},
	{"chains for the same connections", func(p *parts) {
		p.listener.FilterChains = []*listenerv3.FilterChain{{Name: "filled"}, {Name: "filled"}}
	}, "filter chains 0 and 1 match the same connections", refuses},
	{"chain of nothing", func(p *parts) { p.listener.FilterChains = []*listenerv3.FilterChain{{Name: "empty"}} }, `filter chain "empty" has no filter`, takes},
	{"filter after the router", func(p *parts) {
		p.hcm.HttpFilters = append(p.hcm.HttpFilters, &hcmv3.HttpFilter{Name: "two", ConfigType: p.router().ConfigType})
	}, "the router is the last filter", refuses},
	{"no filter", func(p *parts) { p.hcm.HttpFilters = nil }, "it has no HTTP filter", takes},
	{"names without CA", func(p *parts) {
		p.tls = &tlsv3.UpstreamTlsContext{CommonTlsContext: &tlsv3.CommonTlsContext{ValidationContextType: &tlsv3.CommonTlsContext_ValidationContext{
			ValidationContext: &tlsv3.CertificateValidationContext{MatchTypedSubjectAltNames: []*tlsv3.SubjectAltNameMatcher{{
				SanType: tlsv3.SubjectAltNameMatcher_URI, Matcher: &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: "spiffe://x/y"}},
			}}},
		}}}
	}, "without a trusted CA", refuses},
	{"settings of another policy", func(p *parts) {
		p.cluster.LbConfig = &clusterv3.Cluster_LeastRequestLbConfig_{LeastRequestLbConfig: &clusterv3.Cluster_LeastRequestLbConfig{ChoiceCount: wrapperspb.UInt32(3)}}
	}, "balanced by ROUND_ROBIN and has settings of LEAST_REQUEST", takes},
	{"ring that shrinks", func(p *parts) {
		p.cluster.LbPolicy = clusterv3.Cluster_RING_HASH
		p.cluster.LbConfig = &clusterv3.Cluster_RingHashLbConfig_{RingHashLbConfig: &clusterv3.Cluster_RingHashLbConfig{
			MinimumRingSize: wrapperspb.UInt64(20), MaximumRingSize: wrapperspb.UInt64(10),
		}}
	}, "the ring's least size 20 is more than its most 10", refuses},
	{"table of no prime", func(p *parts) {
		p.cluster.LbPolicy = clusterv3.Cluster_MAGLEV
		p.cluster.LbConfig = &clusterv3.Cluster_MaglevLbConfig_{MaglevLbConfig: &clusterv3.Cluster_MaglevLbConfig{TableSize: wrapperspb.UInt64(65536)}}
	}, "65536 of the Maglev table is no prime", refuses},
	{"discovery without source", func(p *parts) {
		p.cluster.ClusterDiscoveryType, p.cluster.LoadAssignment = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS}, nil
	}, "an EDS cluster has a source of endpoints", refuses},
	{"own endpoints that are none", func(p *parts) { p.cluster.LoadAssignment = nil }, "a STATIC cluster has endpoints of its own", takes},
	{"static endpoint at a name", func(p *parts) {
		p.cluster.LoadAssignment.Endpoints[0].LbEndpoints[0] = endpoint("a.example", 80)
	}, `the endpoint "a.example" of a STATIC cluster is no IP address`, refuses},
	{"one name, two endpoints", func(p *parts) {
		p.cluster.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_LOGICAL_DNS}
	}, "a LOGICAL_DNS cluster has one endpoint, and not 2", refuses},
	{"endpoint twice", func(p *parts) {
		p.cluster.LoadAssignment.Endpoints[0].LbEndpoints[1] = endpoint("127.0.0.1", 18081)
	}, "an endpoint is there twice", takes},
	{"weights of endpoints beyond 32 bits", func(p *parts) {
		for _, e := range p.cluster.LoadAssignment.Endpoints[0].LbEndpoints {
			e.LoadBalancingWeight = wrapperspb.UInt32(1 << 31)
		}
	}, "the weights of endpoints in one locality sum to more", takes},
	{"weights of localities beyond 32 bits", func(p *parts) {
		ends := p.cluster.LoadAssignment
		other := &endpointv3.LocalityLbEndpoints{Locality: &corev3.Locality{Zone: "b"}, LbEndpoints: ends.Endpoints[0].LbEndpoints[1:]}
		ends.Endpoints[0].LbEndpoints = ends.Endpoints[0].LbEndpoints[:1]
		ends.Endpoints = append(ends.Endpoints, other)
		for _, group := range ends.Endpoints {
			group.LoadBalancingWeight = wrapperspb.UInt32(1 << 31)
		}
	}, "the weights of the localities of priority 0 sum to more", takes},
	{"priority left out", func(p *parts) { p.cluster.LoadAssignment.Endpoints[0].Priority = 1 }, "the priorities from 0 to 1 are not all there", takes},
	{"statuses of a health check", func(p *parts) {
		p.cluster.HealthChecks = healthCheck(&corev3.HealthCheck_HttpHealthCheck_{HttpHealthCheck: &corev3.HealthCheck_HttpHealthCheck{
			Path: "/", ExpectedStatuses: []*typev3.Int64Range{{Start: 500, End: 700}},
		}})
	}, "are not all from 100 up to 600", refuses},
	{"payload of a health check", func(p *parts) {
		p.cluster.HealthChecks = healthCheck(&corev3.HealthCheck_TcpHealthCheck_{TcpHealthCheck: &corev3.HealthCheck_TcpHealthCheck{
			Send: &corev3.HealthCheck_Payload{Payload: &corev3.HealthCheck_Payload_Text{Text: "PING"}},
		}})
	}, "text is not in hexadecimal", refuses},
	{"two limits", func(p *parts) {
		p.cluster.CircuitBreakers = &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{{}, {MaxRetries: wrapperspb.UInt32(1)}}}
	}, "two thresholds are for the priority DEFAULT", takes},
	{"ejection that shrinks", func(p *parts) {
		p.cluster.OutlierDetection = &clusterv3.OutlierDetection{BaseEjectionTime: durationpb.New(time.Minute), MaxEjectionTime: durationpb.New(time.Second)}
	}, "max_ejection_time 1s is less than base_ejection_time 1m0s", refuses},
	{"what the messages themselves refuse", func(p *parts) { p.cluster.ConnectTimeout = durationpb.New(0) }, "value must be greater than 0s", refuses},
}

func regexMatch(expr string) *routev3.RouteMatch {
	return &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: expr}}}
}

func setHeader(name, value string) []*corev3.HeaderValueOption {
	return []*corev3.HeaderValueOption{{Header: &corev3.HeaderValue{Key: name, Value: value}}}
}

func weights(all ...uint32) *routev3.RouteAction_WeightedClusters {
	w := &routev3.WeightedCluster{}
	for _, n := range all {
		w.Clusters = append(w.Clusters, &routev3.WeightedCluster_ClusterWeight{Name: "to", Weight: wrapperspb.UInt32(n)})
	}
	return &routev3.RouteAction_WeightedClusters{WeightedClusters: w}
}

func healthCheck(http interface{}) []*corev3.HealthCheck {
	check := &corev3.HealthCheck{
		Timeout: durationpb.New(time.Second), Interval: durationpb.New(time.Second),
		UnhealthyThreshold: wrapperspb.UInt32(1), HealthyThreshold: wrapperspb.UInt32(1),
	}
	switch h := http.(type) {
	case *corev3.HealthCheck_HttpHealthCheck_:
		check.HealthChecker = h
	case *corev3.HealthCheck_TcpHealthCheck_:
		check.HealthChecker = h
	}
	return []*corev3.HealthCheck{check}
}
