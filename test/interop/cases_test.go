package interop

import (
	"strings"
	"time"
)

// kase is one request and what has to come of it. Both data planes have to
// agree in everything; the fields say what has to come of it besides.
type kase struct {
	name string
	request
	service string // "" is lab
	gateway uint16 // asked on this port of the gateway instead
	status  int    // wanted; 0 is 200
	route   string // wanted; "-" is none
	version string // of lab; "" leaves it open
	tries   int    // that the backends see; 0 is 1, -1 none
	flags   string
	slow    time.Duration // takes at least so long
	differs facts         // in which the data planes differ, and why
	own     int           // meshc-proxy answers this status instead, and is not compared
	why     string        // for own
	resent  bool          // meshc-proxy may send it once more than Envoy
}

func get(target string, headers ...string) request {
	return request{target: target, headers: headers}
}

func with(method, target string, headers ...string) request {
	return request{method: method, target: target, headers: headers}
}

func do(word, target string, headers ...string) request {
	return get(target, append([]string{doHeader + ": " + word}, headers...)...)
}

var none = kase{status: 404, route: "-", tries: -1, flags: "NR"}

func (k kase) named(name string, r request) kase {
	k.name, k.request = name, r
	return k
}

func routeCases() []kase {
	return []kase{
		{name: "path exact", request: get("/exact"), route: "exact", version: "v1"},
		{name: "path exact, query", request: get("/exact?a=b&c"), route: "exact", version: "v1"},
		{name: "path exact, empty query", request: get("/exact?"), route: "exact", version: "v1"},
		none.named("path exact, longer", get("/exact/")),
		none.named("path exact, other case", get("/Exact")),
		{name: "path prefix", request: get("/pre"), route: "prefix", version: "v2"},
		{name: "path prefix, inside a segment", request: get("/prefix/x"), route: "prefix", version: "v2"},
		none.named("path prefix, shorter", get("/pr")),
		{name: "segment prefix", request: get("/seg/a"), route: "segment", version: "v3"},
		{name: "segment prefix, below", request: get("/seg/a/b?x"), route: "segment", version: "v3"},
		{name: "segment prefix, slash", request: get("/seg/a/"), route: "segment", version: "v3"},
		{name: "segment prefix, query", request: get("/seg/a?x=/"), route: "segment", version: "v3"},
		none.named("segment prefix, inside a segment", get("/seg/ab")),
		{name: "path regex", request: get("/rx/12"), route: "regex", version: "v2"},
		{name: "path regex, option", request: get("/rx/12.json?q"), route: "regex", version: "v2"},
		none.named("path regex, only a part", get("/rx/12/x")),
		none.named("path regex, reaching into the query", get("/rx/?1")),
		{name: "method", request: with("PUT", "/method"), route: "methods", version: "v2"},
		{name: "method, the other", request: with("DELETE", "/method/x"), route: "methods", version: "v2"},
		{name: "method, single", request: with("PATCH", "/method"), route: "one-method", version: "v3"},
		none.named("method, none", get("/method")),
		{name: "method, lower case", request: with("put", "/method"), status: 400, route: "-", tries: -1, flags: "DPE", differs: codec},
		{name: "any of", request: get("/any"), route: "any", version: "v3"},
		{name: "any of, second", request: get("/any/x", "X-Any: 1"), route: "any", version: "v3"},
		none.named("any of, none", get("/any/x")),
		{name: "all conditions", request: request{method: "POST", target: "/all?q=1", headers: []string{"x-user: jason", "cookie: a=b; c=2"}, body: "x"}, route: "all", version: "v3"},
		none.named("all conditions but the cookie", request{method: "POST", target: "/all?q=1", headers: []string{"x-user: jason", "cookie: a=b; c=3"}, body: "x"}),
		none.named("all conditions but the query", request{method: "POST", target: "/all?q=2", headers: []string{"x-user: jason", "cookie: c=2"}, body: "x"}),
	}
}

