// Package snapshot is one complete, immutable configuration of the proxy. The
// decoders build it; the engine swaps it in with one atomic store, so that no
// request ever sees half an update.
package snapshot

import (
	"crypto/tls"
	"crypto/x509"
	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	"net/netip"
	"time"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/http2"
	"github.com/meshc/meshc/dataplane/proxyprotocol"
	"github.com/meshc/meshc/dataplane/route"
)

// Config is everything the engine needs. Maps are keyed by xDS name and are
// never changed after the Config is handed over.
type Config struct {
	Digest    string // of the resources it was built from
	Listeners map[string]*Listener
	Clusters  map[string]*Cluster
}

// Listener is where connections are taken: at addresses to which it is bound, or
// from another listener.
type Listener struct {
	Name string
	Addr netip.AddrPort
	Also []netip.AddrPort // further addresses
	// Unbound: the addresses are those to which connections were going that
	// another listener hands on.
	Unbound bool
	// OriginalDst: connections come by a redirect, and where they were going
	// before counts as their local address (Envoy's original_dst).
	OriginalDst bool
	// HandOn, of a listener with OriginalDst: connections that were going to the
	// address of another listener, or to any address at its port where it has the
	// unspecified one, are that one's (use_original_dst).
	HandOn bool
	// ProxyProtocol: a connection begins with a header that says whose it is.
	ProxyProtocol bool
	// InspectTLS: peek at the first bytes to choose a chain by transport
	// protocol (Envoy's tls_inspector).
	InspectTLS bool
	// InspectPorts, where there are any, are the local ports of the connections
	// that are peeked at.
	InspectPorts []uint16
	Chains       []*Chain
	// InspectTimeout bounds the header and the peek; 0 = 15 s.
	InspectTimeout time.Duration
}

// Addresses are all addresses of the listener.
func (l *Listener) Addresses() []netip.AddrPort {
	return append([]netip.AddrPort{l.Addr}, l.Also...)
}

// Peers judges who is at the other end of connections, for as long as they last. It is
// comparable.
type Peers interface {
	// Trusts gives an error when the trust bundle of now does not vouch any more for
	// the certificates that a peer has shown in its handshake, leaf first.
	Trusts([]*x509.Certificate) error
}

// Chain is one filter chain. Those that are for the connection's local port come
// before all that are for every port; of those whose ServerNames fit best, the
// first whose TransportProtocol fits is taken, and of its like the one with the
// longest of Sources.
type Chain struct {
	Name              string
	Port              uint16         // the local port; 0: every port
	TransportProtocol string         // "", "tls" or "raw_buffer"
	ServerNames       []string       // "a.example" or "*.example", in lower case; none: every name
	Sources           []netip.Prefix // networks of clients; none: every one
	TLS               *tls.Config    // nil: plaintext
	Peers             Peers          // of TLS; nil: clients are not verified
	HandshakeTimeout  time.Duration
	Limit             *ConnectionLimit // nil: none
	HTTP              *HTTP            // either this
	TCP               *TCP             // or that
}

// ConnectionLimit bounds the connections of a chain: what is beyond is closed at
// once.
type ConnectionLimit struct {
	StatPrefix string
	Max        uint64 // at once, above 0
}

// AccessLogs are those of the chain, whatever it carries.
func (c *Chain) AccessLogs() []AccessLog {
	if c.TCP != nil {
		return c.TCP.AccessLogs
	}
	return c.HTTP.AccessLogs
}

// HTTP is a connection manager.
type HTTP struct {
	StatPrefix string
	Direction  string // "inbound", "outbound" or ""
	Routes     *route.Table
	Filters    []filter.HTTP // in order, the router left out
	AccessLogs []AccessLog
	Tracing    *Tracing // nil: no spans

	// RemoveEarly are header fields of requests, in lower case, that are taken out
	// before anything else looks at them.
	RemoveEarly []string

	ServerName            string        // "" = leave the upstream's Server header
	IdleTimeout           time.Duration // of a keep-alive connection, 0 = 1 h, below 0 = none
	RequestHeadersTimeout time.Duration // from first byte to end of head, 0 = 10 s, below 0 = none
	MaxConnectionDuration time.Duration // after which a connection is drained, 0 = none
	StreamIdleTimeout     time.Duration // 0 = 5 min
	DrainTimeout          time.Duration
	MaxRequestHeadersKiB  int // 0 = 60
	MaxHeaders            int // 0 = 100

	// ForwardClientCert is Envoy's forward_client_cert_details.
	ForwardClientCert ForwardClientCert
	GenerateRequestID bool

	Codec            Codec
	HTTP2            HTTP2
	UseRemoteAddress bool // edge: x-forwarded-for gets the peer's address
	TrustedHops      int  // proxies in front of an edge that are believed about the client

	// Trusted are the networks of proxies in front that are believed about the
	// client; not with UseRemoteAddress.
	Trusted []netip.Prefix
}

// ForwardClientCert says what happens to x-forwarded-client-cert.
type ForwardClientCert uint8

