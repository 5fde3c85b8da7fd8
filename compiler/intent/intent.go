// Package intent is what the user wrote, as Go data: every node carries the
// range it came from, nothing is defaulted and nothing is resolved. load
// produces it, check judges it, lower consumes it.
package intent

import "github.com/meshc/meshc/compiler/diag"

// Value is a scalar with the place it was written at.
type Value[T any] struct {
	V  T
	At diag.Range
}

// Mesh is one mesh directory. Lists are in source order: by file, then by
// position in the file.
type Mesh struct {
	Config    Config
	Services  []*Service
	Gateways  []*Gateway
	Externals []*External
	// Suppressions are the @meshc attributes of the files that were loaded.
	Suppressions []diag.Suppression
	// Rules are the files of rules, for those who judge by them.
	Rules []RuleFile
}

// Config is the top-level `mesh:` struct. A nil field was not written.
type Config struct {
	Name        *Value[string]
	TrustDomain *Value[string]
	Aliases     []Value[string] // other trust domains that count as this one
	MTLS        *Value[string]  // strict | permissive | disable
	Migration   *Migration
	Proxy       *Value[string] // meshc | envoy
	Telemetry   *Telemetry
	Workload    *Workload
	Raw         []*Raw
	Features    []Feature
	Traffic     *Traffic

	RateLimitService *RateLimitService
	Expect           []*ExpectMesh
	Policies         []*Policy

	At diag.Range
}

// Feature is a written field that not every kind of proxy serves: Row is the
// field of its row in the capability table (compiler/target).
type Feature struct {
	Row string
	At  diag.Range
}

// Service is one entry of `service:`, evaluated in its home directory.
type Service struct {
	Name           Value[string]
	Home           string // directory of the home instance, relative to the module root, "." for the root
	Namespace      *Value[string]
	Owner          *Value[string]
	Host           *Value[string]
	ServiceAccount *Value[string]
	Ports          []*Port
	Versions       []*Version
	Uses           []*Use
	Routes         []*Route
	Faults         []*Fault
	RateLimits     []*RateLimit
	Compression    *Compression
	Buffer         *Buffer
	Admission      *Admission
	Security       *Security
	Proxy          *Value[string] // meshc | envoy
	Telemetry      *Telemetry
	Workload       *Workload
	Features       []Feature
	Traffic        *Traffic
	Expect         []*Expect
	At             diag.Range // the label
}

// Port is one named port.
type Port struct {
	Name     Value[string]
	Number   Value[int]
	Protocol Value[string] // http | grpc | tcp | tls
	Most     *Value[int]   // maxConnections; of a service
	At       diag.Range
}

// Version is one deployable version and the labels that select it.
type Version struct {
	Name    Value[string]
	Labels  []*KV // nil: default {version: <name>}
	Traffic *Traffic
	At      diag.Range
}

// KV is one key of a user-written map, with its value.
type KV struct {
	Key   Value[string]
	Value Value[string]
}

// Use declares a dependency: an edge of the call graph. Ref is "name" (same
// namespace) or "namespace/name" of a service or an external.
type Use struct {
	Ref Value[string]
	At  diag.Range
}

// Route sends the requests that any of Match accepts (all, when empty) to
// versions by weight.
type Route struct {
	Name            Value[string]
	Port            *Value[string]  // name of a port; nil: every HTTP-family port
	From            []Value[string] // callers; nil: not written
	Match           []*Match
	Except          []*Match
	To              []*Weight
	Destinations    []*Destination
	Redirect        *Redirect
	Respond         *Respond
	Rewrite         *Rewrite
	Timeout         *Value[string] // Go-like duration, "0s" = none
	MaxDuration     *Value[string]
	IdleTimeout     *Value[string]
	Hash            []*HashKey
	Sticky          *Sticky
	Mirror          []*Mirror
	Upgrades        []Value[string] // websocket
	CORS            *CORS
	Retries         *Retries
	RequestHeaders  *HeaderOps
	ResponseHeaders *HeaderOps
	Before          []Value[string]
	After           []Value[string]
	At              diag.Range
}

// Weight is one destination of a split. Percent is the literal as written
// ("90", "0.5"), so that lower can parse it as a decimal and never as a float.
type Weight struct {
	Version Value[string]
	Percent Value[string]
}

// HeaderOps changes headers of a request or a response.
type HeaderOps struct {
	Set    []*KV
	Add    []*KV
	Remove []Value[string]
	At     diag.Range
}

// Gateway is one entry of `gateway:`.
type Gateway struct {
	Name           Value[string]
	Home           string
	Namespace      *Value[string]
	ServiceAccount *Value[string]
	Kind           *Value[string] // ingress | egress
	Listeners      []*GatewayListener
	Routes         []*GatewayRoute
	Timeouts       *GatewayTimeouts
	TrustedHops    *Value[int]
	TrustedCIDRs   []Value[string]
	ServerHeader   *Value[string]
	RateLimits     []*RateLimit
	Compression    *Compression
	Buffer         *Buffer
	Security       *Security
	Proxy          *Value[string] // meshc | envoy
	Telemetry      *Telemetry
	Features       []Feature
	Expect         []*Expect
	At             diag.Range
}

// GatewayListener is one port that a gateway opens.
type GatewayListener struct {
	Name     Value[string]
	Port     Value[int]
	Protocol Value[string] // http | https | tls | tcp
	Hosts    []Value[string]
	Bind     *Value[string]
	TLS      *ListenerTLS
	Redirect *Value[bool] // redirectToHTTPS
	Proxied  *Value[bool] // proxyProtocol
	Most     *Value[int]  // maxConnections
	At       diag.Range
}

// GatewayRoute hands the requests that it matches to a service, whose own
// routes then choose the version.
type GatewayRoute struct {
	Name     Value[string]
	Listener *Value[string]  // nil: every http and https listener, else every tls and tcp one
	Hosts    []Value[string] // nil: the hosts of the listener
	Match    []*Match
	Except   []*Match
	To       Value[string] // service reference; "" where Redirect or Respond is written
	Port     *Value[string]
	Redirect *Redirect
	Respond  *Respond
	Rewrite  *Rewrite

	RequestHeaders  *HeaderOps
	ResponseHeaders *HeaderOps

	Before []Value[string]
	After  []Value[string]
	At     diag.Range
}

// External is a service outside the mesh, one entry of `external:`.
type External struct {
	Name      Value[string]
	Home      string
	Namespace *Value[string]
	Host      Value[string] // DNS name
	Ports     []*Port
	Via       *Value[string]  // reference to an egress gateway
	Endpoints []Value[string] // "ip:port"; nil: resolve Host by DNS
	Timeout   *Value[string]
	Announce  *Value[string] // of the PROXY protocol: "v1" or "v2"
	Features  []Feature
	Traffic   *Traffic
	TLS       *ExternalTLS
	At        diag.Range
}