func headerCases() []kase {
	return []kase{
		{name: "header exact", request: get("/h", "X-User: jason"), route: "h-exact", version: "v1"},
		{name: "header exact, spaces", request: get("/h", "x-user:   jason  "), route: "h-exact", version: "v1"},
		{name: "header exact, twice", request: get("/h", "x-user: jason", "x-user: jason"), route: "h-exact", version: "v1"},
		none.named("header exact, other case", get("/h", "x-user: Jason")),
		{name: "header prefix", request: get("/h", "x-prefix: beta"), route: "h-prefix", version: "v2"},
		{name: "header prefix, two values", request: get("/h", "x-prefix: beta", "x-prefix: alpha"), route: "h-prefix", version: "v2"},
		{name: "header prefix, second value", request: get("/h", "x-prefix: alpha", "x-prefix: beta"), route: "h-prefix", version: "v2"},
		{name: "header suffix", request: get("/h", "x-suffix: a.org"), route: "h-suffix", version: "v3"},
		{name: "header suffix, two values", request: get("/h", "x-suffix: a", "x-suffix: b.org"), route: "h-suffix", version: "v3"},
		{name: "header contains", request: get("/h", "x-contains: a(x)b"), route: "h-contains", version: "v2"},
		none.named("header contains, not", get("/h", "x-contains: axb")),
		{name: "header regex", request: get("/h", "x-regex: abc"), route: "h-regex", version: "v3"},
		{name: "header regex, alternative", request: get("/h", "x-regex: none"), route: "h-regex", version: "v3"},
		none.named("header regex, a part", get("/h", "x-regex: abcd")),
		{name: "header regex, two values", request: get("/h", "x-regex: a", "x-regex: b"), route: "h-regex", version: "v3"},
		{name: "header present", request: get("/h", "x-present: 1"), route: "h-present", version: "v2"},
		{name: "header present, empty", request: get("/h", "x-present:"), route: "h-present", version: "v2"},
		{name: "header not", request: get("/h/not", "x-not: alpha"), route: "h-not", version: "v3"},
		{name: "header not, missing", request: get("/h/not"), route: "h-not", version: "v3"},
		{name: "header not, empty", request: get("/h/not", "x-not:"), route: "h-not", version: "v3"},
		none.named("header not, it is", get("/h/not", "x-not: beta")),
		none.named("header not, twice it", get("/h/not", "x-not: beta", "x-not: beta")),
		{name: "two headers not", request: get("/h/nrx", "x-not: alpha", "x-and: yes"), route: "h-not-regex", version: "v2"},
		{name: "two headers not, one missing", request: get("/h/nrx", "x-and: yes"), route: "h-not-regex", version: "v2"},
		none.named("two headers not, one is", get("/h/nrx", "x-and: nothing")),
		{name: "header absent", request: get("/h/absent"), route: "h-absent", version: "v3"},
		none.named("header absent, empty", get("/h/absent", "x-absent:")),
		{name: "cookie header", request: get("/h/cookie", "cookie: a=1; b=2"), route: "h-cookie", version: "v3"},
		none.named("cookie header, in two", get("/h/cookie", "cookie: a=1", "cookie: b=2")),
		{name: "first of two rules", request: get("/h", "x-prefix: be", "x-user: jason"), route: "h-exact", version: "v1"},
	}
}

