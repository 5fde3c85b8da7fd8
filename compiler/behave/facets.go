package behave

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/model"
)

// Beginnings of the names of facets that there are several of.
const (
	toFacet     = "to "
	clientFacet = "client "
	tlsFacet    = "tls "
	podsFacet   = "pods "
	serverFacet = "server "
)

// facet is one part of an outcome, for people.
type facet struct {
	name, value string
	class       func(before, after string) Class
}

// Delta is one facet of an outcome that differs; "" where it is not there.
type Delta struct {
	Class    Class        `json:"class"`
	Name     string       `json:"name"`
	Before   string       `json:"before,omitempty"`
	After    string       `json:"after,omitempty"`
	BeforeAt model.Origin `json:"-"`
	AfterAt  model.Origin `json:"-"`
}

// deltas says what differs between two outcomes, at least one thing.
func deltas(b, a *Outcome) []Delta {
	if b.Verdict != a.Verdict {
		return []Delta{{Class: verdictClass(b.Verdict, a.Verdict), Name: "answer", Before: b.String(), After: a.String()}}
	}
	split := splitClass(b, a)
	var out []Delta
	was, is := b.facets(split, a), a.facets(split, b)
	for _, f := range was {
		if v := valueOf(is, f.name); v != f.value {
			out = append(out, Delta{Class: f.class(f.value, v), Name: f.name, Before: f.value, After: v})
		}
	}
	for _, f := range is {
		if !slices.ContainsFunc(was, func(o facet) bool { return o.name == f.name }) {
			out = append(out, Delta{Class: f.class("", f.value), Name: f.name, After: f.value})
		}
	}
	slices.SortStableFunc(out, func(x, y Delta) int { return cmp.Compare(deltaRank(x.Name), deltaRank(y.Name)) })
	if len(out) == 0 {
		out = append(out, Delta{Class: Tune, Name: "outcome", Before: b.key(), After: a.key()})
	}
	return out
}

// deltaRank puts the destinations first.
func deltaRank(name string) string {
	if rest, ok := strings.CutPrefix(name, toFacet); ok && !strings.Contains(rest, " ") {
		return rest
	}
	return "\xff"
}

func valueOf(list []facet, name string) string {
	for _, f := range list {
		if f.name == name {
			return f.value
		}
	}
	return ""
}

// verdictClass of a change from one end of a request to another.
func verdictClass(b, a Verdict) Class {
	nothing := func(v Verdict) bool { return v == NoRoute || v == Nowhere }
	judged := func(v Verdict) bool { return v == Denied || v == Refused || v == Unknown }
	switch {
	case nothing(a) && (b == Served || b == Replied):
		return Blackhole
	case nothing(a):
		return Reroute
	case b == Refused && a != Replied, b == Unknown && (a == Served || a == Replied):
		return Weaken
	case a == Refused && !nothing(b) && b != Replied, a == Unknown && (b == Served || b == Replied):
		return Harden
	case b == Denied && a == Served:
		return Expose
	case judged(a) && b == Served:
		return Narrow
	}
	return Reroute
}

// splitClass is Shift while some destination keeps a share, else Reroute.
func splitClass(b, a *Outcome) Class {
	for _, d := range b.To {
		if slices.ContainsFunc(a.To, func(o Destination) bool { return o.Cluster == d.Cluster }) {
			return Shift
		}
	}
	return Reroute
}

func always(c Class) func(string, string) Class { return func(string, string) Class { return c } }

