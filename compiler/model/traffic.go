package model

import "time"

// Built-in defaults of Traffic; those of Envoy, written out so that every data
// plane uses the same.
const (
	DefaultConnectTimeout     = 5 * time.Second
	DefaultMaxConnections     = 1024
	DefaultMaxPending         = 1024
	DefaultMaxRequests        = 1024
	DefaultMaxRetries         = 3
	DefaultUpstreamIdle       = time.Hour
	DefaultBudgetConcurrency  = 3
	DefaultOutlierInterval    = 10 * time.Second
	DefaultEjection           = 30 * time.Second
	DefaultMaxEjection        = 300 * time.Second
	DefaultMaxEjectionPercent = 10
	DefaultJudgedHosts        = 5
	DefaultSuccessRequests    = 100
	DefaultFailureRequests    = 50
	DefaultStdevHundredths    = 190
	DefaultHealthyAfter       = 2
	DefaultUnhealthyAfter     = 3
	DefaultHealthStatus       = 200
	DefaultChoices            = 2
	DefaultRingMin            = 1024
	DefaultRingMax            = 8 << 20
	DefaultMaglevTable        = 65537
	DefaultPanicBasisPoints   = 5000
	DefaultSlowStartPoints    = 1000
	DefaultAggression         = 100 // hundredths
)

// Traffic says how callers treat one version or external. A nil block means
// that nothing is done, or the data plane's defaults.
type Traffic struct {
	ConnectTimeout       time.Duration
	ConnectTimeoutOrigin Origin // zero: built-in default
	Connections          *Connections
	RetryBudget          *RetryBudget
	Outliers             *Outliers
	Health               *Health
	Balance              *Balance
	Locality             *LocalityPolicy // never of an external
}

// Connections are limits for each calling proxy, already divided by Clients.
type Connections struct {
	Max, MaxPending, MaxRequests, MaxRetries uint32
	Clients                                  uint32        // among which the written limits were divided; at least 1
	RequestsPerConnection                    uint32        // 0 = no limit
	ConcurrentStreams                        uint32        // on one connection of a grpc port; 0 = no limit of one's own
	Idle                                     time.Duration // 0 = no limit
	MaxAge                                   time.Duration // 0 = no limit
	Keepalive                                *Keepalive    // nil: off
	Pings                                    *Pings        // on connections of grpc ports; nil: none
	Origin                                   Origin
}

// Keepalive of TCP. Zero values are the operating system's.
type Keepalive struct {
	Time, Interval time.Duration // whole seconds
	Probes         uint32
	Origin         Origin
}

// Pings of HTTP/2: a connection on which one is not answered within Timeout is
// closed.
type Pings struct {
	Interval, Timeout time.Duration
	Origin            Origin
}

// RetryBudget limits the retries at once to a share of the active requests,
// but always allows MinConcurrency.
type RetryBudget struct {
	BasisPoints    uint32
	MinConcurrency uint32
	Origin         Origin
}

// Outliers leaves endpoints out that fail. A detector that is 0 or nil is off.
type Outliers struct {
	Statuses                                             []StatusRange // answers of HTTP that are failures, sorted and apart; nil = 500 and above
	Consecutive5xx, ConsecutiveGateway, ConsecutiveLocal uint32
	SuccessRate                                          *SuccessRate
	FailurePercent                                       *FailurePercent
	Interval, Ejection, MaxEjection                      time.Duration
	MaxPercent                                           uint32
	AtLeastOne                                           bool // one endpoint may be left out, even if MaxPercent is less than one
	Origin                                               Origin
}

// SuccessRate finds endpoints below mean − stdev × standard deviation.
type SuccessRate struct {
	MinHosts, MinRequests uint32
	StdevHundredths       uint32
	Origin                Origin
}

// FailurePercent finds endpoints of which Threshold percent of the answers
// are failures.
type FailurePercent struct {
	Threshold, MinHosts, MinRequests uint32
	Origin                           Origin
}

// Health asks endpoints whether they are well; exactly one of HTTP, TCP
// and GRPC.
type Health struct {
	HTTP                         *HealthHTTP
	TCP                          *HealthTCP
	GRPC                         *HealthGRPC
	Interval, Timeout            time.Duration
	HealthyAfter, UnhealthyAfter uint32
	Port                         uint16 // service port that is asked; 0 = the one that is called
	Origin                       Origin
}

// HealthHTTP asks by GET.
type HealthHTTP struct {
	Path, Host string
	Statuses   []uint32 // that mean well, sorted
}

// HealthTCP asks by a connection, perhaps with a text to send and texts that
// the answer holds in this order.
type HealthTCP struct {
	Send    string
	Receive []string
}

// HealthGRPC asks by a call of grpc.health.v1.Health.Check.
type HealthGRPC struct {
	Service   string // "" = the server as a whole
	Authority string
}

// BalancePolicy spreads requests over endpoints.
type BalancePolicy string

// Policies.
const (
	RoundRobin   BalancePolicy = "roundRobin"
	LeastRequest BalancePolicy = "leastRequest"
	Random       BalancePolicy = "random"
	RingHash     BalancePolicy = "ringHash"
	Maglev       BalancePolicy = "maglev"
)

// Hashes says that a policy chooses endpoints by the hash of a request.
func (p BalancePolicy) Hashes() bool { return p == RingHash || p == Maglev }

// Balance spreads requests over endpoints.
type Balance struct {
	Policy           BalancePolicy
	Choices          uint32     // LeastRequest only
	RingMin, RingMax uint32     // RingHash only
	Table            uint32     // Maglev only; prime
	SlowStart        *SlowStart // nil: at once
	PanicBasisPoints uint32     // 0 = never
	Origin           Origin
}

// SlowStart gives a new endpoint its share little by little.
type SlowStart struct {
	Window               time.Duration
	MinBasisPoints       uint32
	AggressionHundredths uint32
	Origin               Origin
}