func queryCases() []kase {
	return []kase{
		{name: "query exact", request: get("/q?user=jason"), route: "q-exact", version: "v1"},
		{name: "query exact, among others", request: get("/q?a=b&user=jason&c"), route: "q-exact", version: "v1"},
		none.named("query exact, second of two", get("/q?user=x&user=jason")),
		none.named("query exact, encoded", get("/q?user=%6aason")),
		none.named("query exact, name in other case", get("/q?User=jason")),
		{name: "query prefix", request: get("/q?p=ab"), route: "q-prefix", version: "v2"},
		{name: "query regex", request: get("/q?rx=12"), route: "q-regex", version: "v3"},
		none.named("query regex, a part", get("/q?rx=12x")),
		{name: "query suffix", request: get("/q?s=az"), route: "q-suffix", version: "v2"},
		{name: "query contains", request: get("/q?c=a%20b"), route: "q-contains", version: "v3"},
		{name: "query present", request: get("/q?debug"), route: "q-present", version: "v2"},
		{name: "query present, value", request: get("/q?debug=0"), route: "q-present", version: "v2"},
		{name: "query absent", request: get("/q/absent"), route: "q-absent", version: "v3"},
		none.named("query absent, there", get("/q/absent?off")),
		none.named("query with semicolon", get("/q?a;user=jason")),
		{name: "cookie exact", request: get("/c", "cookie: session=abc"), route: "c-exact", version: "v1"},
		{name: "cookie exact, quoted", request: get("/c", `cookie: a=b; session="abc"`), route: "c-exact", version: "v1"},
		{name: "cookie exact, second header", request: get("/c", "cookie: a=b", "cookie: session=abc"), route: "c-exact", version: "v1"},
		none.named("cookie exact, second of two", get("/c", "cookie: session=x; session=abc")),
		none.named("cookie exact, space after", get("/c", "cookie: session =abc")),
		{name: "cookie prefix", request: get("/c", "cookie: user=jason"), route: "c-prefix", version: "v2"},
		{name: "cookie regex", request: get("/c", "cookie:  x=y;id=42"), route: "c-regex", version: "v3"},
		{name: "cookie present", request: get("/c", "cookie: beta="), route: "c-present", version: "v2"},
		none.named("cookie without a value", get("/c", "cookie: beta")),
		{name: "cookie absent", request: get("/c/absent", "cookie: a=b"), route: "c-absent", version: "v3"},
		none.named("cookie absent, there", get("/c/absent", "cookie: off=1")),
	}
}

// Differences of single cases, and why they are.
var (
	codec = facts{ // both answer 400 and close
		"body": "of a request that cannot be parsed meshc-proxy says nothing but the status", "response header content-length": "follows the body",
		"response header content-type": "follows the body", "log bytes_sent": "follows the body",
		"log details": "meshc-proxy says what is wrong", "log protocol": "meshc-proxy has parsed none",
	}
	fragment = facts{
		"log authority": "meshc-proxy refuses it while parsing", "log method": "the same", "log path": "the same", "log protocol": "the same",
		"log flags": "the same", "log details": "meshc-proxy says what is wrong",
	}
	cutOff = facts{
		"log flags": "Envoy calls a body that ends early a protocol error, meshc-proxy a termination", "log details": "the same",
		"body": "sometimes: meshc-proxy resets, and what is under way may be lost", "date": "sometimes: the same", "status": "sometimes: the same",
		"response header content-length": "sometimes: the same", "response header x-served": "sometimes: the same", "log bytes_sent": "sometimes: the same",
	}
	noContent  = facts{"request header content-length": "Envoy writes 0 for every method but GET, HEAD and DELETE; meshc-proxy where the method has a meaning for content"}
	noTrailers = facts{"request header te": "meshc-proxy announces no trailers, because it forwards none"}
	loopback   = facts{"request header x-forwarded-for": "for a client on a loopback address Envoy names an address of the machine"}
	again      = facts{"tries": "sometimes: on a reused connection that ends without an answer meshc-proxy sends a safe request once more (RFC 9112 §9.3.1)"}
)

// Why meshc-proxy refuses some requests that Envoy takes
// (docs/decisions/0002-data-plane-engine.md).
const (
	ambiguous = "a matcher and a backend could read the path in two ways"
	twoHosts  = "the host of the target and the Host header are not the same"
)

