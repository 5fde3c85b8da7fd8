package diag

// migration is 3057 to 3060: planned changes of mTLS.
var migration = []Entry{
	{MigrationOpen, Info, "ports take plaintext until a date",
		"All that the mesh declares to call a service presents an identity. Callers that it does not know may still come in plaintext; nobody observes them yet.",
		"security: migration: {to: \"strict\", until: \"2030-12-01T00:00:00Z\"}", "security: mtls: \"strict\""},
	{MigrationEnds, Warning, "a migration that is to be done soon",
		"During the 30 days before `until` vet warns, afterwards it refuses the mesh.",
		"security: migration: {to: \"strict\", until: \"<in ten days>\"}", "security: mtls: \"strict\""},
	{MigrationOverdue, Error, "a migration that is not done in time",
		"Ports still take plaintext, although they were to be strict by now. They are not made so behind your back: that would cut off whoever still needs it.",
		"security: migration: {to: \"strict\", until: \"2020-12-01T00:00:00Z\"}", "security: mtls: \"strict\""},
	{MigrationUnused, Error, "a migration that changes nothing",
		"A migration stands in place of `mtls`, and is for the ports that have no mode of their own.",
		"security: {mtls: \"permissive\", migration: {to: \"strict\", until: \"2030-12-01T00:00:00Z\"}}", "security: migration: {to: \"strict\", until: \"2030-12-01T00:00:00Z\"}"},
}
