// Package model is the resolved mesh: every name looked up, every default
// filled, every list in its final order. It holds plain data, free of CUE,
// Envoy and Kubernetes types. lower produces it; check (second list), emit,
// route and diff consume it.
package model

import (
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/diag"
)

// Ref names a service, gateway or external: names are unique per namespace
// over services and externals together.
type Ref struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// String gives "namespace/name".
func (r Ref) String() string { return r.Namespace + "/" + r.Name }

// Origin is where a thing was written; its zero value means a built-in default.
type Origin = diag.Range

// Mesh is one whole mesh. Services, Gateways and Externals are sorted by Ref.
type Mesh struct {
	Name        string
	TrustDomain string
	Aliases     []string // other trust domains whose identities count as those of TrustDomain; sorted
	Services    []*Service
	Gateways    []*Gateway
	Externals   []*External
	Raw         []Raw // of Envoy's own configuration, by name
}

// MTLSMode says what an inbound port accepts.
type MTLSMode string

// Modes: strict takes mutual TLS only, permissive both, disable plaintext only.
const (
	MTLSStrict     MTLSMode = "strict"
	MTLSPermissive MTLSMode = "permissive"
	MTLSDisable    MTLSMode = "disable"
)

// Protocol of a port, declared and never sniffed.
type Protocol string

// Protocols that this version routes.
const (
	HTTP Protocol = "http"
	GRPC Protocol = "grpc"
	TCP  Protocol = "tcp"
)

// Service is one service of the mesh.
type Service struct {
	Ref
	Owner          string
	Host           string // fully qualified DNS name
	ServiceAccount string
	SPIFFEID       string   // spiffe://<trust-domain>/ns/<ns>/sa/<sa>
	Aliases        []string // trust domains of which its proxies may be as well; sorted
	Ports          []Port   // by number
	Versions       []Version
	Uses           []Ref    // services and externals, sorted
	Routes         []*Route // in match order; the first whose Match and Port accept wins
	MTLS           MTLSMode
	Migration      *Migration   // why MTLS is permissive for a while; nil: none
	Allow          []Rule       // any-of; none = nobody
	Deny           []Rule       // any-of; before Allow
	Audit          []Rule       // any-of; logged as such
	RateLimits     []RateLimit  // by name
	Compression    *Compression // of responses of http ports; nil: none
	Buffer         *Buffer      // of requests to http ports; nil: none
	Admission      *Admission   // of requests to http and grpc ports; nil: none
	JWT            []JWT        // by name; before Deny
	Public         []Rule       // any-of; what needs no valid token
	Authorizer     *Authorizer  // nil: nobody is asked
	AccessLog      AccessLog
	Metrics        *Metrics  // nil: the standard profile
	Tracing        *Tracing  // nil: none
	Injection      Injection // how its pods get a proxy
	Envoy          bool      // stock Envoy, and not meshc-proxy, is meant to run beside its workloads
	Origin         Origin
}

// Port is one port of a service or external.
type Port struct {
	Name     string
	Number   uint16
	Protocol Protocol
	MTLS     MTLSMode // "" = that of the service; never of an external
	// MaxConnections is how many at once each workload's proxy takes; 0 = no limit.
	// Never of an external.
	MaxConnections uint32
	Origin         Origin
}

// Version is one deployable version; sorted by name.
type Version struct {
	Name    string
	Labels  map[string]string
	Traffic *Traffic // nil: built-in defaults
	Origin  Origin
}

// Route is one rule of a service. A request that no rule takes gets 404.
type Route struct {
	Name            string
	Ports           []uint16      // service ports it applies to, sorted
	From            []Caller      // in whose proxies it exists, sorted by Ref; empty = every caller
	Match           []Match       // any-of; empty = every request
	Split           []Split       // basis points sum to 10,000; zero-weight versions are kept out
	NotFound        bool          // answers 404 and has no Split: a gateway's rule took what no rule of its service takes
	Redirect        *Redirect     // answers so, and has no Split
	Respond         *Respond      // answers so, and has no Split
	Rewrite         *Rewrite      // nil: the request goes on as it came
	Timeout         time.Duration // whole request, 0 = no limit
	TimeoutOrigin   Origin        // zero: built-in default
	MaxDuration     time.Duration // whole exchange with its streams, 0 = no limit
	IdleTimeout     time.Duration // without a byte, 0 = the built-in default or Timeout if longer
	Hash            []HashKey     // in order; for versions whose Balance hashes
	Sticky          *HashKey      // what keeps one user with one destination of Split; nil: nothing
	Mirror          []Mirror      // by version
	Upgrades        []string      // "websocket"
	CORS            *CORS         // nil: browsers are told nothing
	Retry           *Retry        // nil: none
	RequestHeaders  HeaderOps
	ResponseHeaders HeaderOps
	Delay           *Delay
	Abort           *Abort
	Bandwidth       *Bandwidth
	Faulted         []*Faulted // what Delay, Abort and Bandwidth come to where they are not for every request
	Origin          Origin
}

