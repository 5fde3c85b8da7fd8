package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// expects judges what is expected of the mesh by its form: names that are there,
// one subject, and claims that can all hold. Whether they do is for package expect.
func (c *overIntent) expects() {
	for _, s := range c.mesh.Services {
		for _, e := range s.Expect {
			x := &expected{c, e, fmt.Sprintf("expectation %q", e.Name.V), scope.ServiceRef(s), s, nil}
			x.subject()
			x.claims()
			x.ofService()
		}
	}
	for _, g := range c.mesh.Gateways {
		for _, e := range g.Expect {
			x := &expected{c, e, fmt.Sprintf("expectation %q", e.Name.V), scope.GatewayRef(g), nil, g}
			x.subject()
			x.claims()
			x.ofGateway()
		}
	}
	for _, e := range c.mesh.Config.Expect {
		c.expectMesh(e)
	}
}

// expected is one expectation of a service or gateway.
type expected struct {
	*overIntent
	e       *intent.Expect
	what    string
	owner   model.Ref
	service *intent.Service // nil for a gateway
	gateway *intent.Gateway // nil for a service
}

// subject is one of request, every and reachedBy, with what belongs to it.
func (x *expected) subject() {
	e := x.e
	if howMany(e.Request != nil, e.Every != nil, e.ReachedBy != nil) != 1 {
		fields := "`request`, `every` and `reachedBy`"
		if x.gateway != nil {
			fields = "`request` and `every`"
		}
		x.report(diag.NotExactlyOne, e.Name.At, "%s is about exactly one of %s", x.what, fields)
		return
	}
	for _, f := range x.written() {
		if e.ReachedBy != nil {
			x.report(diag.BadExpectation, f.at, "%s: `%s` says nothing about who is let in", x.what, f.name).Help = "write an expectation of its own"
		}
	}
	if e.ReachedBy == nil && len(x.written()) == 0 {
		x.report(diag.ExpectsNothing, e.Name.At, "%s does not say what becomes of requests", x.what).Help = "write `to`, `outcome` or `status`, for example"
	}
	if e.From != nil && e.Every == nil {
		d := x.report(diag.BadExpectation, x.firstOr(e.From), "%s: `from` is for `every`", x.what)
		if d.Help = "leave it out"; e.Request != nil {
			d.Help = "write it in `request`"
		}
	}
	if e.Location != nil && e.Request == nil {
		x.report(diag.BadExpectation, e.Location.At, "%s: `location` is for one `request`: that of others is another URL", x.what).Help = "write `status`"
	}
	x.noEmptyList("every", e.Every != nil && len(e.Every) == 0, "[{}] is every request")
	x.noEmptyList("from", e.From != nil && len(e.From) == 0, "leave it out to mean every caller")
	x.noEmptyList("notTo", e.NotTo != nil && len(e.NotTo) == 0, "leave it out")
	x.noEmptyList("notServices", e.NotServices != nil && len(e.NotServices) == 0, "leave it out")
}

func (x *expected) noEmptyList(field string, empty bool, help string) {
	if empty {
		x.report(diag.WrongValue, x.e.Name.At, "%s: `%s` is an empty list", x.what, field).Help = help
	}
}

func (x *expected) firstOr(list []intent.Value[string]) diag.Range {
	if len(list) > 0 {
		return list[0].At
	}
	return x.e.Name.At
}

// claimField is a field that says what becomes of requests.
type claimField struct {
	name string
	at   diag.Range
}

// written are those of the expectation, in the order of the schema.
func (x *expected) written() []claimField {
	e := x.e
	var out []claimField
	add := func(name string, at *diag.Range) {
		if at != nil {
			out = append(out, claimField{name, *at})
		}
	}
	add("service", at(e.Service, placeOf[string]))
	add("notServices", firstValue(e.NotServices))
	add("to", firstOf(e.To, func(w *intent.Weight) diag.Range { return w.Version.At }))
	add("notTo", firstValue(e.NotTo))
	add("outcome", at(e.Outcome, placeOf[string]))
	add("status", at(e.Status, placeOf[int]))
	add("location", at(e.Location, placeOf[string]))
	add("timeout", at(e.Timeout, placeOf[string]))
	add("retries", at(e.Retries, placeOf[int]))
	add("faults", at(e.Faults, placeOf[bool]))
	return out
}