// Modes. SanitizeSet replaces it by "By=<own URI>;Hash=…;URI=<peer URI>" as configured.
const (
	SanitizeXFCC ForwardClientCert = iota
	ForwardOnlyXFCC
	AppendForwardXFCC
	SanitizeSetXFCC
	AlwaysForwardOnlyXFCC
)

// AccessLog is one sink. Format is compiled by the telemetry package.
type AccessLog struct {
	Path       string   // "/dev/stdout" or a file
	OTLP       *OTLPLog // in place of a file; JSONFormat are the attributes then
	TextFormat string   // Envoy's command operators; "" = JSON
	JSONFormat map[string]string
	Filter     *accesslogv3.AccessLogFilter // nil: every request; compiled by the telemetry package as well
}

// OTLPLog is a collector that takes records.
type OTLPLog struct {
	Collector
	Name     string            // of the log
	Resource map[string]string // attributes of who writes it
}

// Codec says which protocols a connection manager speaks (codec_type).
type Codec uint8

// Codecs. Auto goes by what the TLS handshake has agreed on, else by the first
// bytes.
const (
	CodecAuto Codec = iota
	CodecHTTP1
	CodecHTTP2
)

// Upstream says which protocol a cluster is spoken to in.
type Upstream uint8

// Upstream protocols.
const (
	UpstreamHTTP1 Upstream = iota
	UpstreamHTTP2
	UpstreamAsDownstream // use_downstream_protocol_config
)

// HTTP2 are the options of HTTP/2 connections; 0 is the default of each.
type HTTP2 struct {
	MaxStreams   uint32 // at once: 100
	StreamWindow uint32 // bytes of body that a stream may have under way: 64 KiB, and more where they are read
	ConnWindow   uint32 // the same of all streams together: 1 MiB
	Pings        *Pings // to endpoints; nil: none
}

// Pings find connections whose other end hangs: one that sends nothing within
// Timeout after a ping is closed. Up to 15 % of Interval is added to each, at
// random.
type Pings struct{ Interval, Timeout time.Duration }

// Apply puts what is set in place of defaults.
func (h HTTP2) Apply(c *http2.Config) {
	if h.MaxStreams > 0 {
		c.MaxStreams = h.MaxStreams
	}
	if h.StreamWindow > 0 {
		c.StreamWindow, c.Grow = h.StreamWindow, 0
	}
	if h.ConnWindow > 0 {
		c.ConnWindow = h.ConnWindow
	}
}

// LBPolicy of a cluster.
type LBPolicy uint8

// Policies.
const (
	RoundRobin LBPolicy = iota
	LeastRequest
	Random
	RingHash
	Maglev
)

// Cluster is one upstream. Two Clusters with equal Digest are the same for
// connection pools: a swap keeps the pool.
type Cluster struct {
	Name           string
	Digest         string                // of everything but Endpoints
	ConnectTimeout time.Duration         // 0 = 5 s
	IdleTimeout    time.Duration         // of a pooled connection, 0 = 1 h, below 0 = none
	TLS            *tls.Config           // nil: plaintext
	Peers          Peers                 // of TLS; nil: servers are not verified
	Announce       proxyprotocol.Version // what tells endpoints whose a connection is
	LB             LBPolicy
	Balance        Balance
	Outliers       *Outliers // nil: nobody looks
	Health         *Health   // nil: nobody asks
	Protocol       Upstream
	HTTP2          HTTP2
	Endpoints      []Endpoint
	// Overprovisioning is Envoy's factor, in percent: 140 says that 100 of 140
	// endpoints of a priority, or a locality, carry all of its load. 0 = 140.
	Overprovisioning uint32
	Party            Party // who serves it
	Track            Track // what is counted beside the usual

	// Circuit breaker of the default priority; 0 = Envoy's default
	// (1024, 1024, 1024, 3).
	MaxConnections, MaxPending, MaxRequests, MaxRetries uint32
	// RetryBudget takes the place of MaxRetries; nil: there is none.
	RetryBudget *RetryBudget

	MaxRequestsPerConnection uint32        // 0 = no limit
	MaxConnectionDuration    time.Duration // after which a connection takes no new requests; 0 = no limit
	Keepalive                *Keepalive    // of TCP; nil: off
}

// Track is what is counted of a cluster beside the usual (track_cluster_stats).
type Track struct{ Budgets, Sizes, Endpoints bool }

// RetryBudget limits the retries at once by the requests that are active or wait.
type RetryBudget struct {
	Percent float64 // of the requests; Envoy's default is 20
	Min     uint32  // retries that are always allowed; Envoy's default is 3
}

// Keepalive are TCP's probes of a silent connection; 0 is the system's default.
type Keepalive struct {
	Probes         int
	Time, Interval time.Duration // whole seconds
}

// Endpoint is one address of a cluster.
type Endpoint struct {
	Addr    netip.AddrPort
	Weight  uint32 // ≥ 1
	Healthy bool
	Asked   netip.AddrPort // where health checks go; not valid: Addr

	Priority       uint32 // 0 comes first
	Locality       Locality
	LocalityWeight uint32 // of all endpoints of the locality, among those of the priority
}

// Locality is where an endpoint runs.
type Locality struct{ Region, Zone, SubZone string }
