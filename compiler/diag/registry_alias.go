package diag

// aliases is MSH3095 to MSH3099: identities that count as others.
var aliases = []Entry{
	{AliasOfItself, Error, "an alias that is the trust domain itself",
		"`trustDomainAliases` are further trust domains whose identities count as those of the mesh. Its own do so anyway: who lists it means another name, that the mesh had before or will have.",
		"mesh: {trustDomain: \"new.example\", trustDomainAliases: [\"new.example\"]}", "mesh: {trustDomain: \"new.example\", trustDomainAliases: [\"old.example\"]}"},
}
