package diag

// running is 8xxx: what a mesh that runs cannot do.
var running = []Entry{
	{TrustDomainChanged, Error, "a running mesh is of another trust domain",
		"Every identity, and the certificate authority that issues them, belong to one trust domain, so that a running mesh cannot move to another: until the last workload had its new identity, calls between the old and the new ones would be refused. Set `trustDomain` back. To begin anew, end the controller (or `meshc up`), move its state directory away, which holds the certificate authority too, and start it again.",
		"mesh: trustDomain: \"other.example\" // while a mesh of \"cluster.local\" runs", "mesh: trustDomain: \"cluster.local\""},
}
