package check

import (
	"slices"
	"time"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/lower"
)

func (c *overIntent) faults() {
	for _, s := range c.in.services {
		taken := map[string]map[string]claim{"delays": {}, "aborts": {}, "slows down": {}}
		bounds := map[string]*intent.Fault{}
		for _, f := range s.Faults {
			known := c.faultRoute(s, f)
			if f.Delay == nil && f.Abort == nil && f.Bandwidth == nil {
				c.report(diag.FaultDoesNothing, f.Name.At, "fault %q injects neither delay nor abort nor bandwidth", f.Name.V).
					WithChoice("take the fault away", diag.Edit{Op: diag.RemoveField, Range: f.Name.At})
			}
			c.delay(f)
			c.abort(f)
			c.bandwidth(f)
			c.faultEnd(f)
			if !known {
				continue
			}
			c.faultScope(s, f)
			c.faultBound(bounds, f)
			for verb, written := range map[string]bool{"delays": f.Delay != nil, "aborts": f.Abort != nil, "slows down": f.Bandwidth != nil} {
				if written {
					c.onceOnRoute(taken[verb], f, verb)
				}
			}
		}
	}
}

func (c *overIntent) faultEnd(f *intent.Fault) {
	if _, err := literal.Time(f.Until.V); err != nil {
		d := c.report(diag.BadTime, f.Until.At, "fault %q: %s", f.Name.V, err)
		if _, err := time.Parse(time.DateOnly, f.Until.V); err == nil {
			d.WithChoice("end it as that day begins in UTC", diag.Edit{Op: diag.SetText, Range: f.Until.At, Old: f.Until.V, New: f.Until.V + "T00:00:00Z"})
		}
	}
}

func (c *overIntent) faultRoute(s *intent.Service, f *intent.Fault) bool {
	var names []string
	for _, r := range s.Routes {
		names = append(names, r.Name.V)
	}
	if len(s.Routes) == 0 && len(s.Versions) == 1 && len(s.Ports) > 0 {
		names = []string{lower.DefaultRoute}
	}
	if slices.Contains(names, f.On.V) {
		return true
	}
	if lacksRoutes(s) {
		return false // reported by routes
	}
	d := c.report(diag.UnknownFaultRoute, f.On.At, "fault %q is on route %q, which service %q does not have", f.Name.V, f.On.V, s.Name.V)
	meantText(d, f.On, names, nil)
	return false
}

func (c *overIntent) onceOnRoute(taken map[string]claim, f *intent.Fault, verb string) {
	first, clash := taken[f.On.V]
	if !clash {
		taken[f.On.V] = claim{f.Name.V, f.Name.At}
		return
	}
	d := c.report(diag.DuplicateFault, f.Name.At, "fault %q %s route %q, and so does fault %q", f.Name.V, verb, f.On.V, first.what)
	d.Related = []diag.Related{{Range: first.at, Message: "the other fault"}}
}

// maxDelay keeps an injected delay a delay.
const maxDelay = time.Hour

func (c *overIntent) delay(f *intent.Fault) {
	if f.Delay == nil {
		return
	}
	fixed, err := literal.Duration(f.Delay.Fixed.V)
	switch {
	case err != nil:
		meantDuration(c.report(diag.BadDuration, f.Delay.Fixed.At, "fault %q: %s", f.Name.V, err), f.Delay.Fixed)
	case fixed == 0:
		c.report(diag.FaultDoesNothing, f.Delay.Fixed.At, "fault %q delays by nothing", f.Name.V)
	case fixed > maxDelay:
		c.report(diag.BadDuration, f.Delay.Fixed.At, "fault %q: a delay of %s is over %s", f.Name.V, fixed, maxDelay)
	}
	c.share(f, f.Delay.Percent, f.Delay.At)
}

func (c *overIntent) abort(f *intent.Fault) {
	a := f.Abort
	if a == nil {
		return
	}
	if (a.Status == nil) == (a.GRPCStatus == nil) {
		relateArms(c.report(diag.NotExactlyOne, a.At, "fault %q: an abort is exactly one of `status` and `grpcStatus`", f.Name.V), where(a.Status), where(a.GRPCStatus))
	}
	// Envoy's FaultAbort takes 200 to 599.
	if a.Status != nil && (a.Status.V < 200 || a.Status.V > 599) {
		c.report(diag.WrongValue, a.Status.At, "fault %q: status %d is not between 200 and 599", f.Name.V, a.Status.V)
	}
	c.share(f, a.Percent, a.At)
}

func (c *overIntent) share(f *intent.Fault, percent intent.Value[string], around diag.Range) {
	at := percent.At
	if at.IsZero() {
		at = around
	}
	bp, err := literal.Percent(percent.V)
	switch {
	case err != nil:
		roundPercent(c.report(diag.BadPercent, at, "fault %q: percentage %q %s", f.Name.V, percent.V, err), percent)
	case bp == 0:
		c.report(diag.BadPercent, at, "fault %q concerns 0 %% of the requests", f.Name.V).Help = "take the fault away"
	}
}
