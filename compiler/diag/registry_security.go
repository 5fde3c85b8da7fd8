package diag

// security is 3xxx: who may call whom, and how.
var security = []Entry{
	{UnknownCaller, Error, "allow names a service that does not exist",
		"`from` takes references to services or gateways, or \"*\"; a reference means its SPIFFE ID.",
		"allow: [{from: [\"productpge\"]}]", "allow: [{from: [\"productpage\"]}]"},
	{SharedAccount, Warning, "two services share one identity",
		"The identity of a service is its namespace and service account. Services with one account cannot be told apart, so allowing one allows both.",
		"service: {a: serviceAccount: \"x\", b: serviceAccount: \"x\"}", "service: {a: {}, b: {}}"},
	{UsedNotAllowed, Warning, "a declared caller is refused",
		"The caller says `uses`, and `allow` of the service does not name it, so every request is answered with 403.",
		"service: web: uses: api: {}\nservice: api: security: allow: [{from: [\"admin\"]}]", "service: api: security: allow: [{from: [\"admin\", \"web\"]}]"},
	{AllowedNotUsed, Warning, "an allowed caller that never calls",
		"The caller does not declare `uses`, so its proxy does not know the service. The rule opens more than is needed.",
		"service: api: security: allow: [{from: [\"web\"]}]\nservice: web: {}", "service: web: uses: api: {}"},
	{AllowWithoutMTLS, Error, "allow names callers, but nobody has an identity",
		"With mtls \"disable\" the service never learns who calls, so a rule that names callers refuses everybody.",
		"security: {mtls: \"disable\", allow: [{from: [\"web\"]}]}", "security: {mtls: \"strict\", allow: [{from: [\"web\"]}]}"},
	{NobodyAllowed, Warning, "nobody may call",
		"An empty `allow` refuses every request. Leave it out to allow the services that declare `uses`.",
		"security: allow: []", "security: allow: [{from: [\"web\"]}]"},
	{PermissiveIdentity, Info, "plaintext callers have no identity",
		"In permissive mode a plaintext caller reaches the service without an identity, and a rule that names callers refuses it.",
		"security: {mtls: \"permissive\", allow: [{from: [\"web\"]}]}", "security: {mtls: \"strict\", allow: [{from: [\"web\"]}]}"},
}
