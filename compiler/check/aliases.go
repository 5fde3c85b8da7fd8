package check

import (
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/scope"
)

// aliases are names of trust domains, and of others than the mesh's own.
func (c *overIntent) aliases() {
	list := c.mesh.Config.Aliases
	c.listedTwice("`trustDomainAliases`", list, same)
	own := scope.Or(c.mesh.Config.TrustDomain, scope.DefaultTrustDomain)
	for _, a := range list {
		switch {
		case !domainName.MatchString(a.V) || len(a.V) > 255:
			c.report(diag.BadName, a.At, "%q is not a SPIFFE trust domain", a.V)
		case a.V == own:
			c.report(diag.AliasOfItself, a.At, "%q is the trust domain of the mesh itself", a.V).
				Help = "list the trust domains that the mesh had before, or will have; or leave it out"
		}
	}
}
