package check

import (
	"fmt"
	"slices"
	"time"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// longestAdmission is the longest time that admission control looks back on.
const longestAdmission = time.Hour

// admission judges what services refuse while too few requests succeed.
func (c *overIntent) admission() {
	for _, s := range c.in.services {
		if s.Admission == nil {
			continue
		}
		a := &admissions{c, s, s.Admission, fmt.Sprintf("service %q: admission", s.Name.V)}
		a.numbers()
		a.successes()
		a.limited()
		a.ejected()
	}
}

// admissions is what the admission control of one service is judged with.
type admissions struct {
	*overIntent
	s     *intent.Service
	in    *intent.Admission
	owner string
}

func (a *admissions) speaks(p model.Protocol) bool {
	return slices.ContainsFunc(a.s.Ports, func(port *intent.Port) bool { return port.Protocol.V == string(p) })
}

func (a *admissions) numbers() {
	if w := a.in.Window; w != nil {
		if d, ok := a.duration(w, 0); ok && (d < time.Second || d > longestAdmission || d%time.Second != 0) {
			a.report(diag.WrongValue, w.At, "%s: window %q is not of whole seconds from 1s to 1h", a.owner, w.V)
		}
	}
	for _, n := range []struct {
		name        string
		v           *intent.Value[string]
		least, most uint32 // hundredths
		want        string
	}{
		{"successRate", a.in.SuccessRate, 1_00, 100_00, "from 1 to 100"},
		{"maxRejection", a.in.MaxRejection, 1, 100_00, "above 0 and up to 100"},
		{"aggression", a.in.Aggression, 1_00, 100_00, "from 1 to 100"},
	} {
		if n.v == nil {
			continue
		}
		if got, err := literal.Percent(n.v.V); err != nil || got < n.least || got > n.most {
			d := a.report(diag.WrongValue, n.v.At, "%s: %s %s is not a number %s with at most two decimals", a.owner, n.name, literal.Clip(n.v.V), n.want)
			if err == nil && got == 0 && n.name != "aggression" {
				d.Help = "leave `admission` out: nothing would be refused"
			}
		}
	}
}

// successes finds lists by which no answer fails, or that nothing asks.
func (a *admissions) successes() {
	http, grpc := a.speaks(model.HTTP), a.speaks(model.GRPC)
	if !http && !grpc {
		a.report(diag.AdmissionNever, a.in.At, "%s: it has no http or grpc port, so nothing is refused", a.owner).Help = "leave it out"
		return
	}
	s := a.in.Success
	if s == nil {
		return
	}
	if s.Statuses == nil && s.GRPCStatuses == nil {
		a.report(diag.WrongValue, s.At, "%s: `success` says nothing", a.owner).Help = "leave it out"
	}
	for name, list := range map[string][]intent.Value[string]{"statuses": s.Statuses, "grpcStatuses": s.GRPCStatuses} {
		if list != nil && len(list) == 0 {
			a.report(diag.WrongValue, s.At, "%s: `%s` is an empty list, so no request ever succeeds", a.owner, name).Help = "leave it out for the usual ones"
		}
		a.listedTwice("`"+name+"`", list, same)
	}
	if len(s.GRPCStatuses) > 0 && !grpc {
		a.report(diag.AdmissionNever, s.GRPCStatuses[0].At, "%s: nothing asks `grpcStatuses`, because the service has no grpc port", a.owner).Help = "leave it out"
	}
	statuses := model.DefaultAdmissionStatuses
	if s.Statuses != nil {
		statuses = nil
		for _, v := range s.Statuses {
			r, _ := model.StatusRangeOf(v.V) // of the schema's form
			statuses = append(statuses, r)
		}
	}
	calls := model.DefaultAdmissionGRPC
	if s.GRPCStatuses != nil {
		calls = nil
		for _, v := range s.GRPCStatuses {
			if n := uint32(slices.Index(model.GRPCStatusNames, v.V)); !slices.Contains(calls, n) {
				calls = append(calls, n)
			}
		}
	}
	if all := (&model.Admission{Statuses: statuses, GRPCStatuses: calls}); !all.Fails(grpc) {
		a.report(diag.AdmissionNever, s.At, "%s: every answer is a success, so nothing is refused", a.owner).Help = "leave the statuses out that show that the service is overloaded"
	}
}

// limited finds limits that let fewer requests through than there have to be.
func (a *admissions) limited() {
	least := a.in.MinRPS
	if least == nil {
		return
	}
	for _, r := range a.s.RateLimits {
		if r.Local == nil || r.Match != nil || r.By != nil || r.Enforced != nil {
			continue
		}
		per, err := literal.Duration(r.Local.Per.V)
		if err != nil || per <= 0 {
			continue // reported
		}
		// A full bucket lets more through at once, of which a window sees the most when it is short.
		window := model.DefaultAdmissionWindow
		if a.in.Window != nil {
			window, err = literal.Duration(a.in.Window.V)
		}
		if err != nil || window < time.Second {
			continue // reported
		}
		through := float64(scope.Or(r.Local.Burst, r.Local.Requests.V)) + float64(r.Local.Requests.V)*(float64(window)/float64(per)+1)
		if through/window.Seconds() < float64(least.V) {
			d := a.report(diag.AdmissionNever, least.At, "%s: rate limit %q lets %d requests in %s through, which is never minRPS %d", a.owner, r.Name.V, r.Local.Requests.V, r.Local.Per.V, least.V)
			d.Help = "lower minRPS, or leave one of both out"
			d.Related = []diag.Related{{Range: r.Name.At, Message: "the limit, which comes first"}}
		}
	}
}

// ejected finds callers that take an endpoint which refuses for one that fails.
func (a *admissions) ejected() {
	for _, v := range a.s.Versions {
		t := a.scope.VersionTraffic(a.s, v)
		if t == nil || t.Outliers == nil {
			continue
		}
		o := t.Outliers
		counts := firstPlace(at(o.Consecutive5xx, placeOf[int]), at(o.ConsecutiveGateway, placeOf[int]))
		counted := o.Statuses == nil || slices.ContainsFunc(o.Statuses, func(s intent.Value[string]) bool {
			r, ok := model.StatusRangeOf(s.V)
			return ok && r.Holds(503)
		})
		if counts == nil || !counted {
			continue
		}
		d := a.report(diag.AdmissionEjects, a.in.At, "%s: what is refused with 503 counts as failures in a row for callers, who then leave the endpoint out and send the others more", a.owner)
		d.Help = "let `outliers` go by successRate or failurePercent, or by `statuses` without 503"
		d.Related = []diag.Related{{Range: *counts, Message: "what counts them"}}
		return
	}
}

func firstPlace(list ...*diag.Range) *diag.Range {
	for _, r := range list {
		if r != nil {
			return r
		}
	}
	return nil
}
