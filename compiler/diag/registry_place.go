package diag

// place is 4046 to 4059: which places get requests.
var place = []Entry{
	{FailoverBlind, Warning, "requests that go elsewhere when endpoints fail, and nothing tells that they do",
		"A caller's proxy sends requests to the next place when too few endpoints of the ones before are well. It learns that from `outliers` or `health` only; without both an endpoint is well as long as discovery lists it as ready.",
		"traffic: locality: mode: \"failover\"", "traffic: {locality: mode: \"failover\", outliers: {consecutive5xx: 5, maxPercent: 50}}"},
	{LocalityMode, Error, "a field of `locality` that the mode ignores, or lacks",
		"`failover` is for the mode of that name, `distribute` for its own, which needs it, and `minCluster` for zoneAware. With another mode the field would be accepted and do nothing.",
		"locality: {mode: \"failover\", minCluster: 10}", "locality: {mode: \"zoneAware\", minCluster: 10}"},
	{FailoverHardly, Warning, "too few endpoints may be left out for requests to go elsewhere",
		"A place hands requests over when fewer than five of seven of its endpoints are well. outliers.maxPercent bounds the endpoints that may be left out in all places together, so a place that holds more than 3.5 times that share never gets there. The default is 10 %, or one endpoint.",
		"traffic: {locality: mode: \"failover\", outliers: consecutive5xx: 5}", "traffic: {locality: mode: \"failover\", outliers: {consecutive5xx: 5, maxPercent: 50}}"},
	{PlaceShares, Error, "shares of places that do not add up to 100",
		"Shares are percentages with at most two decimals, all written out; nothing is normalised.",
		"distribute: [{from: \"eu\", to: {eu: 80, us: 10}}]", "distribute: [{from: \"eu\", to: {eu: 80, us: 20}}]"},
	{PlaceTwice, Error, "callers of one place with two entries",
		"Which of the two should hold is not written anywhere.",
		"failover: [{from: \"eu\", to: [\"us\"]}, {from: \"eu\", to: [\"ap\"]}]", "failover: [{from: \"eu\", to: [\"us\", \"ap\"]}]"},
	{PlaceUnused, Warning, "a place that comes up in vain",
		"A place of the order lies in one that comes before it, so all of its endpoints have been asked already.",
		"failover: [{from: \"eu\", to: [\"us\", \"us/east\"]}]", "failover: [{from: \"eu\", to: [\"us/east\", \"us\"]}]"},
	{NoPlaces, Error, "places of an external",
		"Endpoints of externals are addresses, or what DNS gives; nobody says where they are.",
		"external: bank: traffic: locality: mode: \"failover\"", "service: bank: traffic: locality: mode: \"failover\""},
}
