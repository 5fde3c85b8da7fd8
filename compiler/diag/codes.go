package diag

// Codes, by block: 1xxx shape, 2xxx routing, 3xxx security, 4xxx resilience,
// 5xxx telemetry, 6xxx cluster references, 7xxx compile and xDS, 8xxx runtime,
// 9xxx internal. The registry says what each means. A retired code is never
// used again: MSH1030, MSH2021.
const (
	Syntax            Code = "MSH1001" // a file does not parse
	UnknownField      Code = "MSH1002"
	WrongValue        Code = "MSH1003" // wrong type, or outside the bounds
	MissingField      Code = "MSH1004"
	UnknownTopLevel   Code = "MSH1005" // a top-level name beside service, gateway, external, mesh, namespace
	NotExactlyOne     Code = "MSH1006" // more than one, or none, of fields that exclude each other
	DuplicateHome     Code = "MSH1007" // a service named again below its home
	ImportRefused     Code = "MSH1008"
	AttributeRefused  Code = "MSH1009" // @embed, @if, @tag
	UnknownUse        Code = "MSH1010" // `uses` names nothing that exists
	NameCollision     Code = "MSH1011" // two things with one namespace/name, or one host
	Conflict          Code = "MSH1012" // two places give one field different values
	NotConcrete       Code = "MSH1013" // a value that never becomes concrete
	NotAModule        Code = "MSH1014" // no cue.mod/module.cue, or a bad one
	SchemaDiffers     Code = "MSH1015" // the vendored schema is not the embedded one
	SchemaExtended    Code = "MSH1016" // cue.mod/usr adds to the schema
	InputRefused      Code = "MSH1017" // symlink, too many files, too large
	WrongPackage      Code = "MSH1018" // a file that is not of package mesh
	DuplicatePort     Code = "MSH1019" // two ports, or listeners, of one owner with one number
	NoPorts           Code = "MSH1020" // a service or an external that nobody can call
	SchemaNotImported Code = "MSH1021" // the root does not say service: m.#Services
	BadName           Code = "MSH1022" // not a DNS label, host name, label or account where one is needed
	NotIntent         Code = "MSH1023" // a data file that does not speak of a mesh
	UnknownReference  Code = "MSH1024" // CUE identifier or field reference that resolves to nothing
	MisplacedConfig   Code = "MSH1025" // `mesh:` below the root
	SelfUse           Code = "MSH1031" // a service that declares to use itself
	GRPCNotRetried    Code = "MSH1032" // retries of a grpc route that no call would get

	UnknownVersion     Code = "MSH2001"
	WeightSum          Code = "MSH2002" // weights do not add up to 100
	BadWeight          Code = "MSH2003" // missing, negative, over 100, more than two decimals
	OverlapUnordered   Code = "MSH2004" // overlapping routes in different files without an order
	ShadowedRoute      Code = "MSH2005" // a route that no request can reach
	UnknownFaultRoute  Code = "MSH2006" // fault.on names no route
	RouteToNothing     Code = "MSH2007"
	UnknownPort        Code = "MSH2008"
	OrderCycle         Code = "MSH2009" // before/after cycle
	UnknownOrderRoute  Code = "MSH2010" // before/after names no route
	UnknownBackend     Code = "MSH2011" // gateway route to an unknown service
	NotCovered         Code = "MSH2012" // some requests match no route
	BadRegex           Code = "MSH2013"
	BadPath            Code = "MSH2014"
	UnknownListener    Code = "MSH2015" // gateway route names no listener of its gateway
	HostNotOnListener  Code = "MSH2016" // gateway route's host lies outside its listener's hosts
	NeverMatches       Code = "MSH2017" // conditions of one match exclude each other
	BadHeader          Code = "MSH2019" // header name or value that cannot be set or matched
	BadMethod          Code = "MSH2020"
	AmbiguousPort      Code = "MSH2022" // a port is needed and none is named
	BadHost            Code = "MSH2023" // host pattern of a gateway
	DuplicateCondition Code = "MSH2024" // one name matched twice in one match
	NoRoutes           Code = "MSH2025" // several versions and no route, or nothing to send to

	CrossingRoutes      Code = "MSH2040" // two routes share requests, and neither is the exception to the other
	HiddenMatch         Code = "MSH2041" // one match of a route takes no request
	ReachUnknown        Code = "MSH2042" // whether routes can be reached was not decided
	RedirectLoop        Code = "MSH2050" // a redirect whose target is redirected back
	ExceptWithoutEffect Code = "MSH2051" // an exception that takes nothing of its route
	ExceptEverything    Code = "MSH2052" // exceptions that leave their route nothing
	TooManyAlternatives Code = "MSH2053" // a match that would become too many routes of a proxy
	GRPCMatchElsewhere  Code = "MSH2054" // a gRPC condition on a port that is not grpc
	NoEffectOnAnswer    Code = "MSH2055" // what only a destination could do, on a route without one
	BadRedirect         Code = "MSH2056" // a redirect that says nothing, or two things
	BadRespond          Code = "MSH2057" // an answer that cannot be given
	BadRewrite          Code = "MSH2058" // a rewrite that says nothing, or what the match does not allow
	GatewayChangesMatch Code = "MSH2059" // a gateway changes what a route of the service goes by
	MirrorLoad          Code = "MSH2060" // copies that more than double what a version gets
	BadMirror           Code = "MSH2061" // a mirror that copies nothing, or to where requests go anyway
	BadCORS             Code = "MSH2062" // what browsers would not heed, or nobody should say
	BadUpgrade          Code = "MSH2063" // an upgrade where there is none
	BadSticky           Code = "MSH2064" // a key that keeps nothing together
	BadMirrorTarget     Code = "MSH2080" // a mirror to where no copies can go
	MirrorLoop          Code = "MSH2081" // copies that are copied again

	UnknownCaller      Code = "MSH3001" // allow.from names no service
	SharedAccount      Code = "MSH3002" // two services, one identity
	UsedNotAllowed     Code = "MSH3004" // a declared caller that allow refuses
	AllowedNotUsed     Code = "MSH3005" // allowed, but it does not declare `uses`
	AllowWithoutMTLS   Code = "MSH3006" // allow names callers, mTLS is disabled
	NobodyAllowed      Code = "MSH3007" // an empty allow list
	PermissiveIdentity Code = "MSH3009" // allow names callers, plaintext callers have no identity

	PerTryOverTimeout  Code = "MSH4001"
	BadDuration        Code = "MSH4002"
	FaultExpired       Code = "MSH4003"
	BadPercent         Code = "MSH4004" // fault percentage outside 0..100 or over two decimals
	UnknownRetryOn     Code = "MSH4005"
	RetryNotIdempotent Code = "MSH4006"
	BadTime            Code = "MSH4007" // not RFC 3339
	FaultDoesNothing   Code = "MSH4008"
	RetriesOverTimeout Code = "MSH4009" // attempts times perTry cannot fit into the timeout
	DuplicateFault     Code = "MSH4010" // two faults of one kind on one route
	RetriesUnused      Code = "MSH4011" // attempts is 0, so the rest of `retries` does nothing

	EvaluationLimit Code = "MSH7001" // CUE evaluation exceeded a limit
	EvaluationCrash Code = "MSH7002" // the evaluator itself failed
	NotServed       Code = "MSH7010" // a field that a proxy concerned cannot serve

	TrustDomainChanged Code = "MSH8001" // a running mesh is of another trust domain
	AliasUnvouched     Code = "MSH8002" // an alias of the trust domain without roots

	Internal Code = "MSH9001"
)