// facets of an outcome that is compared with another; split is the class of a
// change of its destinations.
func (o *Outcome) facets(split Class, other *Outcome) []facet {
	var out []facet
	add := func(name, value string, class func(string, string) Class) {
		if value != "" {
			out = append(out, facet{name, value, class})
		}
	}
	for _, d := range o.To {
		add(toFacet+d.Name, literalPercent(d.BasisPoints), always(split))
	}
	add("redirect", redirectText(o.Redirect), always(Reroute))
	add("response", respondText(o.Respond), always(Reroute))
	add("rewrite", rewriteText(o.Rewrite), always(Reroute))
	add("mtls", string(o.MTLS), mtlsClass)
	add("server identity", model.IdentityText(o.Server, o.Aliases), serverClass(o, other))
	add("gateway identity", o.As, always(Restart))
	add("protocol", string(o.Protocol), always(Restart))
	add("PROXY protocol", o.Announce, always(Restart))
	add("timeout", limitText(o, o.Timeout), timeoutClass)
	add("max duration", limitText(o, o.Longest), timeoutClass)
	add("idle timeout", spanText(o.Idle), always(Tune))
	add("retries", o.Retry.String(), always(Tune))
	add("delay", o.Delay.String(), always(Fault))
	add("abort", o.Abort.String(), always(Fault))
	add("bandwidth", o.Slow.String(), always(Fault))
	add("hash", strings.Join(o.Hash, ", "), always(Tune))
	add("request headers", o.Request.String(), always(Tune))
	add("response headers", o.Reply.String(), always(Tune))
	add("allowed for the rewritten path", o.Judged, always(Narrow))
	for _, p := range o.Pods {
		name, value, _ := strings.Cut(p, ": ")
		add(podsFacet+name, value, always(Restart))
	}
	for _, a := range o.Asks {
		name, value, _ := strings.Cut(a, ": ")
		add(authorizerFacet+name, value, authorizerClass(name))
	}
	for _, t := range o.Tokens {
		name, value, _ := strings.Cut(t, ": ")
		add(jwtFacet+name, value, tokenClass(name))
	}
	add("rate limits", limitsText(o.Limits), limitsClass(o, other))
	for _, h := range o.Holding {
		name, value, _ := strings.Cut(h, ": ")
		add(serverFacet+name, value, holdingClass(name))
	}
	for _, c := range o.Client {
		name, value, _ := strings.Cut(c, ": ")
		if class := holdingClass(name); class != nil {
			add(clientFacet+name, value, class)
			continue
		}
		if setting, asked := strings.CutPrefix(name, authorizerFacet); asked {
			add(clientFacet+name, value, authorizerClass(setting))
			continue
		}
		if setting, isToken := strings.CutPrefix(name, jwtFacet); isToken {
			add(clientFacet+name, value, tokenClass(setting))
			continue
		}
		add(clientFacet+name, value, protection[strings.TrimPrefix(name, "tls.")].class)
	}
	for _, t := range o.TLS {
		name, value, _ := strings.Cut(t, ": ")
		add(tlsFacet+name, value, protection[name].class)
	}
	return append(out, o.destinationFacets(other)...)
}

// destinationFacets are how the destinations are reached that both have.
func (o *Outcome) destinationFacets(other *Outcome) []facet {
	var out []facet
	for _, d := range o.To {
		if !slices.ContainsFunc(other.To, func(e Destination) bool { return e.Name == d.Name }) {
			continue
		}
		add := func(name, value string, class Class) {
			if value != "" {
				out = append(out, facet{toFacet + d.Name + " " + name, value, always(class)})
			}
		}
		add("cluster", d.Cluster, Reroute)
		add("labels", labelText(d.Labels), Reroute)
		add("endpoints", strings.Join(d.Endpoints, ", "), Reroute)
		add("request headers", d.Request.String(), Tune)
		add("response headers", d.Reply.String(), Tune)
		for _, t := range d.Traffic {
			name, value, _ := strings.Cut(t, ": ")
			add(name, value, Tune)
		}
	}
	return out
}

func mtlsClass(before, after string) Class {
	strength := []string{string(model.MTLSDisable), string(model.MTLSPermissive), string(model.MTLSStrict)}
	if slices.Index(strength, after) < slices.Index(strength, before) {
		return Weaken
	}
	return Harden
}

// protection orders the values of settings of TLS, the weakest first; "" is
// none.
var protection = map[string]order{
	"mode":       {"", string(model.TLSTerminate), string(model.TLSSimple), string(model.TLSOptionalMutual), string(model.TLSMutual)},
	"minVersion": {"", string(model.TLS12), string(model.TLS13)},
	"insecure":   {"*", ""},
	"pins":       {"", "*"},
}

type order []string

// class of a change from one value to another; "*" is any value.
func (o order) class(before, after string) Class {
	place := func(v string) int {
		if i := slices.Index(o, v); i >= 0 {
			return i
		}
		return slices.Index(o, "*")
	}
	switch b, a := place(before), place(after); {
	case a < b:
		return Weaken
	case a > b:
		return Harden
	}
	return Tune
}

// serverClass is the class of a change of whom the client takes for the server,
// of o and the other outcome, whichever is the earlier: it is no longer, newly, or
// otherwise recognised; or as one of other trust domains too.
func serverClass(o, other *Outcome) func(before, after string) Class {
	return func(before, after string) Class {
		was, is := o, other
		if before != model.IdentityText(was.Server, was.Aliases) {
			was, is = is, was
		}
		known := func(domain string) bool { return slices.Contains(was.Aliases, domain) }
		switch {
		case after == "":
			return Weaken
		case before == "":
			return Harden
		case was.Server != is.Server:
			return Restart
		case !slices.ContainsFunc(is.Aliases, func(d string) bool { return !known(d) }):
			return Harden
		}
		return Weaken
	}
}

