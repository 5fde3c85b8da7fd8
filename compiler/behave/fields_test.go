package behave_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/model"
)

// considered are the fields of the model that the outcome functions know: each
// is part of an outcome, part of a condition, or no behaviour of requests
// (names, owners, origins, logs and the kind of the proxy; Uses and the gateway's own part of a route are
// told by callers and by the route that it ends in).
var considered = map[reflect.Type]string{
	reflect.TypeFor[model.Service]():    "Ref Owner Host ServiceAccount SPIFFEID Aliases Ports Versions Uses Routes MTLS Migration Allow Deny Audit RateLimits Compression Buffer Admission JWT Public Authorizer AccessLog Metrics Tracing Injection Envoy Origin",
	reflect.TypeFor[model.Injection]():  "Off ExcludeInbound IncludeOutbound ExcludeOutbound ExcludeOutboundPorts UID KeepProbes Unheld Drain Image AgentImage LogLevel Requests Limits Origin",
	reflect.TypeFor[model.Quantities](): "CPU Memory",
	reflect.TypeFor[model.Port]():       "Name Number Protocol MTLS MaxConnections Origin",
	reflect.TypeFor[model.Version]():    "Name Labels Traffic Origin",
	reflect.TypeFor[model.Route](): "Name Ports From Match Split NotFound Redirect Respond Rewrite Timeout TimeoutOrigin MaxDuration IdleTimeout Hash Sticky Mirror Upgrades CORS Retry " +
		"RequestHeaders ResponseHeaders Delay Abort Bandwidth Faulted Origin",
	reflect.TypeFor[model.Split]():            "Version BasisPoints RequestHeaders ResponseHeaders Origin",
	reflect.TypeFor[model.Retry]():            "Attempts On Statuses PerTry PerTryIdle Methods Backoff AvoidTried RateLimited Origin",
	reflect.TypeFor[model.HeaderOps]():        "Set Add Remove",
	reflect.TypeFor[model.Delay]():            "FaultScope Name Fixed BasisPoints Until Origin",
	reflect.TypeFor[model.Abort]():            "FaultScope Name Status GRPCStatus BasisPoints Until Origin",
	reflect.TypeFor[model.Bandwidth]():        "FaultScope Name KiBPerSecond BasisPoints Until Origin",
	reflect.TypeFor[model.FaultScope]():       "Match From MaxActive",
	reflect.TypeFor[model.Caller]():           "Ref SPIFFEID",
	reflect.TypeFor[model.Faulted]():          "Match Delay Abort Bandwidth",
	reflect.TypeFor[model.Redirect]():         "Scheme Host Port Path Rewrite Status StripQuery Origin",
	reflect.TypeFor[model.Respond]():          "Status Body ContentType Origin",
	reflect.TypeFor[model.Rewrite]():          "Host Path Origin",
	reflect.TypeFor[model.HashKey]():          "From Name Terminal Origin",
	reflect.TypeFor[model.Rule]():             "Any Authenticated Aliases Principals NotPrincipals Namespaces NotNamespaces IPs NotIPs ClientIPs NotClientIPs Ports NotPorts Hosts NotHosts Methods NotMethods Paths NotPaths Headers Claims Origin",
	reflect.TypeFor[model.Ref]():              "Namespace Name",
	reflect.TypeFor[model.Keepalive]():        "Time Interval Probes Origin",
	reflect.TypeFor[model.Connections]():      "Max MaxPending MaxRequests MaxRetries Clients RequestsPerConnection ConcurrentStreams Idle MaxAge Keepalive Pings Origin",
	reflect.TypeFor[model.Pings]():            "Interval Timeout Origin",
	reflect.TypeFor[model.RetryBudget]():      "BasisPoints MinConcurrency Origin",
	reflect.TypeFor[model.SuccessRate]():      "MinHosts MinRequests StdevHundredths Origin",
	reflect.TypeFor[model.FailurePercent]():   "Threshold MinHosts MinRequests Origin",
	reflect.TypeFor[model.Outliers]():         "Statuses Consecutive5xx ConsecutiveGateway ConsecutiveLocal SuccessRate FailurePercent Interval Ejection MaxEjection MaxPercent AtLeastOne Origin",
	reflect.TypeFor[model.StatusRange]():      "From To",
	reflect.TypeFor[model.HealthHTTP]():       "Path Host Statuses",
	reflect.TypeFor[model.HealthTCP]():        "Send Receive",
	reflect.TypeFor[model.HealthGRPC]():       "Service Authority",
	reflect.TypeFor[model.Health]():           "HTTP TCP GRPC Interval Timeout HealthyAfter UnhealthyAfter Port Origin",
	reflect.TypeFor[model.SlowStart]():        "Window MinBasisPoints AggressionHundredths Origin",
	reflect.TypeFor[model.Balance]():          "Policy Choices RingMin RingMax Table SlowStart PanicBasisPoints Origin",
	reflect.TypeFor[model.Traffic]():          "ConnectTimeout ConnectTimeoutOrigin Connections RetryBudget Outliers Health Balance Locality",
	reflect.TypeFor[model.Migration]():        "Until Origin",
	reflect.TypeFor[model.Locality]():         "Region Zone SubZone",
	reflect.TypeFor[model.LocalityPolicy]():   "Mode Failover Distribute MinCluster Origin",
	reflect.TypeFor[model.Failover]():         "From To Origin",
	reflect.TypeFor[model.Distribution]():     "From To Origin",
	reflect.TypeFor[model.PlaceShare]():       "Place BasisPoints",
	reflect.TypeFor[model.PathMatch]():        "Kind Value IgnoreCase Not",
	reflect.TypeFor[model.NamedMatch]():       "Name Kind Value Not Yields",
	reflect.TypeFor[model.Header]():           "Name Value",
	reflect.TypeFor[model.Substitution]():     "Pattern Text",
	reflect.TypeFor[model.Backoff]():          "Base Max",
	reflect.TypeFor[model.RateLimited]():      "Header UnixTime Max",
	reflect.TypeFor[model.LogFilter]():        "MinStatus MinDuration ErrorsOnly BasisPoints Headers",
	reflect.TypeFor[model.Metrics]():          "Profile Drop Origin",
	reflect.TypeFor[model.AccessLog]():        "Off To OTLP Text Fields Filter Origin",
	reflect.TypeFor[model.Tracing]():          "Format Collector Path W3C BasisPoints Tags Origin",
	reflect.TypeFor[model.Collector]():        "To Port Version Origin",
	reflect.TypeFor[model.TraceTag]():         "Name From Value Default",
	reflect.TypeFor[model.GatewayRoute]():     "Name Service Port Route Rewrite RequestHeaders ResponseHeaders Origin",
	reflect.TypeFor[model.GatewayHost]():      "Host Routes",
	reflect.TypeFor[model.GatewayListener]():  "Name Port Protocol Bind TLS ProxyProtocol MaxConnections Redirect RedirectHosts Hosts Origin",
	reflect.TypeFor[model.GatewayTimeouts]():  "RequestHeaders Idle MaxConnection Origin",
	reflect.TypeFor[model.Gateway]():          "Ref ServiceAccount SPIFFEID Egress Listeners AllowOnly Allow Deny Audit RateLimits Compression Buffer JWT Public Authorizer AccessLog Metrics Tracing Envoy Timeouts TrustedHops TrustedCIDRs ServerHeader Origin",
	reflect.TypeFor[model.External]():         "Ref Host Ports Via Endpoints Announce Timeout TimeoutOrigin Traffic TLS Origin",
	reflect.TypeFor[model.Mesh]():             "Name TrustDomain Aliases Services Gateways Externals",
	reflect.TypeFor[model.RateLimit]():        "Name Routes Match Local Server Global By Status Enforced ResponseHeaders Origin",
	reflect.TypeFor[model.Admission]():        "Window SuccessBasisPoints AggressionHundredths MinRPS MaxRejectionBasisPoints Statuses GRPCStatuses Origin",
	reflect.TypeFor[model.Compression]():      "Encodings MinLength ContentTypes NotPaths Except Origin",
	reflect.TypeFor[model.Buffer]():           "MaxBytes NotPaths Except Origin",
	reflect.TypeFor[model.LocalLimit]():       "Requests Burst Per MaxKeys",
	reflect.TypeFor[model.DescriptorEntry]():  "Key Value",
	reflect.TypeFor[model.LimitKey]():         "From Name",
	reflect.TypeFor[model.RateLimitService](): "Service Port Version Domain Timeout FailOpen Origin",
	reflect.TypeFor[model.Secret]():           "Kind Name Origin",
	reflect.TypeFor[model.Certificate]():      "Secret Hosts",
	reflect.TypeFor[model.ListenerTLS]():      "Mode Certificates CA Pins Ciphers MinVersion MaxVersion Origin",
	reflect.TypeFor[model.Insecure]():         "Reason Until Origin",
	reflect.TypeFor[model.ExternalTLS]():      "Ports SNI SANs Mode CA Certificate MinVersion Insecure Origin",
	reflect.TypeFor[model.Match]():            "Paths Methods NotMethods Headers Query Cookies Claims Origin",
	reflect.TypeFor[model.JWT]():              "Name Issuer Audiences Keys From Required Forward ClaimHeaders ClockSkew Origin",
	reflect.TypeFor[model.Authorizer]():       "Service Port Version Timeout FailOpen Headers On Except MaxBody Origin",
	reflect.TypeFor[model.JWKS]():             "External Port Path Cache File",
	reflect.TypeFor[model.TokenPlace]():       "Source Name Prefix",
	reflect.TypeFor[model.ClaimHeader]():      "Header Claim",
	reflect.TypeFor[model.Mirror]():           "Service Host Port Version BasisPoints Origin",
	reflect.TypeFor[model.CORS]():             "Origins Methods Headers ExposeHeaders MaxAge HasMaxAge Credentials Origin",
	reflect.TypeFor[model.Via]():              "Gateway SPIFFEID Aliases Origin",
}

// TestEveryFieldIsConsidered fails when the model learns something that the
// comparison would overlook: whatever a mesh holds has to be listed.
func TestEveryFieldIsConsidered(t *testing.T) {
	seen := map[reflect.Type]bool{}
	var visit func(reflect.Type)
	visit = func(typ reflect.Type) {
		switch typ.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			visit(typ.Elem())
			return
		case reflect.Struct:
		default:
			return
		}
		if seen[typ] || !strings.HasSuffix(typ.PkgPath(), "/model") {
			return
		}
		seen[typ] = true
		var got []string
		for i := range typ.NumField() {
			got = append(got, typ.Field(i).Name)
			visit(typ.Field(i).Type)
		}
		if names := strings.Join(got, " "); names != considered[typ] {
			t.Errorf("%s has\n%s; package behave knows\n%s", typ, names, considered[typ])
		}
	}
	visit(reflect.TypeFor[model.Mesh]())
	for typ := range considered {
		if !seen[typ] {
			t.Errorf("no mesh holds %s any more", typ)
		}
	}
}