// pathCases are about the path before it is routed.
func pathCases() []kase {
	return []kase{
		{name: "dot segment", request: get("/./exact"), route: "exact", own: 400, why: ambiguous},
		{name: "dot dot segment", request: get("/x/../exact?a=../b"), route: "exact", own: 400, why: ambiguous},
		{name: "encoded dot dot", request: get("/x/%2e%2E/exact"), route: "exact", own: 400, why: ambiguous},
		{name: "encoded letter", request: get("/%65xact"), route: "exact"},
		none.named("double slash", get("//exact")),
		{name: "encoded slash stays", request: get("/pre%2Fa"), route: "prefix"},
		{name: "encoded slash, lower case", request: get("/pre%2fa"), route: "prefix"},
		{name: "backslash", request: get(`/seg\a`), route: "segment", own: 400, why: ambiguous},
		{name: "above the root", request: get("/../../x"), status: 404, route: "-", tries: -1, flags: "NR", own: 400, why: ambiguous},
		{name: "a bad escape", request: get("/pre%zz"), status: 400, route: "prefix", tries: -1},
		{name: "plus and tilde", request: get("/pre+a~b!$&'()*,;=:@"), route: "prefix"},
		{name: "absolute form", request: get("http://lab.example/exact?q"), route: "exact", own: 400, why: twoHosts},
		{name: "absolute form, host only", request: get("http://lab.example"), status: 404, route: "-", tries: -1, flags: "NR", own: 400, why: twoHosts},
		{name: "a fragment", request: get("/exact#x"), status: 400, route: "-", tries: -1, differs: fragment},
	}
}

func changeCases() []kase {
	return []kase{
		{name: "request headers", request: get("/headers", "x-set: a", "x-set: b", "x-add: mine", "x-gone: 1", "x-gone: 2", "user-agent: test"), route: "headers"},
		{name: "request headers, missing", request: get("/headers"), route: "headers"},
		{name: "response headers", request: do("multi", "/headers"), route: "headers"},
		{name: "response headers of an error", request: do("404+multi", "/headers"), status: 404, route: "headers"},
		{name: "without content", request: do("204", "/headers"), status: 204, route: "headers"},
		{name: "hop-by-hop headers", request: get("/exact", "connection: x-mine, keep-alive", "x-mine: 1", "keep-alive: 5", "te: trailers", "proxy-connection: close"), route: "exact", differs: noTrailers},
		{name: "expect", request: request{method: "POST", target: "/exact", headers: []string{"expect: 100-continue"}, body: "abc"}, route: "exact"},
		{name: "via and forwarded", request: get("/exact", "via: 1.1 x", "x-forwarded-for: 1.2.3.4", "x-forwarded-proto: https", "forwarded: for=1", "x-request-id: {case}"), route: "exact"},
		{name: "envoy's own headers", request: get("/exact", "x-envoy-retry-on: 5xx", "x-envoy-max-retries: 3", "x-envoy-upstream-rq-timeout-ms: 9000"), route: "exact"},
		{name: "client certificate header", request: get("/exact", "x-forwarded-client-cert: By=x"), route: "exact"},
		{name: "body", request: request{method: "POST", target: "/exact", body: strings.Repeat("b", 100_000)}, route: "exact"},
		{name: "chunked body", request: request{method: "POST", raw: "POST /exact HTTP/1.1\r\nhost: lab\r\nx-case: {case}\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"}, route: "exact"},
		{name: "big answer", request: do("big", "/exact"), route: "exact"},
		{name: "HEAD", request: with("HEAD", "/exact"), route: "exact"},
		{name: "OPTIONS", request: with("OPTIONS", "/exact"), route: "exact", differs: noContent},
		{name: "a method of one's own", request: with("PURGE", "/exact"), route: "exact", differs: noContent},
		{name: "not modified", request: do("304", "/exact"), status: 304, route: "exact"},
		{name: "HTTP/1.0", request: request{raw: "GET /exact HTTP/1.0\r\nhost: lab\r\nx-case: {case}\r\n\r\n"}, status: 426, route: "-", tries: -1, own: 200, why: "meshc-proxy serves HTTP/1.0, which Envoy refuses unless it is told to"},
		{name: "host with port", request: request{target: "/exact", host: "lab.default.svc.cluster.local:9080"}, route: "exact"},
		{name: "external", request: get("/any/path?q=1", "x-gone: 1"), service: "outside", route: "external"},
		{name: "external, timeout", request: do("sleep=6s", "/"), service: "outside", status: 504, route: "external", flags: "UT", slow: 3 * time.Second},
		{name: "own TLS server", request: get("/a"), service: "tls", route: "default"},
		{name: "a server with another name", request: get("/a"), service: "impostor", status: 503, route: "default", flags: "URX,UF", tries: -1},
	}
}

