package diag

// Codes of the edge: listeners of gateways, TLS, TCP.
const (
	CertificateMissing Code = "MSH1120" // an https listener with nothing to show
	TLSWithoutEffect   Code = "MSH1121" // TLS fields where nothing acts on them
	ClientCAMissing    Code = "MSH1122" // a client certificate is asked for and nobody vouches for it
	TLSVersionOrder    Code = "MSH1123" // minVersion above maxVersion
	FieldOfHTTP        Code = "MSH1124" // a field about requests where bytes are carried
	SniffedTCP         Code = "MSH1125" // a permissive tcp port
	TCPUnrouted        Code = "MSH1126" // a tcp port that no route is for, and several versions

	EdgeWithoutRequests Code = "MSH1127" // what only requests have, on a listener that carries bytes
	ListenerUnrouted    Code = "MSH1128" // a listener that carries bytes and leads nowhere

	ClientCertificateMissing Code = "MSH1130" // mutual TLS to an external with nothing to show

	BadBind         Code = "MSH1131" // a listener on what is no IP address
	ExternalPattern Code = "MSH1133" // an external with a pattern for its name

	BadPin Code = "MSH1132" // a pin that is no digest of a key

	TrustsAnybody Code = "MSH3070" // whom a gateway believes is everybody, or nobody
	ClientNotTold Code = "MSH3071" // rules on addresses of clients that nobody is believed to tell

	ListenerMismatch Code = "MSH2117" // a route between a listener and a port that speak differently
	ConnectionsTwice Code = "MSH2118" // two routes that claim the same connections

	EgressFields Code = "MSH1129" // what only an ingress gateway has
	EgressUnused Code = "MSH2119" // an egress gateway that no external names
	BadVia       Code = "MSH3062" // an external that is reached through what is no egress gateway

	TLSTwice Code = "MSH3061" // TLS to a port where applications speak TLS themselves

	CertificateOverlap Code = "MSH2100" // two certificates for one server name
	CertificateHosts   Code = "MSH2101" // certificates and hosts of a listener do not fit
	RedirectNowhere    Code = "MSH2102" // redirectToHTTPS without one https listener that takes the hosts
	RouteRedirected    Code = "MSH2103" // a gateway route on a listener that redirects everything
)
