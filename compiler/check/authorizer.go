package check

import (
	"slices"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// authorizer judges who is asked about requests.
func (o *ruleOwner) authorizer() {
	a := o.sec.Authorizer
	if a == nil {
		return
	}
	o.askedService()
	o.askedRequests(a)
	if a.Timeout != nil {
		if d, err := literal.Duration(a.Timeout.V); err != nil {
			meantDuration(o.report(diag.BadDuration, a.Timeout.At, "%s", err), *a.Timeout)
		} else if d < time.Millisecond {
			o.report(diag.WrongValue, a.Timeout.At, "an authorizer is waited for a millisecond at least")
		}
	}
	if scope.Or(a.FailOpen, false) {
		o.report(diag.FailsOpen, a.FailOpen.At, "%s %q lets every request in while authorizer %q does not answer", o.kind, o.name, a.Service.V)
	}
	if a.Headers != nil && len(a.Headers) == 0 {
		o.report(diag.WrongValue, a.At, "`headers` of the authorizer is an empty list").Help = "leave it out to tell it every header"
	}
	o.listedTwice("`headers`", a.Headers, strings.ToLower)
	for _, h := range a.Headers {
		if why := unusableHeader(strings.ToLower(h.V)); why != "" {
			o.report(diag.BadHeader, h.At, "the authorizer cannot be told header %q: %s", h.V, why)
		}
	}
	if o.service != nil && !slices.ContainsFunc(o.service.Ports, scope.IsHTTP) && len(o.service.Ports) > 0 {
		o.ofHTTP(a.At, "authorizer", "service \""+o.name+"\"")
	}
}

// askedService wants one cluster that questions go to.
func (o *ruleOwner) askedService() {
	a := o.sec.Authorizer
	ref := literal.Ref(a.Service.V, o.ref.Namespace)
	s := o.scope.Service(ref)
	switch {
	case s == nil:
		var known []string
		for _, other := range o.mesh.Services {
			known = append(known, written(scope.ServiceRef(other), o.ref.Namespace))
		}
		meantText(o.report(diag.BadAuthorizer, a.Service.At, "%s %q: there is no service %q to ask", o.kind, o.name, a.Service.V), a.Service, known, nil)
		return
	case s == o.service:
		o.report(diag.BadAuthorizer, a.Service.At, "service %q asks itself about its own requests", o.name)
		return
	case scope.AskedPort(s, a) == nil:
		grpc := 0
		for _, p := range s.Ports {
			if p.Protocol.V == string(model.GRPC) {
				grpc++
			}
		}
		d := o.report(diag.BadAuthorizer, a.Service.At, "%s %q: authorizer %q has %d grpc ports", o.kind, o.name, a.Service.V, grpc)
		if d.Help = "name one in `port`"; a.Port != nil {
			d.Range = a.Port.At
			d.Help = "name a grpc port of it"
		}
		return
	case len(s.Versions) != 1:
		o.report(diag.BadAuthorizer, a.Service.At, "%s %q: authorizer %q has %d versions, and requests are not routed to one of them", o.kind, o.name, a.Service.V, len(s.Versions))
		return
	}
	o.needsUse(a.Service)
}

// askedRequests judges about which requests somebody is asked.
func (o *ruleOwner) askedRequests(a *intent.Authorizer) {
	for _, l := range []struct {
		name string
		list []*intent.Rule
	}{{"on", a.On}, {"except", a.Except}} {
		if l.list != nil && len(l.list) == 0 {
			o.report(diag.WrongValue, a.At, "`%s` of the authorizer is an empty list", l.name).Help = "leave it out"
		}
		o.someRequests(l.list, "is meant")
		for _, r := range l.list {
			if r.EmptyList() == "" && len(r.Hosts)+len(r.Methods)+len(r.Paths) == 0 {
				o.report(diag.WrongValue, r.At, "`%s` of the authorizer names every request", l.name).Help = "write hosts, methods or paths"
			}
		}
	}
}
