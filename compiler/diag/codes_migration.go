package diag

// Codes of planned changes of mTLS: 3057 to 3060.
const (
	MigrationOpen    Code = "MSH3057" // ports take plaintext until a date
	MigrationEnds    Code = "MSH3058" // the date is near
	MigrationOverdue Code = "MSH3059" // the date has passed
	MigrationUnused  Code = "MSH3060" // a migration that changes nothing
)
