package interop

import (
	"math/rand/v2"
	"slices"
	"strings"
)

// season makes a drawn request odd in ways that are not the mesh's: what clients
// say about connections, bodies, themselves, and what the application does.
func season(rng *rand.Rand, r *request) {
	one := func(list []string) string { return list[rng.IntN(len(list))] }
	if rng.IntN(8) == 0 {
		r.target = one(oddPaths)
	} else if rng.IntN(6) == 0 {
		path, query, _ := strings.Cut(r.target, "?")
		r.target = path + one(oddEnds)
		if query != "" && !strings.Contains(r.target, "?") {
			r.target += "?" + query
		}
	}
	for range rng.IntN(4) {
		r.headers = append(r.headers, one(oddHeaders))
	}
	if rng.IntN(3) == 0 {
		r.headers = append(r.headers, doHeader+": "+one(doings))
	}
	if rng.IntN(4) == 0 {
		r.method = one(oddMethods)
	}
	if takesBody := slices.Contains([]string{"POST", "PUT", "PATCH", "PURGE"}, r.method); takesBody && rng.IntN(2) == 0 || rng.IntN(20) == 0 {
		r.body = strings.Repeat("b", rng.IntN([]int{2, 100, 20_000}[rng.IntN(3)]))
		if r.body != "" && rng.IntN(2) == 0 {
			chunk(r)
		}
	}
}

// chunk sends the body in chunks.
func chunk(r *request) {
	plain := *r
	plain.body = ""
	body := r.body
	r.raw = strings.TrimSuffix(plain.bytes("{case}"), "\r\n") + "transfer-encoding: chunked\r\n\r\n" + hex(len(body)) + "\r\n" + body + "\r\n0\r\n\r\n"
}

func hex(n int) string {
	const digits = "0123456789abcdef"
	out := ""
	for ; n > 0; n /= 16 {
		out = digits[n%16:n%16+1] + out
	}
	return out
}

var (
	oddMethods = []string{"HEAD", "OPTIONS", "DELETE", "PUT", "PATCH", "POST", "PURGE"}
	oddPaths   = []string{
		"//", "/a//b", "/r//x", "/%61", "/a%2fb", "/a%2Fb", "/a;b=c", "/a;b/c", "/a?b?c", "/?", "/a&b=c", "/a:b", "/a@b", "/~a", "/a+b", "/a%20b", "/a%00", "/a/./b", "/a/../b", "/a/%2e%2e/b",
		"/.", "/..", "/a/.", "/a/..", "/...", "/a.", "/.a", "/a%zz", "/a%", "/a|b", "/a^b", "/a\"b", "/a<b>", "/a`b", "/a{b}", "/a\\b", "/a%5cb", "/é", "/%c3%a9", "/%ff", "/a%252fb", "/a#b",
		"/admin", "/admin/", "/admin/health", "/admin/v1", "/Admin", "/%61dmin", "//admin", "/r", "/r/x", "/public", "/api/x", "/v1/x", "/" + strings.Repeat("a", 2000),
	}
	oddEnds    = []string{"/", "?", "?a=b", "?a=b&a=c", ";x", "%20", "//", "/%2e", "?q=%zz", "?=", "?a=1%26b=2", "?a=/../x", "%2f", ":"}
	oddHeaders = []string{
		"connection: keep-alive", "connection: x-mine", "x-mine: 1", "connection: close", "connection: keep-alive, x-gone", "keep-alive: timeout=5", "proxy-connection: keep-alive", "te: trailers", "te: gzip, trailers",
		"x-forwarded-for: 1.2.3.4", "x-forwarded-for: 1.2.3.4, 5.6.7.8", "x-forwarded-proto: https", "x-forwarded-proto: ftp", "x-forwarded-host: evil.example", "x-forwarded-port: 1", "forwarded: for=1.2.3.4", "via: 1.0 fred",
		"x-request-id: mine", "x-request-id: 7d0b1d5e-7a0b-4d0e-9a3b-1f1f1f1f1f1f", "x-envoy-internal: true", "x-envoy-original-path: /mine", "x-envoy-external-address: 9.9.9.9", "x-envoy-decorator-operation: x", "x-envoy-attempt-count: 7",
		"x-envoy-ip-tags: a", "x-envoy-expected-rq-timeout-ms: 5", "x-envoy-is-timeout-retry: true", "x-envoy-hedge-on-per-try-timeout: true", "x-envoy-force-trace: true", "x-envoy-downstream-service-cluster: me", "x-envoy-downstream-service-node: me",
		"x-forwarded-client-cert: By=x;Hash=y", "X-Forwarded-Client-Cert: URI=spiffe://evil/ns/a/sa/b", "user-agent: curl", "user-agent:", "accept: */*", "Accept-Encoding: gzip", "cookie: a=b", "cookie: a=b; c=d", "cookie:", "COOKIE: e=f",
		"range: bytes=0-1", "if-none-match: *", "x-empty:", "x-space:    a  b   ", "x-long: " + strings.Repeat("l", 3000), "X-Set: client", "x-add: client", "x-gone: 1", "X-Gone: 2", "x-user: jason", "origin: https://shop.example",
		"authorization: Bearer x.y.z", "x_underscore: 1", "x.dot: 1", "upgrade-insecure-requests: 1", "expect: 100-continue", "content-type: application/json", "content-type: application/grpc", "x-utf8: é", "x-tab: a\tb", "x-rule: v", "date: Thu, 01 Jan 1970 00:00:00 GMT",
		"x-b3-traceid: 463ac35c9f6413ad48485a3953bb6124", "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "grpc-timeout: 1S", "x-http-method-override: DELETE", "max-forwards: 0", "content-encoding: gzip", "trailer: x", "upgrade: h2c",
	}
	doings = []string{"500", "503", "503,200", "429,200", "404", "409,200", "502,503,200", "500+multi", "multi", "big", "204", "304", "301", "401", "418", "close", "close,200", "503+limited", "garbage"}
)
