package lower

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// first gives the first of two blocks' fields that was written.
func first[B, T any](own, mesh *B, field func(*B) *T) *T {
	for _, b := range []*B{own, mesh} {
		if b != nil {
			if v := field(b); v != nil {
				return v
			}
		}
	}
	return nil
}

// list is first for lists: an empty one is written too.
func list[B, T any](own, mesh *B, field func(*B) []T) []T {
	v := first(own, mesh, func(b *B) *[]T {
		if l := field(b); l != nil {
			return &l
		}
		return nil
	})
	if v == nil {
		return nil
	}
	return *v
}

// injection is what the service says, field by field before what the mesh says.
func (l *lowering) injection(own *intent.Workload) model.Injection {
	mesh := l.intent.Config.Workload
	out := model.DefaultInjection()
	if w := first(own, mesh, func(w *intent.Workload) *intent.Workload { return w }); w != nil {
		out.Origin = w.At
	}
	if !scope.Or(first(own, mesh, func(w *intent.Workload) *intent.Value[bool] { return w.Inject }), true) {
		return model.Injection{Off: true, Origin: out.Origin}
	}
	capture := func(w *intent.Workload) *intent.Capture { return w.Capture }
	setCapture(&out, blockOf(own, capture), blockOf(mesh, capture))
	probes := func(w *intent.Workload) *intent.Probes { return w.Probes }
	rewrite := first(blockOf(own, probes), blockOf(mesh, probes), func(p *intent.Probes) *intent.Value[bool] { return p.Rewrite })
	out.KeepProbes = !scope.Or(rewrite, true)
	out.Unheld = !scope.Or(first(own, mesh, func(w *intent.Workload) *intent.Value[bool] { return w.Hold }), true)
	out.Drain = durationOr(first(own, mesh, func(w *intent.Workload) *intent.Value[string] { return w.Drain }), out.Drain)
	proxy := func(w *intent.Workload) *intent.ProxyContainer { return w.Proxy }
	setContainer(&out, blockOf(own, proxy), blockOf(mesh, proxy))
	return out
}

func blockOf[T any](w *intent.Workload, field func(*intent.Workload) *T) *T {
	if w == nil {
		return nil
	}
	return field(w)
}

func setCapture(out *model.Injection, own, mesh *intent.Capture) {
	out.UID = uint32(scope.Or(first(own, mesh, func(c *intent.Capture) *intent.Value[int] { return c.UID }), int(out.UID)))
	out.ExcludeInbound = sortedPorts(list(own, mesh, func(c *intent.Capture) []intent.Value[int] { return c.ExcludeInbound }))
	out.ExcludeOutboundPorts = sortedPorts(list(own, mesh, func(c *intent.Capture) []intent.Value[int] { return c.ExcludeOutboundPorts }))
	out.IncludeOutbound = prefixes(list(own, mesh, func(c *intent.Capture) []intent.Value[string] { return c.IncludeOutbound }))
	out.ExcludeOutbound = prefixes(list(own, mesh, func(c *intent.Capture) []intent.Value[string] { return c.ExcludeOutbound }))
}

func sortedPorts(vs []intent.Value[int]) []uint16 {
	var out []uint16
	for _, v := range vs {
		out = append(out, uint16(v.V))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func prefixes(vs []intent.Value[string]) []netip.Prefix {
	var out []netip.Prefix
	for _, v := range vs {
		out = append(out, checked(literal.Network(v.V)))
	}
	slices.SortFunc(out, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	return slices.Compact(out)
}

func setContainer(out *model.Injection, own, mesh *intent.ProxyContainer) {
	text := func(field func(*intent.ProxyContainer) *intent.Value[string]) string {
		return scope.Or(first(own, mesh, field), "")
	}
	out.Image = text(func(p *intent.ProxyContainer) *intent.Value[string] { return p.Image })
	out.AgentImage = text(func(p *intent.ProxyContainer) *intent.Value[string] { return p.AgentImage })
	out.LogLevel = cmp.Or(text(func(p *intent.ProxyContainer) *intent.Value[string] { return p.LogLevel }), out.LogLevel)
	if r := first(own, mesh, func(p *intent.ProxyContainer) *intent.Resources { return p.Resources }); r != nil {
		out.Requests, out.Limits = quantities(r.Requests), quantities(r.Limits)
	}
}

func quantities(q *intent.Quantities) model.Quantities {
	if q == nil {
		return model.Quantities{}
	}
	return model.Quantities{CPU: scope.Or(q.CPU, ""), Memory: scope.Or(q.Memory, "")}
}
