package diag

// Codes of suppressions and of lists.
const (
	BadSuppression     Code = "MSH1040" // an @meshc attribute that cannot be read
	SuppressionExpired Code = "MSH1041"
	SuppressionUnused  Code = "MSH1042"
	NotSuppressible    Code = "MSH1043" // an @meshc attribute that names a code which is never suppressed
	ListedTwice        Code = "MSH1044" // one entry of a list that is a set, written twice
)