func placeOf[T any](v *intent.Value[T]) diag.Range { return v.At }

// answered are the fields that say that a proxy answers, or how, and sentOn those
// that say that the request goes on.
var (
	sentOn = []string{"service", "to", "timeout", "retries"}
	// answeredWith are the statuses of outcomes that have no other.
	answeredWith = map[string]int{"denied": 403, "unauthenticated": 401, "no-route": 404}
)

// claims are ones that one request can meet all of.
func (x *expected) claims() {
	e := x.e
	ends := ""
	switch {
	case e.Location != nil:
		ends = "redirected"
	case e.Outcome != nil:
		ends = e.Outcome.V
	case e.Status != nil:
		ends = fmt.Sprintf("answered with %d", e.Status.V)
	}
	for _, f := range x.written() {
		if ends != "" && ends != "allowed" && slices.Contains(sentOn, f.name) {
			x.report(diag.BadExpectation, f.at, "%s: `%s` is of what is sent on, and not of what is %s", x.what, f.name, ends)
		}
	}
	x.outcomeAndStatus()
	x.duration(e.Timeout, 0)
	for _, v := range e.NotTo {
		for _, w := range e.To {
			if share, err := literal.Percent(w.Percent.V); err == nil && share > 0 && w.Version.V == v.V {
				x.report(diag.BadExpectation, v.At, "%s: %s of the requests go to %q, and none do", x.what, literal.FormatPercent(share)+" %", v.V)
			}
		}
	}
	for _, v := range e.NotServices {
		if e.Service != nil && literal.Ref(v.V, x.owner.Namespace) == literal.Ref(e.Service.V, x.owner.Namespace) {
			x.report(diag.BadExpectation, v.At, "%s: it goes to %q, and it does not", x.what, v.V)
		}
	}
}

// outcomeAndStatus agree, where both are written.
func (x *expected) outcomeAndStatus() {
	e := x.e
	if e.Location != nil && e.Outcome != nil && e.Outcome.V != "redirected" {
		x.report(diag.BadExpectation, e.Outcome.At, "%s: what is redirected is not %s", x.what, e.Outcome.V)
	}
	if e.Status == nil || e.Outcome == nil {
		return
	}
	status, fixed := answeredWith[e.Outcome.V]
	switch {
	case e.Outcome.V == "allowed", e.Outcome.V == "not-declared":
		x.report(diag.BadExpectation, e.Status.At, "%s: no proxy answers what is %s", x.what, e.Outcome.V).Help = "leave `status` out: the application answers"
	case fixed && status != e.Status.V:
		x.report(diag.BadExpectation, e.Status.At, "%s: what is %s is answered with %d", x.what, e.Outcome.V, status).Help = "leave `status` out"
	}
}

func (x *expected) ofService() {
	e, s := x.e, x.service
	x.split(s, e.To)
	x.versions(s, e.NotTo)
	x.port()
	for _, from := range e.From {
		x.caller(from)
	}
	if e.ReachedBy != nil {
		for _, name := range e.ReachedBy.Only {
			x.reacher(x.what, name, x.owner.Namespace)
		}
	}
	for _, m := range e.Every {
		x.match(e.Name, m)
		if m.GRPC != nil {
			x.grpcNames(m.GRPC)
		}
	}
	if e.Request == nil {
		return
	}
	x.request(e.Request, s.Security)
	if e.Request.From != nil {
		x.caller(*e.Request.From)
	}
}