func resilienceCases() []kase {
	const ms = time.Millisecond
	return []kase{
		{name: "timeout", request: do("sleep=5s", "/timeout"), status: 504, route: "timeout", flags: "UT", slow: 2000 * ms},
		{name: "within the timeout", request: do("sleep=150ms", "/timeout"), route: "timeout", slow: 150 * ms},
		{name: "no timeout", request: do("sleep=500ms", "/unlimited"), route: "unlimited", slow: 500 * ms},
		{name: "retry 503", request: do("503,200", "/retry/503"), route: "retry-503", tries: 2},
		{name: "retry 503 twice", request: do("503,503,200", "/retry/503"), route: "retry-503", tries: 3},
		{name: "retry 503 too often", request: do("503", "/retry/503"), status: 503, route: "retry-503", tries: 3, flags: "URX"},
		{name: "retry 503, another status", request: do("502", "/retry/503"), status: 502, route: "retry-503", tries: 1},
		{name: "retry 503, another on the second", request: do("503,502", "/retry/503"), status: 502, route: "retry-503", tries: 2},
		{name: "retry 503, POST", request: with("POST", "/retry/503", "x-do: 503"), status: 503, route: "retry-503", tries: 1},
		{name: "retry 503, PUT with body", request: request{method: "PUT", target: "/retry/503", headers: []string{"x-do: 503,200"}, body: "abc"}, route: "retry-503", tries: 2},
		{name: "retry 503, rate limited", request: do("503+limited", "/retry/503"), status: 503, route: "retry-503", tries: 1},
		{name: "retry 503, reset", request: do("close", "/retry/503"), status: 503, route: "retry-503", tries: 1, flags: "UC", resent: true, differs: again},
		{name: "retry 5xx", request: do("500,200", "/retry/5xx"), route: "retry-5xx", tries: 2},
		{name: "retry 5xx, POST", request: request{method: "POST", target: "/retry/5xx", headers: []string{"x-do: 500,200"}, body: "abc"}, route: "retry-5xx", tries: 2},
		{name: "retry 5xx, reset", request: do("close,200", "/retry/5xx"), route: "retry-5xx", tries: 2},
		{name: "retry 5xx, 4xx", request: do("404", "/retry/5xx"), status: 404, route: "retry-5xx", tries: 1},
		{name: "retry gateway error", request: do("502,200", "/retry/gateway"), route: "retry-gateway", tries: 2},
		{name: "retry gateway error, 500", request: do("500", "/retry/gateway"), status: 500, route: "retry-gateway", tries: 1},
		{name: "retry reset", resent: true, differs: again, request: do("close,200", "/retry/reset"), route: "retry-reset", tries: 2},
		{name: "retry reset too often", request: do("close", "/retry/reset"), status: 503, route: "retry-reset", tries: 2, flags: "URX,UC", resent: true, differs: again},
		{name: "retry reset, a status", request: do("503", "/retry/reset"), status: 503, route: "retry-reset", tries: 1},
		{name: "retry 409", request: do("409,200", "/retry/4xx"), route: "retry-4xx", tries: 2},
		{name: "retry 429", request: do("429,200", "/retry/4xx"), route: "retry-4xx", tries: 2},
		{name: "retry 4xx, 404", request: do("404", "/retry/4xx"), status: 404, route: "retry-4xx", tries: 1},
		{name: "per-try timeout", request: do("sleep=5s,200", "/retry/per-try"), route: "per-try", tries: 2, slow: 2000 * ms},
		{name: "per-try timeout twice", request: do("sleep=5s", "/retry/per-try"), status: 504, route: "per-try", tries: 2, flags: "URX,UT", slow: 4000 * ms},
		{name: "per-try timeout, only 503 retried", request: do("sleep=5s", "/retry/per-try-503"), status: 504, route: "per-try-503", tries: 1, flags: "UT", slow: 2000 * ms},
		{name: "timeout over all tries", request: do("sleep=6s", "/retry/over-all"), status: 504, route: "over-all", tries: 2, flags: "UT", slow: 3500 * ms},
		{name: "no retries", request: do("503", "/retry/none"), status: 503, route: "no-retry", tries: 1},
		{name: "no retries, reset", request: do("close", "/retry/none"), status: 503, route: "no-retry", tries: 1, flags: "UC", resent: true, differs: again},
		{name: "garbage", request: do("garbage", "/retry/none"), status: 502, route: "no-retry", tries: 1, flags: "UPE"},
		{name: "cut in the middle", request: do("cut", "/retry/none"), route: "no-retry", tries: 1, differs: cutOff},
		{name: "refused", request: get("/refused/never"), status: 503, route: "refused", tries: -1, flags: "URX,UF"},
		{name: "refused, no retry", request: get("/refused/no-retry"), status: 503, route: "refused-once", tries: -1, flags: "UF"},
		{name: "refused, default retries", request: get("/refused/default"), status: 503, route: "refused-default", tries: -1, flags: "URX,UF"},
		{name: "nobody there", request: get("/nobody"), status: 503, route: "nobody", tries: -1, flags: "UH"},
	}
}

