// Package route holds route tables: from a request head to the Entry that says
// where it goes and how. Tables are immutable and safe for concurrent use.
package route

import "time"

// Entry is one matched route, in terms the engine acts on.
type Entry struct {
	Name     string // route name, for logs
	Clusters []WeightedCluster
	Total    uint64 // sum of weights
	// Keyed: the hash of the request's keys takes the place of the random value
	// in the choice of a cluster (use_hash_policy).
	Keyed bool
	// Counted says under which name requests of the route are counted; nil: they are not.
	Counted *Counted
	// Direct answers without an upstream when Status is not 0.
	Direct DirectResponse
	// Redirect, with Direct's status, says the URL that it sends to; nil: none.
	Redirect *Redirect
	// Rewrite is what upstreams get in place of the request's own; nil: nothing.
	Rewrite *Rewrite

	Timeout time.Duration // whole request, 0 = none
	Idle    time.Duration // stream idle, 0 = the connection manager's
	Retry   *Retry        // nil: none
	Hash    []HashKey     // of clusters whose policy hashes
	// Mirrors are the copies of requests that go elsewhere too.
	Mirrors []Mirror
	// Upgrades are the protocols that requests may change to, in lower case.
	Upgrades []string
	// MaxDuration bounds the stream from its first byte to its last; nil: nothing does.
	MaxDuration *Duration

	// Request and Response are applied in order: remove, then the appends
	// (HeaderMutations.Apply). The chosen WeightedCluster's come before them.
	Request  HeaderMutations
	Response HeaderMutations

	// PerFilter is the typed per-route config of each filter, by filter name.
	PerFilter map[string]any
	// Metadata is the route's meshc.dev filter metadata (source, commit).
	Metadata map[string]string
}

// Counted is the name of a route in statistics.
type Counted struct{ VirtualHost, Prefix string }

// Duration is Envoy's RouteAction.max_stream_duration.
type Duration struct {
	Max time.Duration // 0 = none
	// HeedGRPC: a request's grpc-timeout counts in place of Max. It is cut to
	// GRPCMax, when that is not 0, and shortened by GRPCOffset.
	HeedGRPC            bool
	GRPCMax, GRPCOffset time.Duration
}

// WeightedCluster is one destination of a split.
type WeightedCluster struct {
	Name     string
	Weight   uint64
	Request  HeaderMutations
	Response HeaderMutations
}

// DirectResponse is a reply made by the proxy.
type DirectResponse struct {
	Status int
	Body   string
}

// Retry is Envoy's retry policy, decoded.
type Retry struct {
	On             RetryOn
	Statuses       []int // retriable_status_codes
	Attempts       int   // number of retries after the first try
	PerTry         time.Duration
	BackoffBase    time.Duration            // default 25 ms
	BackoffMax     time.Duration            // default 10 × base
	PerTryIdle     time.Duration            // silence of an attempt from the end of the request, 0 = none
	AvoidTried     bool                     // endpoints that were tried are drawn again (previous_hosts) …
	HostDraws      int                      // … at most so often; default 1
	Resets         []ResetHeader            // which response headers say when to come back; the first that does
	ResetMax       time.Duration            // longer pauses are not heeded; default 300 s
	RequestMatches func(method string) bool // nil: every method
}

// ResetHeader is a response header that says how long to wait.
type ResetHeader struct {
	Name string // lower case
	Unix bool   // seconds since 1970; else seconds to wait
}

// RetryOn is a set of retry conditions.
type RetryOn uint32

// Conditions, named as in x-envoy-retry-on.
const (
	RetryConnectFailure RetryOn = 1 << iota
	RetryRefusedStream
	RetryReset
	RetryResetBeforeRequest
	RetryGatewayError
	Retry5xx
	RetryRetriable4xx
	RetryRetriableStatusCodes
	RetryGRPCCancelled
	RetryGRPCDeadlineExceeded
	RetryGRPCInternal
	RetryGRPCResourceExhausted
	RetryGRPCUnavailable

	// RetryGRPC is any of the conditions on a grpc-status.
	RetryGRPC = RetryGRPCCancelled | RetryGRPCDeadlineExceeded | RetryGRPCInternal | RetryGRPCResourceExhausted | RetryGRPCUnavailable
)

// HeaderMutations change header fields: first Remove, then each of Mutate in
// order.
type HeaderMutations struct {
	Remove []string
	Mutate []HeaderMutation
	// Then is the next, less specific level (virtual host, then route
	// configuration); Apply runs the whole chain.
	Then *HeaderMutations
}

// HeaderMutation appends or overwrites one field (Envoy's append_action).
type HeaderMutation struct {
	Name, Value string
	Action      AppendAction
}

// AppendAction as in Envoy's HeaderValueOption.
type AppendAction uint8

// Actions.
const (
	AppendIfExistsOrAdd AppendAction = iota
	AddIfAbsent
	OverwriteIfExistsOrAdd
	OverwriteIfExists
)

// Pick chooses a destination by the stream's random value, as Envoy does:
// random % total, then the running sum.
func (e *Entry) Pick(random uint64) *WeightedCluster {
	if len(e.Clusters) == 1 {
		return &e.Clusters[0]
	}
	if e.Total == 0 {
		return nil
	}
	v := random % e.Total
	for i := range e.Clusters {
		if v < e.Clusters[i].Weight {
			return &e.Clusters[i]
		}
		v -= e.Clusters[i].Weight
	}
	return nil
}
