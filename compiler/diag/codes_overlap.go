package diag

// Codes of parts that meet on the same requests: 4180 to 4185, and 2196 to 2199.
const (
	FaultNotMet   Code = "MSH4180" // a fault whose requests earlier routes take
	UnderAbort    Code = "MSH4181" // what an abort of every request leaves nothing to do
	FaultsMeet    Code = "MSH4182" // two faults for the same requests
	LimitNotMet   Code = "MSH4183" // a rate limit that counts nothing
	LimitPreceded Code = "MSH4184" // a rate limit that has nothing to refuse
	CountedTwice  Code = "MSH4185" // two rate limits that count in one place

	PreflightElsewhere Code = "MSH2196" // preflights that do not come to the route that would answer them
	OriginCovered      Code = "MSH2197" // an origin that others contain
	RefusedAnyway      Code = "MSH2198" // what is public, or asked about, and refused
	RefusesNothing     Code = "MSH2199" // a deny rule, or an exception, for requests that it makes no difference to
)