func faultCases() []kase {
	const ms = time.Millisecond
	return []kase{
		{name: "delay", request: get("/delay/all"), route: "delayed", slow: 300 * ms, flags: "DI"},
		{name: "abort", request: get("/abort/all"), status: 418, route: "aborted", tries: -1, flags: "FI"},
		{name: "abort HEAD", request: with("HEAD", "/abort/all"), status: 418, route: "aborted", tries: -1, flags: "FI"},
		{name: "abort with a body", request: request{method: "POST", target: "/abort/all", body: "abc"}, status: 418, route: "aborted", tries: -1, flags: "FI"},
		{name: "delay and abort", request: get("/both"), status: 503, route: "both", tries: -1, slow: 300 * ms},
		{name: "a fault that has ended", request: get("/ended"), route: "ended"},
		{name: "delay longer than the timeout", request: get("/delay/timeout"), route: "delay-timeout", slow: 2300 * ms, flags: "DI"},
		{name: "delay, then timeout", request: do("sleep=5s", "/delay/timeout"), status: 504, route: "delay-timeout", slow: 4300 * ms},
	}
}

// gatewayCases: the gateway trusts no header of a stranger.
func gatewayCases() []kase {
	to := func(host, target string, headers ...string) request {
		return request{target: target, host: host, headers: headers}
	}
	const named, any = 8080, 8081
	return []kase{
		{name: "exact host", gateway: named, request: to("www.lab.example", "/exact"), route: "www/exact", differs: loopback},
		{name: "exact host with port", gateway: named, request: to("www.lab.example:8080", "/exact"), route: "www/exact", differs: loopback},
		{name: "exact host in capitals", gateway: named, request: to("WWW.Lab.Example", "/exact"), route: "www/exact", differs: loopback},
		{name: "wildcard host", gateway: named, request: to("a.lab.example", "/h", "x-user: jason"), route: "wild/h-exact", differs: loopback},
		{name: "wildcard host, two labels", gateway: named, request: to("b.a.lab.example", "/h", "x-present: 1"), route: "wild/h-present", differs: loopback},
		{name: "wildcard host, other path", gateway: named, request: to("a.lab.example", "/exact"), status: 404, route: "-", tries: -1, flags: "NR"},
		{name: "no such host", gateway: named, request: to("lab.example", "/exact"), status: 404, route: "-", tries: -1, flags: "NR"},
		{name: "any host", gateway: any, request: to("anything", "/exact", "x-edge: yes"), route: "any/exact", differs: loopback},
		{name: "any host, no rule", gateway: any, request: to("anything", "/exact"), status: 404, route: "-", tries: -1, flags: "NR"},
		{name: "strangers' headers", gateway: any, request: to("x", "/exact", "x-edge: yes", "x-forwarded-for: 1.2.3.4", "x-forwarded-proto: https",
			"x-envoy-retry-on: 5xx", "x-envoy-upstream-rq-timeout-ms: 1", "x-request-id: mine", "x-forwarded-client-cert: By=x", "x-envoy-internal: true"), route: "any/exact", differs: loopback},
		{name: "encoded slash", gateway: any, request: to("x", "/pre%2Fa", "x-edge: yes"), status: 400, route: "-", tries: -1, differs: facts{
			"log path": "Envoy logs a path that it has unescaped", "request id": "Envoy gives numbers to requests later"}},
		{name: "fault at the edge", gateway: any, request: to("x", "/abort/all", "x-edge: yes"), status: 418, route: "any/aborted", tries: -1, flags: "FI"},
		{name: "retry at the edge", gateway: any, request: to("x", "/retry/503", "x-edge: yes", "x-do: 503,200"), route: "any/retry-503", tries: 2, differs: loopback},
		{name: "to a strict service", gateway: named, request: to("www.lab.example", "/vault/open", "x-to: envoy"), route: "strict/envoy", differs: loopback},
		{name: "to a strict service of meshc-proxy", gateway: named, request: to("www.lab.example", "/vault/open/a", "x-to: meshc"), route: "strict/meshc", differs: loopback},
		{name: "to a strict service, not allowed", gateway: named, request: to("www.lab.example", "/vault/shut", "x-to: envoy"), status: 403, route: "strict/envoy", tries: -1},
	}
}

