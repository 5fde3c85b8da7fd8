package check

import (
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
	"github.com/meshc/meshc/compiler/target"
)

// raws finds proxies that there are not. Whether the patches fit is seen where
// the resources are made.
func (c *overIntent) raws() {
	for _, r := range c.mesh.Config.Raw {
		c.listedTwice("`proxies`", r.Proxies, referring(scope.DefaultNamespace))
		if r.Proxies != nil && len(r.Proxies) == 0 {
			c.report(diag.RawNowhere, r.At, "raw %q is for no proxies", r.Name.V).Help = "name some, or leave `proxies` out for all"
		}
		for _, p := range r.Proxies {
			if c.runnerOf(p) == nil {
				d := c.report(diag.RawNowhere, p.At, "raw %q is for the proxies of %q, which is no service and no gateway", r.Name.V, p.V)
				d.Help = meant(p.V, c.proxyNames())
			}
		}
	}
}

// runnerOf finds whose proxies a reference means.
func (c *overIntent) runnerOf(p intent.Value[string]) *runner {
	ref, t := literal.Ref(p.V, scope.DefaultNamespace), &targets{overIntent: c}
	for _, s := range c.mesh.Services {
		if scope.ServiceRef(s) == ref {
			return t.ofService(s)
		}
	}
	for _, g := range c.mesh.Gateways {
		if scope.GatewayRef(g) == ref {
			return t.ofGateway(g)
		}
	}
	return nil
}

// proxyNames are those that `proxies` may hold.
func (c *overIntent) proxyNames() []string {
	var out []string
	add := func(ref model.Ref) {
		if ref.Namespace == scope.DefaultNamespace {
			out = append(out, ref.Name)
			return
		}
		out = append(out, ref.String())
	}
	for _, s := range c.mesh.Services {
		add(scope.ServiceRef(s))
	}
	for _, g := range c.mesh.Gateways {
		add(scope.GatewayRef(g))
	}
	slices.Sort(out)
	return out
}

// judgeRaws holds each patch against the proxies that it is for: all where it
// names none.
func (t *targets) judgeRaws() {
	row := target.FindRow(rawRow)
	for _, r := range t.mesh.Config.Raw {
		runners := t.all()
		if r.Proxies != nil {
			runners = nil
			for _, p := range r.Proxies {
				if by := t.runnerOf(p); by != nil {
					runners = append(runners, by)
				}
			}
		}
		for _, by := range runners {
			if t.refused(intent.Feature{Row: rawRow, At: r.At}, row, by) {
				break
			}
		}
	}
}

// rawRow is the row of the capability table for patches.
const rawRow = "mesh.raw"
