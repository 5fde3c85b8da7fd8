package diag

// Codes of tokens: 3029 to 3039 and 3045 to 3056, of 3xxx; and 4065.
const (
	BadKeys         Code = "MSH3029" // jwks that say no place, or two
	UnknownKeys     Code = "MSH3030" // jwks of an external or port that does not exist
	NeedsUse        Code = "MSH3031" // something is asked that `uses` does not declare
	KeysUnverified  Code = "MSH3032" // keys that anybody on the way can exchange
	BadTokenPlace   Code = "MSH3033" // a place for tokens that is none
	SameIssuer      Code = "MSH3034" // two providers of one issuer
	BadClaim        Code = "MSH3035" // a name that leads to no claim
	ClaimHeader     Code = "MSH3036" // a header that two claims are to be in
	PublicAnyway    Code = "MSH3037" // `public` where no token is asked for
	MixedRequired   Code = "MSH3038" // tokens of some providers required, and of others not
	UnknownProvider Code = "MSH3039" // claims of tokens that are not verified here
	TokenTakenOut   Code = "MSH3045" // a gateway takes out the token that its service asks for
	BadAuthorizer   Code = "MSH3047" // nobody that could be asked about requests
	FailsOpen       Code = "MSH3048" // requests go on when nobody answers
	AuditUnseen     Code = "MSH3049" // a log that does not say what is audited
	HealthTokenless Code = "MSH3046" // health checks carry no token
	AsksInCircles   Code = "MSH3050" // who is asked about requests asks in turn
	QuestionRefused Code = "MSH3051" // who is asked about requests does not let questions in
	HealthJudged    Code = "MSH3052" // health checks that others answer
	HeaderOfClaim   Code = "MSH3054" // a rule about the header that holds a claim
	CORSByClaims    Code = "MSH3053" // cors of a route that only a token leads to
	SettledEarly    Code = "MSH3055" // a limit by a route that only a token leads to
	ClaimNumbers    Code = "MSH4065" // a condition on a claim that tells the texts of numbers apart
)
