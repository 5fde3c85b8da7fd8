package diag

// Codes of what is written and changes nothing, and of what is probably not what
// was meant: 2026 to 2029, and 3072.
const (
	HeaderChangeVain Code = "MSH2026" // a change of a header that another one undoes, or does already
	OrderVain        Code = "MSH2027" // before or after between routes that share nothing
	UnusualMethod    Code = "MSH2028" // a method that nobody registered, and looks like one
	HostNeverSeen    Code = "MSH3072" // a rule for a host that no request has
)

// vain is 2026 to 2029, and 3072.
var vain = []Entry{
	{HeaderChangeVain, Warning, "a change of a header that changes nothing",
		"A header is first removed, then set, then added to; what `destinations` say of it comes before what their route says. So nothing is left of a header that `set` does not replace anyway, and a route that sets or removes it undoes what a destination did.",
		"requestHeaders: {set: \"x-a\": \"1\", remove: [\"x-a\"]}", "requestHeaders: {set: \"x-a\": \"1\", remove: [\"x-b\"]}"},
	{OrderVain, Warning, "an order of routes that share no request",
		"`before` and `after` say which of two routes takes the requests that both could. These two have none in common, and no others are ordered by it.",
		"routes: {a: {match: [{path: exact: \"/a\"}], to: v1: 100, before: [\"b\"]}, b: {match: [{path: exact: \"/b\"}], to: v1: 100}}",
		"routes: {a: {match: [{path: exact: \"/a\"}], to: v1: 100, before: [\"b\"]}, b: {match: [{path: prefix: \"/\"}], to: v1: 100}}"},
	{UnusualMethod, Warning, "a method that looks like a misspelt one",
		"The method is not in the registry of HTTP methods (RFC 9110 section 16.1), and one letter away from one that is. A rule that denies it would deny nothing. Methods of one's own that resemble none of the registry are taken as they are; where this one is meant, suppress the warning with the reason.",
		"deny: [{methods: [\"DELTE\"]}]", "deny: [{methods: [\"DELETE\"]}]"},
	{HostNeverSeen, Warning, "a rule for a host that no request has",
		"Proxies take requests for hosts that are written: those of a gateway's listeners and routes, and of a service its own and what gateways and rewrites send it. The rule names a host beside all of those, so it holds for no request, and what it should let in or keep out is not.",
		"allow: [{from: [\"web\"], hosts: [\"other.example\"]}]", "allow: [{from: [\"web\"], hosts: [\"cart.shop.svc.cluster.local\"]}]"},
}
