package intent

import "github.com/meshc/meshc/compiler/diag"

// Locality says which places get requests.
type Locality struct {
	Mode       Value[string] // failover | distribute | zoneAware
	Failover   []*Failover
	Distribute []*Distribution
	MinCluster *Value[int]
	At         diag.Range
}

// Failover is an order of places for the callers of one.
type Failover struct {
	From Value[string]
	To   []Value[string]
	At   diag.Range
}

// Distribution gives each place a share for the callers of one.
type Distribution struct {
	From Value[string]
	To   []*PlaceShare
	At   diag.Range
}

// PlaceShare is the share of one place, in percent as it was written.
type PlaceShare struct {
	Place   Value[string]
	Percent Value[string]
}
