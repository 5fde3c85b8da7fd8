package check

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"time"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/target"
)

// maxDrain bounds how long a pod may take to end.
const maxDrain = time.Hour

// image is the grammar of references to images, without their bounds on length.
var image = regexp.MustCompile(`^([a-zA-Z0-9.-]+(:[0-9]+)?/)?[a-z0-9]+([._/-]+[a-z0-9]+)*(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@sha256:[0-9a-f]{64})?$`)

// workloads judges what the mesh and its services say of their pods.
func (c *overIntent) workloads() {
	c.workload(c.mesh.Config.Workload)
	c.agentOfNobody(c.mesh.Config.Workload)
	for _, s := range c.mesh.Services {
		c.workload(s.Workload)
		c.directPorts(s)
		c.reservedPorts(s)
		c.workloadOf(s)
	}
}

// agentOfNobody: the image of the agent is for pods whose proxy is Envoy.
func (c *overIntent) agentOfNobody(w *intent.Workload) {
	if w == nil || w.Proxy == nil || w.Proxy.AgentImage == nil {
		return
	}
	isEnvoy := func(s *intent.Service) bool { return c.scope.ServiceProxy(s) == target.Envoy }
	if !slices.ContainsFunc(c.mesh.Services, isEnvoy) {
		c.report(diag.WorkloadDoesNothing, w.Proxy.AgentImage.At, "no service of the mesh has Envoy for its proxy, and meshc-proxy needs no agent beside it").Help = "write `image`, or proxy: \"envoy\""
	}
}

// workloadOf judges a service's own block against its proxy.
func (c *overIntent) workloadOf(s *intent.Service) {
	if s.Workload == nil {
		return
	}
	switch kind := c.scope.ServiceProxy(s); {
	case kind == target.GRPC:
		c.report(diag.WorkloadDoesNothing, s.Workload.At, "the applications of service %q read xDS themselves, so their pods get no proxy", s.Name.V).Help = "leave `workload` out"
	case kind == target.Meshc && s.Workload.Proxy != nil && s.Workload.Proxy.AgentImage != nil:
		c.report(diag.WorkloadDoesNothing, s.Workload.Proxy.AgentImage.At, "the proxy of service %q is meshc-proxy, which needs no agent beside it", s.Name.V).Help = "write `image`, or proxy: \"envoy\""
	}
}

func (c *overIntent) workload(w *intent.Workload) {
	if w == nil {
		return
	}
	if w.Inject != nil && !w.Inject.V {
		c.notInjected(w)
		return
	}
	if w.Inject == nil && w.Capture == nil && w.Probes == nil && w.Hold == nil && w.Drain == nil && w.Proxy == nil {
		c.saysNothing("workload", w.At)
	}
	c.captured(w.Capture)
	if w.Probes != nil && w.Probes.Rewrite == nil {
		c.saysNothing("probes", w.Probes.At)
	}
	if d, ok := c.duration(w.Drain, time.Second); ok && (d < time.Second || d > maxDrain) {
		c.report(diag.BadDuration, w.Drain.At, "a proxy drains for %s", w.Drain.V).Help = "a drain is between 1s and 1h"
	}
	c.proxyContainer(w.Proxy)
}

func (c *overIntent) saysNothing(block string, at diag.Range) {
	c.report(diag.WorkloadDoesNothing, at, "`%s` says nothing", block).Help = "leave it out"
}

// notInjected refuses what would have no effect.
func (c *overIntent) notInjected(w *intent.Workload) {
	for _, other := range []struct {
		name    string
		written bool
	}{{"capture", w.Capture != nil}, {"probes", w.Probes != nil}, {"hold", w.Hold != nil}, {"drain", w.Drain != nil}, {"proxy", w.Proxy != nil}} {
		if other.written {
			c.report(diag.WorkloadDoesNothing, w.Inject.At, "pods get no proxy, so `%s` does nothing", other.name).Help = "leave one of them out"
			return
		}
	}
}

func (c *overIntent) captured(k *intent.Capture) {
	if k == nil {
		return
	}
	if k.UID == nil && k.Inbound == nil && k.Outbound == nil {
		c.saysNothing("capture", k.At)
	}
	if k.Inbound != nil && k.ExcludeInbound == nil {
		c.saysNothing("inbound", *k.Inbound)
	}
	if k.Outbound != nil && k.IncludeOutbound == nil && k.ExcludeOutbound == nil && k.ExcludeOutboundPorts == nil {
		c.saysNothing("outbound", *k.Outbound)
	}
	c.ownPorts(k)
	c.portsTwice("`exclude`", k.ExcludeInbound)
	c.portsTwice("`excludePorts`", k.ExcludeOutboundPorts)
	include, ok := c.ranges("`include`", k.IncludeOutbound)
	exclude, also := c.ranges("`exclude`", k.ExcludeOutbound)
	if ok && also {
		c.rangesHidden(k, include, exclude)
	}
}

