package intent

import "github.com/meshc/meshc/compiler/diag"

// Traffic says how callers treat what they call. A nil block was not written.
type Traffic struct {
	ConnectTimeout *Value[string]
	Connections    *Connections
	RetryBudget    *RetryBudget
	Outliers       *Outliers
	Health         *Health
	Balance        *Balance
	Locality       *Locality
	At             diag.Range
}

// Connections limits connections and requests.
type Connections struct {
	Max, MaxPending, MaxRequests, MaxRetries *Value[int]
	Clients                                  *Value[int]
	RequestsPerConnection                    *Value[int]
	ConcurrentStreams                        *Value[int]
	Idle, MaxAge                             *Value[string]
	Keepalive                                *Keepalive
	Pings                                    *Pings
	At                                       diag.Range
}

// Keepalive of TCP; times in whole seconds.
type Keepalive struct {
	Time, Interval *Value[string]
	Probes         *Value[int]
	At             diag.Range
}

// Pings of HTTP/2.
type Pings struct {
	Interval, Timeout Value[string]
	At                diag.Range
}

// RetryBudget limits retries by a share of the requests.
type RetryBudget struct {
	Percent        Value[string]
	MinConcurrency *Value[int]
	At             diag.Range
}

// Outliers leaves endpoints out that fail.
type Outliers struct {
	Statuses                                             []Value[string] // "429" and "5xx"; nil: 5xx
	Consecutive5xx, ConsecutiveGateway, ConsecutiveLocal *Value[int]
	SuccessRate                                          *SuccessRate
	FailurePercent                                       *FailurePercent
	Interval, Ejection, MaxEjection                      *Value[string]
	MaxPercent                                           *Value[int]
	At                                                   diag.Range
}

// SuccessRate finds endpoints by comparison with the others.
type SuccessRate struct {
	MinHosts, MinRequests *Value[int]
	Stdev                 *Value[string] // decimal
	At                    diag.Range
}

// FailurePercent finds endpoints by their share of failures.
type FailurePercent struct {
	Threshold             Value[int]
	MinHosts, MinRequests *Value[int]
	At                    diag.Range
}

// Health asks endpoints whether they are well, by exactly one of HTTP, TCP
// and GRPC.
type Health struct {
	HTTP                         *HealthHTTP
	TCP                          *HealthTCP
	GRPC                         *HealthGRPC
	Interval, Timeout            Value[string]
	HealthyAfter, UnhealthyAfter *Value[int]
	Port                         *Value[string]
	At                           diag.Range
}

// HealthHTTP asks by a GET request.
type HealthHTTP struct {
	Path     Value[string]
	Host     *Value[string]
	Statuses []Value[int] // nil: 200
	At       diag.Range
}

// HealthTCP asks by a connection.
type HealthTCP struct {
	Send    *Value[string]
	Receive []Value[string]
	At      diag.Range
}

// HealthGRPC asks by a call.
type HealthGRPC struct {
	Service *Value[string]
	At      diag.Range
}

// Balance spreads requests over endpoints.
type Balance struct {
	Policy       *Value[string] // roundRobin | leastRequest | random | ringHash | maglev
	Choices      *Value[int]
	Ring         *Ring
	Table        *Value[int]
	SlowStart    *SlowStart
	PanicPercent *Value[string] // decimal
	At           diag.Range
}

// SlowStart gives a new endpoint its share little by little.
type SlowStart struct {
	Window                 Value[string]
	MinPercent, Aggression *Value[string] // decimals
	At                     diag.Range
}

// Ring is the size of a hash ring.
type Ring struct {
	Min, Max *Value[int]
	At       diag.Range
}

// HashKey is a part of a request that chooses an endpoint; one of Header,
// Cookie, Query and SourceIP.
type HashKey struct {
	Header, Cookie, Query *Value[string]
	SourceIP, Terminal    *Value[bool]
	At                    diag.Range
}