// BasisPointsWhole is 100 %.
const BasisPointsWhole = 10_000

// Split is one destination of a route. Its changes of headers come before the
// route's.
type Split struct {
	Version         string
	BasisPoints     uint32 // hundredths of a percent
	RequestHeaders  HeaderOps
	ResponseHeaders HeaderOps
	Origin          Origin
}

// HeaderOps are applied in the order remove, set, add. Names are lower case,
// lists sorted by name.
type HeaderOps struct {
	Set    []Header
	Add    []Header
	Remove []string
}

// Header is one name and value.
type Header struct{ Name, Value string }

// Gateway is one ingress or egress gateway.
type Gateway struct {
	Ref
	ServiceAccount string
	SPIFFEID       string
	Egress         bool              // it takes what services send to externals, and has no listeners
	Listeners      []GatewayListener // by port
	AllowOnly      bool              // what Allow takes is let in, and nothing else
	Allow          []Rule            // any-of
	Deny           []Rule            // any-of; before Allow
	Audit          []Rule            // any-of; logged as such
	RateLimits     []RateLimit       // by name
	Compression    *Compression      // of responses; nil: none
	Buffer         *Buffer           // of requests; nil: none
	JWT            []JWT             // by name; before Deny
	Public         []Rule            // any-of; what needs no valid token
	Authorizer     *Authorizer       // nil: nobody is asked
	AccessLog      AccessLog
	Metrics        *Metrics // nil: the standard profile
	Tracing        *Tracing // nil: none
	Envoy          bool     // it is meant to be stock Envoy, and not meshc-proxy
	Timeouts       GatewayTimeouts
	TrustedHops    uint32   // proxies in front that are believed
	TrustedCIDRs   []string // networks of proxies in front that are believed, sorted; then TrustedHops is 0
	ServerHeader   string   // of responses; "" is the service's own
	Origin         Origin
}

// GatewayListener is one open port and its hosts' routes. Of TLS a host is a
// server name (SNI), and of TCP there is "*" only; each has one route.
type GatewayListener struct {
	Name     string
	Port     uint16
	Protocol Protocol     // HTTP, HTTPS, TLS or TCP
	Bind     string       // the IP address that it is open on; "": where discovery says
	TLS      *ListenerTLS // of HTTPS
	// ProxyProtocol: every connection begins with a header that says who the client is.
	ProxyProtocol  bool
	MaxConnections uint32 // at once, of each proxy; 0 = no limit
	// Redirect, when set, is the answer to every request for one of
	// RedirectHosts, and there are no Hosts.
	Redirect      *Redirect
	RedirectHosts []string // host patterns, as CompareHosts orders them
	Hosts         []GatewayHost
	Origin        Origin
}

// GatewayHost is the route table of one host pattern ("*", "*.example.com" or
// an exact name).
type GatewayHost struct {
	Host   string
	Routes []*GatewayRoute // in match order
}

// GatewayRoute is a gateway's rule met with one rule of the service it names:
// Route already holds the conjunction of both matches, and what both change. A
// rule that answers by itself has its own name, and no Service.
type GatewayRoute struct {
	Name            string // "<gateway route>/<service route>"
	Service         Ref
	Port            uint16
	Route           *Route
	Rewrite         *Rewrite  // the gateway's own
	RequestHeaders  HeaderOps // the gateway's own
	ResponseHeaders HeaderOps // the gateway's own
	Origin          Origin
}

// Rule is the name of the gateway's rule that r comes from.
func (r *GatewayRoute) Rule() string {
	name, _, _ := strings.Cut(r.Name, "/")
	return name
}

// Itself says that the gateway answers, and no service.
func (r *GatewayRoute) Itself() bool {
	return r.Service == Ref{} && r.Route != nil && r.Route.Answers() && !r.Route.NotFound
}

// External is a service outside the mesh.
type External struct {
	Ref
	Host      string
	Ports     []Port
	Via       *Via     // nil: callers go there themselves
	Endpoints []string // "ip:port", sorted; empty = DNS on Host
	Announce  string   // the version of the PROXY protocol that connections begin with: "v1", "v2"; "" is none
	Timeout   time.Duration
	// TimeoutOrigin is zero for the built-in default.
	TimeoutOrigin Origin
	Traffic       *Traffic     // nil: built-in defaults
	TLS           *ExternalTLS // nil: plaintext
	Origin        Origin
}