func (x *expected) ofGateway() {
	e, g := x.e, x.gateway
	var to *intent.Service
	if e.Service != nil {
		to = x.backendNamed(*e.Service)
	} else if len(e.To) > 0 {
		x.report(diag.BadExpectation, e.To[0].Version.At, "%s: `to` names versions of `service`, which is not written", x.what).Help = "write `service`"
	}
	if to != nil {
		x.split(to, e.To)
	}
	for _, name := range e.NotServices {
		x.backendNamed(name)
	}
	x.listener()
	for _, m := range e.Every {
		x.match(e.Name, m)
		x.overIntent.claims("gateway \""+g.Name.V+"\"", g.Security, m.Claims)
	}
	if e.Request != nil {
		x.request(e.Request, g.Security)
	}
}

// caller is a service that is there; what gateways send is expected of them.
func (x *expected) caller(from intent.Value[string]) {
	ref := literal.Ref(from.V, x.owner.Namespace)
	switch {
	case x.scope.Service(ref) != nil:
	case x.scope.Gateway(ref) != nil:
		x.report(diag.BadExpectation, from.At, "%s: %q is a gateway, whose clients' requests are of its own `expect`", x.what, from.V).Help = "write the expectation there, with `service`"
	default:
		x.reacher(x.what, from, x.owner.Namespace)
	}
}

// reacher is a service or gateway that is there.
func (c *overIntent) reacher(what string, name intent.Value[string], namespace string) {
	if _, ok := c.scope.CallerID(literal.Ref(name.V, namespace)); ok {
		return
	}
	var known []string
	for _, s := range c.mesh.Services {
		known = append(known, written(scope.ServiceRef(s), namespace))
	}
	for _, g := range c.mesh.Gateways {
		known = append(known, written(scope.GatewayRef(g), namespace))
	}
	d := c.report(diag.UnknownCaller, name.At, "%s names %q, which is no service or gateway", what, name.V)
	meantText(d, name, known, nil)
}

func (x *expected) backendNamed(name intent.Value[string]) *intent.Service {
	return x.serviceNamed(x.what, name, x.owner.Namespace)
}

// serviceNamed is a service that is there, or nil after a report.
func (c *overIntent) serviceNamed(what string, name intent.Value[string], namespace string) *intent.Service {
	if s := c.scope.Service(literal.Ref(name.V, namespace)); s != nil {
		return s
	}
	var known []string
	for _, s := range c.mesh.Services {
		known = append(known, written(scope.ServiceRef(s), namespace))
	}
	d := c.report(diag.UnknownBackend, name.At, "%s names service %q, which does not exist", what, name.V)
	meantText(d, name, known, nil)
	return nil
}

func versionNames(s *intent.Service) []string {
	var out []string
	for _, v := range s.Versions {
		out = append(out, v.Name.V)
	}
	return out
}

func (x *expected) versions(s *intent.Service, names []intent.Value[string]) {
	for _, v := range names {
		if known := versionNames(s); !slices.Contains(known, v.V) {
			d := x.report(diag.UnknownVersion, v.At, "%s names version %q, which service %q does not have", x.what, v.V, s.Name.V)
			meantText(d, v, known, names)
		}
	}
}

// split is of versions that there are, and of all requests.
func (x *expected) split(s *intent.Service, to []*intent.Weight) {
	sum, readable, known := uint32(0), true, versionNames(s)
	for _, w := range to {
		if !slices.Contains(known, w.Version.V) {
			d := x.report(diag.UnknownVersion, w.Version.At, "%s names version %q, which service %q does not have", x.what, w.Version.V, s.Name.V)
			meantLabel(d, w.Version, known, slices.ContainsFunc(to, func(o *intent.Weight) bool {
				_, ok := diag.MeantName(w.Version.V, []string{o.Version.V})
				return ok
			}))
		}
		share, err := literal.Percent(w.Percent.V)
		if err != nil {
			readable = false
			x.report(diag.BadWeight, w.Version.At, "%s: share %s of version %q %s", x.what, w.Percent.V, w.Version.V, err)
		}
		sum += share
	}
	if len(to) > 0 && readable && sum != model.BasisPointsWhole {
		x.report(diag.WeightSum, to[0].Version.At, "%s: shares add up to %s, not 100", x.what, literal.FormatPercent(sum))
	}
}