func (c *overIntent) portsTwice(list string, ports []intent.Value[int]) {
	var texts []intent.Value[string]
	for _, p := range ports {
		texts = append(texts, intent.Value[string]{V: fmt.Sprint(p.V), At: p.At})
	}
	c.listedTwice(list, texts, same)
}

func (c *overIntent) ranges(list string, texts []intent.Value[string]) (out []netip.Prefix, ok bool) {
	ok = true
	for _, text := range texts {
		p, err := literal.Network(text.V)
		if err != nil {
			c.report(diag.BadCapture, text.At, "%s", err)
			ok = false
		}
		out = append(out, p)
	}
	if ok {
		c.listedTwice(list, texts, func(s string) string {
			p, err := literal.Network(s)
			if err != nil {
				return s
			}
			return p.String()
		})
	}
	return out, ok
}

// rangesHidden reports ranges that another one leaves nothing to say.
func (c *overIntent) rangesHidden(k *intent.Capture, include, exclude []netip.Prefix) {
	for i, in := range include {
		if slices.ContainsFunc(exclude, func(ex netip.Prefix) bool { return ex.Bits() <= in.Bits() && ex.Overlaps(in) }) {
			c.report(diag.BadCapture, k.IncludeOutbound[i].At, "%q is excluded as a whole, so nothing of it is captured", k.IncludeOutbound[i].V).Help = "leave it out, or exclude less"
		}
	}
	for i, ex := range exclude {
		if len(include) > 0 && !slices.ContainsFunc(include, ex.Overlaps) {
			c.report(diag.BadCapture, k.ExcludeOutbound[i].At, "%q is not in `include`, so it is not captured anyway", k.ExcludeOutbound[i].V).Help = "leave it out"
		}
	}
}

// directPorts refuses that clients reach a port of the service past its proxy.
func (c *overIntent) directPorts(s *intent.Service) {
	var excluded []intent.Value[int]
	for _, w := range []*intent.Workload{s.Workload, c.mesh.Config.Workload} {
		if w != nil && w.Inject != nil && !w.Inject.V {
			return
		}
		if w != nil && w.Capture != nil && w.Capture.ExcludeInbound != nil {
			excluded = w.Capture.ExcludeInbound
			break
		}
	}
	for _, e := range excluded {
		i := slices.IndexFunc(s.Ports, func(p *intent.Port) bool { return p.Number.V == e.V })
		if i < 0 {
			continue
		}
		d := c.report(diag.DirectPort, e.At, "port %d is a port of service %q, whose callers and rules go by its proxy", e.V, s.Name.V)
		d.Help = "capture it, or take it out of `ports`"
		d.Related = []diag.Related{{Range: s.Ports[i].At, Message: "the port"}}
	}
}

func (c *overIntent) proxyContainer(p *intent.ProxyContainer) {
	if p == nil {
		return
	}
	if p.Image == nil && p.AgentImage == nil && p.LogLevel == nil && p.Resources == nil {
		c.saysNothing("proxy", p.At)
	}
	for _, name := range []*intent.Value[string]{p.Image, p.AgentImage} {
		if name != nil && !image.MatchString(name.V) {
			c.report(diag.BadImage, name.At, "%q is not the name of an image", literal.Clip(name.V))
		}
	}
	if p.Resources == nil {
		return
	}
	if p.Resources.Requests == nil && p.Resources.Limits == nil {
		c.saysNothing("resources", p.Resources.At)
	}
	c.amounts("requests", p.Resources.Requests)
	c.amounts("limits", p.Resources.Limits)
	if q, l := p.Resources.Requests, p.Resources.Limits; q != nil && l != nil {
		c.asksTooMuch("CPU", q.CPU, l.CPU)
		c.asksTooMuch("memory", q.Memory, l.Memory)
	}
}

func (c *overIntent) amounts(block string, q *intent.Quantities) {
	if q == nil {
		return
	}
	if q.CPU == nil && q.Memory == nil {
		c.saysNothing(block, q.At)
	}
	for _, v := range []*intent.Value[string]{q.CPU, q.Memory} {
		if v == nil {
			continue
		}
		if _, err := literal.Quantity(v.V); err != nil {
			c.report(diag.BadQuantity, v.At, "%s", err)
		}
	}
}

// asksTooMuch compares two amounts, unless one was reported.
func (c *overIntent) asksTooMuch(what string, request, limit *intent.Value[string]) {
	if request == nil || limit == nil {
		return
	}
	asked, err := literal.Quantity(request.V)
	most, err2 := literal.Quantity(limit.V)
	if err != nil || err2 != nil || asked.Cmp(most) <= 0 {
		return
	}
	d := c.report(diag.BadQuantity, request.At, "%q of %s is more than the limit of %q", request.V, what, limit.V)
	d.Related = []diag.Related{{Range: limit.At, Message: "the limit"}}
}