// moved: of a request that is redirected meshc-proxy logs the path that it had.
var moved = facts{"log path": "Envoy logs the path that the redirect has made of it"}

// actionCases are what a route does beside sending on, and the matches that came
// with it.
func actionCases() []kase {
	return []kase{
		{name: "redirect", request: get("/moved/a?q=1"), status: 302, route: "redirected", tries: -1, differs: moved},
		{name: "redirect POST", request: request{method: "POST", target: "/moved", body: "abc"}, status: 302, route: "redirected", tries: -1, differs: moved},
		{name: "redirect scheme", request: get("/secure?q=1"), status: 301, route: "secured", tries: -1},
		{name: "redirect scheme, port 80", request: request{target: "/secure", host: "lab:80"}, status: 301, route: "secured", tries: -1},
		{name: "secure already", request: get("/secure", "x-forwarded-proto: https"), route: "insecure"},
		{name: "respond", request: get("/teapot"), status: 418, route: "responded", tries: -1},
		{name: "respond HEAD", request: with("HEAD", "/teapot"), status: 418, route: "responded", tries: -1},
		{name: "respond nothing", request: get("/empty"), status: 204, route: "empty", tries: -1},
		{name: "respond plain", request: get("/plain"), route: "plain", tries: -1},
		{name: "rewrite prefix", request: get("/old/API/x?q=/old/api"), route: "rewritten-prefix"},
		{name: "rewrite prefix to the root", request: get("/Old/Api"), route: "rewritten-prefix"},
		{name: "rewrite path", request: get("/one/two?q=1", "x-envoy-original-path: /mine"), route: "rewritten-path"},
		{name: "rewrite path, retried", request: do("503,200", "/one/two"), route: "rewritten-path", tries: 2},
		{name: "rewrite by expression", request: get("/turn/a/turn/b/c"), route: "rewritten-regex"},
		{name: "rewrite by expression, to the root", request: get("/turn/"), route: "rewritten-regex"},
		{name: "destination's headers", request: get("/destined", "x-set: a", "x-add: mine", "x-gone: 1"), route: "destined"},
		{name: "destination's headers of the response", request: do("multi", "/destined"), route: "destined"},
		{name: "host", request: request{target: "/m", host: "A.Example:80", headers: []string{"x-n: 1"}}, route: "m-host"},
		{name: "range", request: get("/m?q=1", "x-n: 07"), route: "m-range"},
		{name: "range, over", request: get("/m", "x-n: 10"), route: "m-not"},
		{name: "negated query", request: get("/m?q=1&q=2"), status: 404, route: "-", tries: -1, flags: "NR"},
		{name: "negated cookie", request: get("/m", "cookie: c=1"), status: 404, route: "-", tries: -1, flags: "NR"},
		{name: "negated method", request: with("PUT", "/m"), status: 404, route: "-", tries: -1, flags: "NR"},
		{name: "excepted", request: get("/m/x?a", "x-e: 1"), status: 404, route: "-", tries: -1, flags: "NR"},
		{name: "not excepted by the path", request: get("/m/y?x", "x-e: 1"), route: "m-not"},
	}
}
