package check

import (
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
	"github.com/meshc/meshc/compiler/target"
)

// targets refuses what a proxy that would have to act on it cannot serve.
func (c *overIntent) targets() {
	t := &targets{overIntent: c}
	for _, s := range c.mesh.Services {
		if len(s.Features) > 0 {
			t.judge(s.Features, scope.ServiceRef(s), t.ofService(s))
		}
	}
	for _, g := range c.mesh.Gateways {
		if len(g.Features) > 0 {
			t.judge(g.Features, scope.GatewayRef(g), t.ofGateway(g))
		}
	}
	for _, e := range c.mesh.Externals {
		t.judgeExternal(e)
	}
	t.judgeConfig()
}

// runner is one service or gateway and the kind of proxy that serves it.
type runner struct {
	what  string // "service"
	name  string
	at    diag.Range
	proxy target.Proxy
}

// targets knows who runs which proxy, and who calls whom.
type targets struct {
	*overIntent
	callers map[model.Ref][]*runner // by what is called; made when it is first needed
}

func (t *targets) judge(features []intent.Feature, ref model.Ref, own *runner) {
	for _, f := range features {
		row := target.FindRow(f.Row)
		if row.Side != target.Callers && own != nil && t.refused(f, row, own) {
			continue
		}
		if row.Side == target.Own {
			continue
		}
		t.judgeCallers(f, row, ref, own)
	}
}

// judgeExternal holds what the connection out of the mesh is like against who
// makes it: the egress gateway, or the callers themselves.
func (t *targets) judgeExternal(e *intent.External) {
	ref, via := scope.ExternalRef(e), t.scope.Via(e)
	for _, f := range e.Features {
		row := target.FindRow(f.Row)
		if row.Side == target.Exit && via != nil {
			t.refused(f, row, t.ofGateway(via))
			continue
		}
		t.judgeCallers(f, row, ref, nil)
	}
}

// judgeCallers reports the first caller whose proxy cannot serve f. What nobody
// calls yet is held against its own proxy, and so is what has none: its callers
// have none either.
func (t *targets) judgeCallers(f intent.Feature, row *target.Row, ref model.Ref, own *runner) {
	callers := t.callersOf(ref)
	if own != nil && (len(callers) == 0 || own.proxy == target.GRPC) {
		callers = []*runner{own}
	}
	for _, caller := range callers {
		if t.refused(f, row, caller) {
			return
		}
	}
}

// refused reports a field that a proxy cannot serve; once per field.
func (t *targets) refused(f intent.Feature, row *target.Row, by *runner) bool {
	if row.Served&by.proxy != 0 {
		return false
	}
	d := t.report(diag.NotServed, f.At, "%s is not served by %s, the proxy of %s %q", target.Word(row.Field), by.proxy.Title(), by.what, by.name)
	d.Related = []diag.Related{{Range: by.at, Message: "whose proxy it is"}}
	switch {
	case by.proxy == target.Meshc && row.Served&target.Envoy != 0:
		d.Help = "leave it out, or run Envoy there: proxy: \"envoy\""
	default:
		d.Help = "leave it out"
	}
	return true
}

// judgeConfig holds what the whole mesh says against every proxy in it.
func (t *targets) judgeConfig() {
	t.judgeRaws()
	for _, f := range t.mesh.Config.Features {
		if f.Row == rawRow {
			continue
		}
		row := target.FindRow(f.Row)
		for _, r := range t.all() {
			if r.proxy == target.GRPC && strings.HasPrefix(f.Row, telemetryRow) && t.anyProxy() {
				continue // it has no proxy that could tell anything, and takes the default from nobody
			}
			if t.refused(f, row, r) {
				break
			}
		}
	}
}

// telemetryRow begins the rows of what a mesh says that proxies tell.
const telemetryRow = "mesh.telemetry"

// anyProxy says that somebody has a proxy.
func (t *targets) anyProxy() bool {
	return slices.ContainsFunc(t.all(), func(r *runner) bool { return r.proxy != target.GRPC })
}

func (t *targets) all() []*runner {
	var all []*runner
	for _, s := range t.mesh.Services {
		all = append(all, t.ofService(s))
	}
	for _, g := range t.mesh.Gateways {
		all = append(all, t.ofGateway(g))
	}
	return all
}

func (t *targets) ofService(s *intent.Service) *runner {
	return &runner{"service", s.Name.V, s.At, t.scope.ServiceProxy(s)}
}

func (t *targets) ofGateway(g *intent.Gateway) *runner {
	return &runner{"gateway", g.Name.V, g.At, t.scope.GatewayProxy(g)}
}

func (t *targets) callersOf(ref model.Ref) []*runner {
	if t.callers == nil {
		t.readCallers()
	}
	return t.callers[ref]
}

func (t *targets) readCallers() {
	t.callers = map[model.Ref][]*runner{}
	for _, s := range t.mesh.Services {
		by := t.ofService(s)
		for _, u := range s.Uses {
			to := literal.Ref(u.Ref.V, scope.ServiceRef(s).Namespace)
			t.callers[to] = append(t.callers[to], by)
		}
	}
	for _, m := range t.copyings() {
		for _, from := range m.from {
			if s := t.scope.Service(from); s != nil {
				t.callers[m.to] = append(t.callers[m.to], t.ofService(s))
			} else if g := t.scope.Gateway(from); g != nil {
				t.callers[m.to] = append(t.callers[m.to], t.ofGateway(g))
			}
		}
	}
	for _, g := range t.mesh.Gateways {
		by := t.ofGateway(g)
		if g.Security != nil && g.Security.Authorizer != nil {
			to := literal.Ref(g.Security.Authorizer.Service.V, scope.GatewayRef(g).Namespace)
			t.callers[to] = append(t.callers[to], by)
		}
		for _, r := range g.Routes {
			if r.Answers() {
				continue
			}
			to := literal.Ref(r.To.V, scope.GatewayRef(g).Namespace)
			t.callers[to] = append(t.callers[to], by)
		}
	}
}
