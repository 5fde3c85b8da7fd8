package check

import (
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

func (c *overIntent) uses() {
	for _, s := range c.in.services {
		self := scope.ServiceRef(s)
		for _, u := range s.Uses {
			ref := literal.Ref(u.Ref.V, self.Namespace)
			switch {
			case ref == self:
				c.report(diag.SelfUse, u.Ref.At, "service %q uses itself", self).
					WithFix("take it away", diag.Edit{Op: diag.RemoveField, Range: u.Ref.At})
			case c.scope.Service(ref) == nil && c.scope.External(ref) == nil:
				d := c.report(diag.UnknownUse, u.Ref.At, "service %q uses %q, which does not exist", s.Name.V, ref)
				meantLabel(d, u.Ref, c.usable(self), usesMeant(s, u))
			}
		}
	}
}

// usesMeant says that a service uses, beside u, what u is a misspelling of.
func usesMeant(s *intent.Service, u *intent.Use) bool {
	for _, o := range s.Uses {
		if name, ok := diag.MeantName(u.Ref.V, []string{o.Ref.V}); ok && name == o.Ref.V {
			return true
		}
	}
	return false
}

// usable lists what a service could use, as it would be written there.
func (c *overIntent) usable(from model.Ref) []string {
	var out []string
	for _, s := range c.mesh.Services {
		if ref := scope.ServiceRef(s); ref != from {
			out = append(out, written(ref, from.Namespace))
		}
	}
	for _, e := range c.mesh.Externals {
		out = append(out, written(scope.ExternalRef(e), from.Namespace))
	}
	return out
}

// written is how one writes ref in namespace.
func written(ref model.Ref, namespace string) string {
	if ref.Namespace == namespace {
		return ref.Name
	}
	return ref.String()
}
