package diag

// running is 8xxx: what a mesh that runs cannot do.
var running = []Entry{
	{TrustDomainChanged, Error, "a running mesh is of another trust domain",
		"Every identity, and the certificate authority that issues them, belong to one trust domain, so that a running mesh cannot move to another: until the last workload had its new identity, calls between the old and the new ones would be refused. Set `trustDomain` back. To begin anew, end the controller (or `meshc up`), move its state directory away, which holds the certificate authority too, and start it again.",
		"mesh: trustDomain: \"other.example\" // while a mesh of \"cluster.local\" runs", "mesh: trustDomain: \"cluster.local\""},
	{AliasUnvouched, Error, "an alias of the trust domain that nobody vouches for",
		"Identities of `trustDomainAliases` count as those of the mesh, but somebody has to vouch for them: without the roots of that trust domain proxies refuse every one of its certificates, and the alias does nothing. Give the roots to the controller, which hands them to the proxies (docs/trustdomain.md).",
		"mesh: trustDomainAliases: [\"old.example\"] // and no roots of it", "mesh: trustDomainAliases: [\"old.example\"] // meshc-controller --alias-roots old-roots.pem"},
}
