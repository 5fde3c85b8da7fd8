package diag

// Codes of which places get requests: 4046 to 4059.
const (
	FailoverBlind  Code = "MSH4046" // requests go to another place when endpoints fail, and nothing tells that they do
	LocalityMode   Code = "MSH4047" // a field of `locality` that the mode ignores, or lacks
	FailoverHardly Code = "MSH4048" // too few endpoints may be left out for requests to go elsewhere
	PlaceShares    Code = "MSH4049" // shares of places that do not add up to 100
	PlaceTwice     Code = "MSH4050" // callers of one place with two entries
	PlaceUnused    Code = "MSH4051" // a place that comes up in vain
	NoPlaces       Code = "MSH4052" // places of an external
)
