package policies

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/check"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
)

// mesh is what policies about meshes are about.
type mesh struct {
	*model.Mesh
	now time.Time
}

// overMesh gives the judge of a policy about meshes, nil for one about changes.
func (p *policy) overMesh() func(*mesh) []finding {
	switch p.says.kind {
	case "owned":
		return p.owned
	case "egress":
		return p.egress
	case "retries":
		return p.retries
	case "faults":
		return p.faults
	}
	return nil
}

func (p *policy) owned(m *mesh) []finding {
	var out []finding
	for _, s := range m.Services {
		if strings.TrimSpace(s.Owner) == "" {
			out = append(out, finding{code: diag.PolicyOwned, of: serviceName(s.Ref), at: s.Origin,
				text: fmt.Sprintf("nobody owns service %s", s.Ref), help: "write `owner`"})
		}
	}
	return out
}

func (p *policy) egress(m *mesh) []finding {
	var out []finding
	for _, e := range m.Externals {
		var wrong []string
		if !slices.ContainsFunc(p.says.hosts, func(pattern string) bool { return covers(pattern, e.Host) }) {
			wrong = append(wrong, fmt.Sprintf("host %q", e.Host))
		}
		for _, endpoint := range e.Endpoints {
			if !p.networkOf(endpoint) {
				wrong = append(wrong, "endpoint "+endpoint)
			}
		}
		if len(wrong) > 0 {
			out = append(out, finding{code: diag.PolicyEgress, of: behave.Name{Kind: behave.ExternalKind, Ref: e.Ref}, at: e.Origin,
				text: fmt.Sprintf("external %s leads to what is not listed: %s", e.Ref, strings.Join(wrong, ", "))})
		}
	}
	return out
}

// covers says that all names of a host, which may be a pattern, are within
// a pattern.
func covers(pattern, host string) bool {
	if below, ok := strings.CutPrefix(pattern, "*"); ok {
		return strings.HasSuffix(strings.TrimPrefix(host, "*"), below) && host != "*"
	}
	return host == pattern
}

func (p *policy) networkOf(endpoint string) bool {
	at, err := netip.ParseAddrPort(endpoint)
	return err == nil && slices.ContainsFunc(p.says.networks, func(n netip.Prefix) bool { return n.Contains(at.Addr().Unmap()) })
}

func (p *policy) retries(m *mesh) []finding {
	var out []finding
	for _, t := range check.TriesAbove(m.Mesh, p.says.most) {
		out = append(out, finding{code: diag.PolicyRetries, of: serviceName(t.Service), routes: []string{t.Route}, at: t.Origin,
			text: fmt.Sprintf("one request may become %s, of at most %d, at route %q of service %s, along %s", t.Factor, p.says.most, t.Route, t.Service, t.Path),
			help: "try again in one place, best the first hop; or let a `retryBudget` bound what is tried again"})
	}
	return out
}

func (p *policy) faults(m *mesh) []finding {
	var out []finding
	for _, s := range m.Services {
		for _, r := range s.Routes {
			seen := map[model.Origin]bool{}
			for _, v := range r.Variants() {
				for _, f := range v.Faults() {
					if seen[f.Origin] || !f.Until.After(m.now) || p.inWindow(&f, m.now) {
						continue
					}
					seen[f.Origin] = true
					out = append(out, finding{code: diag.PolicyFaults, of: serviceName(s.Ref), routes: []string{r.Name}, at: f.Origin,
						text: fmt.Sprintf("fault %q (%s %s) of route %q of service %s lies outside of the windows for faults: it is injected from now until %s",
							f.Name, f.Kind, f.What, r.Name, s.Ref, f.Until.Format(time.RFC3339)),
						help: p.windowsText()})
				}
			}
		}
	}
	return out
}

// inWindow says that a fault that is injected from now on ends with a window, or
// before.
func (p *policy) inWindow(f *model.Fault, now time.Time) bool {
	return slices.ContainsFunc(p.says.windows, func(w window) bool { return w.open(now) && !f.Until.After(w.until) })
}

func (p *policy) windowsText() string {
	if len(p.says.windows) == 0 {
		return "there is no window: take the fault away"
	}
	var all []string
	for _, w := range p.says.windows {
		all = append(all, fmt.Sprintf("%s (%s to %s)", w.name, w.from.Format(time.RFC3339), w.until.Format(time.RFC3339)))
	}
	return "the windows: " + strings.Join(all, ", ")
}
