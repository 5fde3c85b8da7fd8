package diag

// Codes of how callers treat what they call: 4030 to 4079.
const (
	MaxRetriesUnused Code = "MSH4030" // maxRetries beside a retry budget
	BalanceUnused    Code = "MSH4031" // a field of `balance` that the policy ignores
	NoDetector       Code = "MSH4032" // outliers without a detector
	EjectionNever    Code = "MSH4033" // an ejection that cannot happen
	EjectionPanic    Code = "MSH4034" // an ejection that panic routing undoes
	EjectionTimes    Code = "MSH4035" // the first ejection is longer than the longest
	HealthTimes      Code = "MSH4036" // a health check that takes longer than its interval
	HealthDenied     Code = "MSH4037" // a health check that the allow list refuses
	LimitBelowShare  Code = "MSH4038" // a limit that leaves nothing to a client
	ClientsUnused    Code = "MSH4039" // clients without a limit to divide

	StatusesUnused Code = "MSH4070" // statuses of failures that nobody counts

	HashUnused        Code = "MSH4044" // hash keys, and no policy that hashes
	HashMissing       Code = "MSH4045" // a policy that hashes, and no keys
	TimeoutNever      Code = "MSH4040" // a limit that another one always precedes
	BackoffRange      Code = "MSH4041" // the first pause is longer than the longest
	GRPCCondition     Code = "MSH4042" // a gRPC status on an http port
	RateLimitedUnused Code = "MSH4043" // a pause that no answer could ask for
)