const noLimit = "none"

// limitText of a timeout; requests that go nowhere have none.
func limitText(o *Outcome, d time.Duration) string {
	if d == 0 && o.Verdict == Served {
		return noLimit
	}
	return spanText(d)
}

func timeoutClass(before, after string) Class {
	switch {
	case after == noLimit:
		return Weaken
	case before == noLimit:
		return Harden
	}
	return Tune
}

func spanText(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

func literalPercent(basisPoints uint32) string { return model.Hundredths(basisPoints) + " %" }

// String writes an outcome in one line: where the request ends.
func (o *Outcome) String() string {
	switch o.Verdict {
	case NoRoute:
		return "404, no route takes it"
	case Denied:
		return "403, not allowed"
	case Unknown:
		return "401, no valid token"
	case Refused:
		return "refused without mutual TLS"
	case Nowhere:
		return "nothing listens"
	case Replied:
		return redirectText(o.Redirect) + respondText(o.Respond)
	}
	var to []string
	for _, d := range o.To {
		to = append(to, d.Name+" "+literalPercent(d.BasisPoints))
	}
	return strings.Join(to, ", ")
}

// String writes a policy of retries in one line.
func (r *Retry) String() string {
	if r == nil {
		return ""
	}
	on := slices.Clone(r.On)
	for _, code := range r.Statuses {
		on = append(on, strconv.Itoa(int(code)))
	}
	parts := []string{fmt.Sprintf("%d on %s", r.Attempts, strings.Join(on, ", "))}
	if r.PerTry != 0 {
		parts = append(parts, r.PerTry.String()+" each")
	}
	more := model.Retry{PerTryIdle: r.Idle, Backoff: r.Backoff, AvoidTried: r.Avoid, RateLimited: r.Limited}
	for _, s := range more.Settings() {
		parts = append(parts, s.Name+" "+s.Value)
	}
	return strings.Join(parts, "; ")
}

// String writes a fault in one line.
func (f *FaultOf) String() string {
	if f == nil {
		return ""
	}
	bound := ""
	if f.MaxActive > 0 {
		bound = fmt.Sprintf(", at most %d at a time,", f.MaxActive)
	}
	return fmt.Sprintf("%s for %s%s until %s", f.What, literalPercent(f.BasisPoints), bound, f.Until.Format(time.RFC3339))
}

// String writes changes of headers in the order in which they are made.
func (h HeaderOps) String() string {
	var out []string
	for _, name := range h.Remove {
		out = append(out, "remove "+name)
	}
	for _, kv := range h.Set {
		out = append(out, fmt.Sprintf("set %s: %q", kv.Name, kv.Value))
	}
	for _, kv := range h.Add {
		out = append(out, fmt.Sprintf("add %s: %q", kv.Name, kv.Value))
	}
	return strings.Join(out, "; ")
}

func labelText(labels map[string]string) string {
	var out []string
	for k, v := range labels {
		out = append(out, k+"="+v)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func redirectText(r *model.Redirect) string {
	if r == nil {
		return ""
	}
	out := []string{fmt.Sprintf("redirect %d to", r.Status)}
	for _, part := range []struct{ name, value string }{{"scheme", r.Scheme}, {"host", r.Host}, {"path", r.Path}} {
		if part.value != "" {
			out = append(out, part.name+" "+part.value)
		}
	}
	if r.Port != 0 {
		out = append(out, fmt.Sprintf("port %d", r.Port))
	}
	if r.Rewrite != nil {
		out = append(out, fmt.Sprintf("path %q → %q", r.Rewrite.Pattern, r.Rewrite.Text))
	}
	if r.StripQuery {
		out = append(out, "without query")
	}
	return strings.Join(out, " ")
}

func respondText(r *model.Respond) string {
	if r == nil {
		return ""
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s %q", r.Status, r.ContentType, r.Body))
}

func rewriteText(r *model.Rewrite) string {
	if r == nil {
		return ""
	}
	var out []string
	if r.Host != "" {
		out = append(out, "host "+r.Host)
	}
	if r.Path != nil {
		out = append(out, fmt.Sprintf("path %q → %q", r.Path.Pattern, r.Path.Text))
	}
	return strings.Join(out, ", ")
}
