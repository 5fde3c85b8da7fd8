package answer

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/model"
)

// Authorize asks the rules of s whether they let a caller's request in on a
// port. caller is the SPIFFE ID that the server has verified, "" for none. It is
// Envoy's RBAC, first with action DENY, then with ALLOW: any rule that accepts
// suffices, and no allow rule means no.
func Authorize(trustDomain string, s *model.Service, caller string, r *Request, port uint16) *Authorization {
	j := &judging{trustDomain: trustDomain, who: s.Ref, deny: s.Deny, allow: s.Allow, caller: caller, req: r, port: port}
	return j.verdict()
}

// atEdge asks the rules of a gateway, whose clients have no identity.
func (a *asking) atEdge(g *model.Gateway, port uint16) *Authorization {
	j := &judging{trustDomain: a.mesh.TrustDomain, who: g.Ref, deny: g.Deny, allow: g.Allow, req: a.req, port: port}
	if !g.AllowOnly {
		j.allow = []model.Rule{{Any: true}}
	}
	return j.verdict()
}

// arriving is the request as the server gets it, which is what it judges.
func (a *asking) arriving(rule *model.Route) *Request {
	out := *a.req
	if w := rule.Rewrite; w != nil && w.Host != "" {
		out.Host = w.Host
	}
	if w := a.out.Route.Rewrite; w != nil && w.Path != "" {
		out.Target = w.Path
	}
	if len(rule.Split) == 1 {
		out.Headers = changed(out.Headers, rule.Split[0].RequestHeaders)
	}
	out.Headers = changed(out.Headers, rule.RequestHeaders)
	return &out
}

// changed applies changes in the order in which a proxy makes them.
func changed(headers []model.Header, ops model.HeaderOps) []model.Header {
	without := func(name string) {
		headers = slices.DeleteFunc(slices.Clone(headers), func(h model.Header) bool { return strings.EqualFold(h.Name, name) })
	}
	for _, name := range ops.Remove {
		without(name)
	}
	for _, h := range ops.Set {
		without(h.Name)
		headers = append(headers, h)
	}
	return append(slices.Clip(headers), ops.Add...)
}

// judging is one request before the rules of a service or gateway.
type judging struct {
	trustDomain string
	who         model.Ref
	deny, allow []model.Rule
	caller      string
	req         *Request
	port        uint16
	unknown     string // the address that a rule looks at and that was not given
}

func (j *judging) verdict() *Authorization {
	for i := range j.deny {
		if j.holds(&j.deny[i], true) {
			return &Authorization{Caller: j.caller, Rule: "a deny rule of " + j.who.String() + " refuses " + j.deny[i].From() + j.remark(), At: place(j.deny[i].Origin)}
		}
	}
	for i := range j.allow {
		if j.holds(&j.allow[i], false) {
			return &Authorization{Allowed: true, Caller: j.caller, Rule: allowText(&j.allow[i]), At: place(j.allow[i].Origin)}
		}
	}
	who := j.caller
	if who == "" {
		who = "a caller without identity"
	}
	out := &Authorization{Caller: j.caller, Rule: fmt.Sprintf("no allow rule of %s accepts %s", j.who, who) + j.remark()}
	if len(j.allow) == 0 {
		out.Rule = fmt.Sprintf("%s lets nobody in", j.who)
	}
	return out
}

// remark says that the answer may depend on what was not given.
func (j *judging) remark() string {
	if j.unknown != "" {
		return " (by " + j.unknown + ", which is not given)"
	}
	return ""
}

// holds judges one rule. Without an address, rules that look at it refuse and do
// not let in.
func (j *judging) holds(r *model.Rule, deny bool) bool {
	if !r.On(j.port) || !r.TakesCaller(j.trustDomain, j.caller) || !j.takesRequest(r) {
		return false
	}
	unknown := ""
	for _, look := range []struct {
		asked bool
		ip    netip.Addr
		takes func(netip.Addr) bool
		what  string
	}{
		{r.ByAddress(), j.req.Source, r.TakesAddress, "source address"},
		{r.ByClient(), j.req.Client, r.TakesClient, "the client's address"},
	} {
		switch {
		case !look.asked:
		case !look.ip.IsValid():
			unknown = cmp.Or(unknown, look.what)
		case !look.takes(look.ip):
			return false
		}
	}
	if unknown == "" {
		return true
	}
	j.unknown = unknown
	return deny
}

func (j *judging) takesRequest(r *model.Rule) bool { return takes(r, j.req) }

// takes says that a request is what a rule asks of requests.
func takes(rule *model.Rule, r *Request) bool {
	matches := rule.Matches()
	for i := range matches {
		if Accepts(&matches[i], r) {
			return true
		}
	}
	return false
}

func allowText(rule *model.Rule) string {
	switch {
	case rule.Any:
		return "everybody is allowed"
	case rule.Authenticated:
		return "every authenticated identity is allowed"
	case rule.Origin.IsZero():
		return "allowed because the caller declares to use it"
	}
	return "the caller is named"
}
