package snapshot

// Party is who stands at one end of requests, as metrics and spans name it. The
// zero value is nobody that is known.
type Party struct {
	Service, Namespace string
	Host               string // by which callers know the service
	Version            string // "" where it has none, or none is known
	Principal          string // its SPIFFE ID
	Gateway            bool
}
