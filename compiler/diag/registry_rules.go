package diag

// rules is the part of 3xxx about rules on callers and requests.
var rules = []Entry{
	{BadNetwork, Error, "not a network",
		"`ips` and `notIPs` take networks in CIDR form, or single addresses. Bits after the prefix would have no effect and are refused.",
		"deny: [{ips: [\"10.0.0.1/8\"]}]", "deny: [{ips: [\"10.0.0.0/8\"]}]"},
	{UnknownNamespace, Error, "a namespace in which nobody is",
		"No service and no gateway of the mesh is in the namespace, so the rule would never hold.",
		"allow: [{namespaces: [\"shpo\"]}]", "allow: [{namespaces: [\"shop\"]}]"},
	{RuleNeverHolds, Error, "a rule that can never hold",
		"Conditions of the rule exclude each other, or ask for what no caller has: it would be accepted and do nothing.",
		"deny: [{methods: [\"GET\"], notMethods: [\"GET\"]}]", "deny: [{methods: [\"GET\"]}]"},
	{AllowsWhom, Error, "a rule that does not say who is allowed",
		"An allow rule names its callers by from, notFrom, namespaces or ips. Everybody is allowed only where \"*\" says so.",
		"allow: [{methods: [\"GET\"]}]", "allow: [{from: [\"*\"], methods: [\"GET\"]}]"},
	{DenyEvaded, Warning, "callers can evade a deny rule",
		"In permissive mode a caller that speaks plaintext has no identity, so a deny rule that names it does not hold for it.",
		"security: {mtls: \"permissive\", deny: [{from: [\"web\"]}]}", "security: {mtls: \"strict\", deny: [{from: [\"web\"]}]}"},
	{DenyHidesAllow, Warning, "an allow rule that deny leaves nothing",
		"Deny rules are asked first. Every request that this rule lets in is refused by one of them.",
		"security: {allow: [{from: [\"web\"]}], deny: [{from: [\"web\"]}]}", "security: {allow: [{from: [\"web\"]}], deny: [{from: [\"web\"], methods: [\"DELETE\"]}]}"},
	{DeniesEverybody, Warning, "everybody is denied",
		"A deny rule without any condition refuses every request.",
		"deny: [{from: [\"*\"]}]", "deny: [{from: [\"*\"], paths: [{segmentPrefix: \"/admin\"}]}]"},
	{RuleCovered, Warning, "a rule that another one contains",
		"Another rule of the same list holds whenever this one does, so it changes nothing.",
		"allow: [{from: [\"web\"]}, {from: [\"web\"], methods: [\"GET\"]}]", "allow: [{from: [\"web\"]}]"},
}