// port is one that the subject can be about.
func (x *expected) port() {
	e, s := x.e, x.service
	var http []*intent.Port
	for _, p := range s.Ports {
		if scope.IsHTTP(p) {
			http = append(http, p)
		}
	}
	switch {
	case e.Port != nil && scope.Port(s.Ports, e.Port.V) == nil:
		d := x.report(diag.UnknownPort, e.Port.At, "%s: service %q has no port %q", x.what, s.Name.V, e.Port.V)
		meantText(d, *e.Port, portNames(s), nil)
	case e.ReachedBy != nil && len(s.Ports) == 0:
		x.report(diag.UnknownPort, e.Name.At, "%s: service %q has no ports", x.what, s.Name.V)
	case e.ReachedBy != nil:
	case e.Port != nil && scope.IsTCP(scope.Port(s.Ports, e.Port.V)):
		x.ofHTTP(e.Port.At, "port", x.what)
	case len(http) == 0:
		x.report(diag.UnknownPort, e.Name.At, "%s is about requests, and service %q has no http or grpc port", x.what, s.Name.V)
	case e.Request != nil && e.Port == nil && len(http) > 1:
		x.report(diag.AmbiguousPort, e.Name.At, "%s: service %q has several http and grpc ports", x.what, s.Name.V).Help = "write `port`"
	}
}

// listener is one that the subject can be about.
func (x *expected) listener() {
	e, g := x.e, x.gateway
	var http, known []string
	var named *intent.GatewayListener
	for _, l := range g.Listeners {
		known = append(known, l.Name.V)
		if !scope.CarriesBytes(l) {
			http = append(http, l.Name.V)
		}
		if e.Port != nil && e.Port.V == l.Name.V {
			named = l
		}
	}
	switch {
	case e.Port != nil && named == nil:
		d := x.report(diag.UnknownListener, e.Port.At, "%s: gateway %q has no listener %q", x.what, g.Name.V, e.Port.V)
		meantText(d, *e.Port, known, nil)
	case named != nil && scope.CarriesBytes(named):
		x.withoutRequests(e.Port.At, "listener", x.what)
	case len(http) == 0:
		x.report(diag.UnknownListener, e.Name.At, "%s is about requests, and gateway %q has no http or https listener", x.what, g.Name.V)
	case e.Request != nil && named == nil && len(http) > 1:
		x.report(diag.AmbiguousPort, e.Name.At, "%s: gateway %q has several http and https listeners", x.what, g.Name.V).Help = "write `listener`: one of " + strings.Join(http, ", ")
	}
}

func (c *overIntent) expectMesh(e *intent.ExpectMesh) {
	what := fmt.Sprintf("expectation %q", e.Name.V)
	if howMany(e.ReachedBy != nil, e.NotReachedFrom != nil) != 1 {
		c.report(diag.NotExactlyOne, e.Name.At, "%s is about exactly one of `reachedBy` and `notReachedFrom`", what)
	}
	if len(e.Services) == 0 {
		c.report(diag.WrongValue, e.Name.At, "%s: `services` is an empty list", what)
	}
	if e.NotReachedFrom != nil && len(e.NotReachedFrom) == 0 {
		c.report(diag.WrongValue, e.Name.At, "%s: `notReachedFrom` is an empty list", what)
	}
	if e.ExceptThrough != nil && e.NotReachedFrom == nil {
		at := e.Name.At
		if first := firstValue(e.ExceptThrough); first != nil {
			at = *first
		}
		c.report(diag.BadExpectation, at, "%s: `exceptThrough` is for `notReachedFrom`", what).Help = "leave it out"
	}
	for _, name := range e.Services {
		c.serviceNamed(what, name, scope.DefaultNamespace)
	}
	callers := slices.Concat(e.NotReachedFrom, e.ExceptThrough)
	if e.ReachedBy != nil {
		callers = append(callers, e.ReachedBy.Only...)
	}
	for _, name := range callers {
		c.reacher(what, name, scope.DefaultNamespace)
	}
}
