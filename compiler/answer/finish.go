package answer

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
)

// finish describes what the rule does and asks the server whether it lets the
// request in.
func (a *asking) finish(s *model.Service, port uint16, rule *model.Route) {
	if rule == nil || rule.NotFound {
		a.end(NoRoute, "no route takes this request; the proxy answers 404")
		return
	}
	a.out.Route = a.taken(s, port, rule)
	switch {
	case rule.Redirect != nil:
		a.end(Redirected, fmt.Sprintf("route %q redirects it: %s", rule.Name, a.out.Route.Redirect))
		return
	case rule.Respond != nil:
		a.end(Answered, fmt.Sprintf("route %q answers it: %s", rule.Name, a.out.Route.Respond))
		return
	}
	a.out.Connection = &Connection{MTLS: s.ModeOn(port)}
	caller := ""
	if s.ModeOn(port) != model.MTLSDisable {
		a.out.Connection.Server = model.IdentityText(s.SPIFFEID, s.Aliases)
		caller = a.out.Caller.SPIFFEID
	}
	arriving := a.arriving(rule)
	if !a.authenticated(s.JWT, s.Public, arriving, "the server's proxy") {
		return
	}
	a.audited(s.Ref, s.Audit, caller, arriving, port)
	a.asks(s.Ref, s.Authorizer, arriving)
	a.out.Authorization = Authorize(a.mesh.TrustDomain, s, caller, arriving, port)
	if !a.out.Authorization.Allowed {
		a.end(Denied, fmt.Sprintf("%s; the server's proxy answers 403", a.out.Authorization.Rule))
		return
	}
	a.limited(s.RateLimits, "", arriving)
	a.holding("server", s.Holding(port))
	a.end(Allowed, fmt.Sprintf("route %q takes it to %s", rule.Name, splitText(rule.Split)))
}

func (a *asking) taken(s *model.Service, port uint16, rule *model.Route) *Taken {
	out := &Taken{
		Name:            rule.Name,
		At:              place(rule.Origin),
		Timeout:         timeoutText(rule.Timeout),
		TimeoutAt:       place(rule.TimeoutOrigin),
		MaxDuration:     spanText(rule.MaxDuration),
		IdleTimeout:     spanText(rule.IdleTimeout),
		Hash:            hashText(rule.Hash),
		Retry:           a.retry(rule.Retry),
		RequestHeaders:  headerChanges(rule.RequestHeaders),
		ResponseHeaders: headerChanges(rule.ResponseHeaders),
		Rewrite:         a.sent(rule.Rewrite),
		More:            settingsOf(rule.Passing()),
	}
	if r := rule.Redirect; r != nil {
		out.Redirect = fmt.Sprintf("%d %s", r.Status, Location(r, a.req))
	}
	if r := rule.Respond; r != nil {
		out.Respond = respondText(r)
	}
	for _, d := range rule.Split {
		out.Split = append(out.Split, Destination{
			Version: d.Version,
			Percent: literal.FormatPercent(d.BasisPoints),
			Cluster: model.ClusterName(port, d.Version, s.Host),
			At:      place(d.Origin),
			Traffic: settings(s.Version(d.Version)),

			RequestHeaders:  headerChanges(d.RequestHeaders),
			ResponseHeaders: headerChanges(d.ResponseHeaders),
		})
	}
	for _, f := range rule.Faults() {
		if f.Concerns(a.out.Caller.Ref) && a.meets(f.Match) {
			out.Faults = append(out.Faults, a.fault(f))
		}
	}
	return out
}

// settings says how endpoints of v are chosen and treated.
func settings(v *model.Version) []Setting {
	if v == nil {
		return nil
	}
	return settingsOf(v.Traffic.Settings())
}

func settingsOf(list []model.Setting) []Setting {
	var out []Setting
	for _, s := range list {
		out = append(out, Setting{Name: s.Name, Value: s.Value, At: place(s.At)})
	}
	return out
}

// headerChanges lists the steps in the order in which a proxy takes them.
func headerChanges(h model.HeaderOps) []HeaderChange {
	var out []HeaderChange
	for _, name := range h.Remove {
		out = append(out, HeaderChange{Op: "remove", Name: name})
	}
	for _, kv := range h.Set {
		out = append(out, HeaderChange{"set", kv.Name, kv.Value})
	}
	for _, kv := range h.Add {
		out = append(out, HeaderChange{"add", kv.Name, kv.Value})
	}
	return out
}

// meets says that the request is one of an any-of list.
func (a *asking) meets(any []model.Match) bool {
	return len(any) == 0 || slices.ContainsFunc(any, func(m model.Match) bool { return Accepts(&m, a.req) })
}

func (a *asking) fault(f model.Fault) Fault {
	return Fault{
		Name: f.Name, What: f.Kind + " " + f.What, Percent: literal.FormatPercent(f.BasisPoints), At: place(f.Origin),
		Until: f.Until.Format(time.RFC3339), Active: a.now.Before(f.Until), MaxActive: f.MaxActive,
	}
}

func (a *asking) retry(r *model.Retry) *Retry {
	if r == nil {
		return nil
	}
	out := &Retry{
		Attempts: r.Attempts,
		On:       RetryOnText(r),
		Applies:  len(r.Methods) == 0 || slices.Contains(r.Methods, a.req.Method),
		At:       place(r.Origin),
		More:     settingsOf(r.Settings()),
	}
	if r.PerTry > 0 {
		out.PerTry = r.PerTry.String()
	}
	return out
}

// RetryOnText lists the conditions as a user writes them: words, then codes.
func RetryOnText(r *model.Retry) []string {
	out := slices.Clone(r.On)
	for _, code := range r.Statuses {
		out = append(out, strconv.Itoa(int(code)))
	}
	return out
}

func timeoutText(d time.Duration) string {
	if d == 0 {
		return "none"
	}
	return d.String()
}

func hashText(keys []model.HashKey) []string {
	var out []string
	for _, k := range keys {
		out = append(out, k.String())
	}
	return out
}

// spanText is "" for 0.
func spanText(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

func splitText(split []model.Split) string {
	var parts []string
	for _, d := range split {
		parts = append(parts, fmt.Sprintf("%s %s %%", d.Version, literal.FormatPercent(d.BasisPoints)))
	}
	return strings.Join(parts, ", ")
}
