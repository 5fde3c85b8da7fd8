package diag

// Codes of identities that count as others.
const (
	AliasOfItself Code = "MSH3095" // an alias of the trust domain that is the trust domain
)
