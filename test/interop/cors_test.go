package interop

// joinedOrigin: the backend reads the same from both (RFC 9110 section 5.3).
var joinedOrigin = facts{"request header origin": "Envoy writes two lines as one, with a comma; meshc-proxy sends them on as they came"}

// noLength: a request without a body needs no length (RFC 9110 section 8.6).
var noLength = facts{"request header content-length": "Envoy adds 0 to methods that may have a body"}

// corsCases ask as browsers do, and as others do.
func corsCases() []kase {
	preflight := func(target, origin string, more ...string) request {
		return with("OPTIONS", target, append([]string{"origin: " + origin, "access-control-request-method: PUT"}, more...)...)
	}
	answered := func(name, route string, r request) kase {
		return kase{name: name, request: r, route: route, tries: -1}
	}
	const shop = "https://shop.test"
	return []kase{
		{name: "no origin", request: get("/cors"), route: "cors"},
		{name: "empty origin", request: get("/cors", "origin:"), route: "cors"},
		{name: "exact", request: get("/cors", "origin: "+shop), route: "cors"},
		{name: "exact, in capitals", request: get("/cors", "Origin: HTTPS://shop.test"), route: "cors"},
		{name: "prefix", request: get("/cors", "origin: https://dev.anything"), route: "cors"},
		{name: "suffix", request: get("/cors", "origin: https://eu.shop.test"), route: "cors"},
		{name: "regex", request: get("/cors", "origin: https://abc.example"), route: "cors"},
		{name: "regex, the whole", request: get("/cors", "origin: https://abc.example.evil"), route: "cors"},
		{name: "stranger", request: get("/cors", "origin: https://stranger.test"), route: "cors"},
		{name: "null", request: get("/cors", "origin: null"), route: "cors"},
		{name: "two origins", request: get("/cors", "origin: "+shop, "origin: https://stranger.test"), route: "cors", differs: joinedOrigin},
		{name: "two origins, the end allowed", request: get("/cors", "origin: https://stranger.test", "origin: https://a.shop.test"), route: "cors", differs: joinedOrigin},
		{name: "POST", request: request{method: "POST", target: "/cors", headers: []string{"origin: " + shop}, body: "abc"}, route: "cors"},
		{name: "HEAD", request: with("HEAD", "/cors", "origin: "+shop), route: "cors"},
		{name: "failure of the backend", request: do("503", "/cors", "origin: "+shop), status: 503, route: "cors"},
		answered("preflight", "cors", preflight("/cors", shop)),
		answered("preflight of all", "cors", preflight("/cors/a?q=1", "https://eu.shop.test", "access-control-request-headers: x-user, x-other", "cookie: a=1")),
		answered("preflight of a method that is not named", "cors", with("OPTIONS", "/cors", "origin: "+shop, "access-control-request-method: DELETE")),
		answered("preflight with a body", "cors", request{method: "OPTIONS", target: "/cors", headers: []string{"origin: " + shop, "access-control-request-method: PUT"}, body: "abc"}),
		answered("preflight to a private network", "cors", preflight("/cors", shop, "access-control-request-private-network: true")),
		{name: "preflight of a stranger", request: preflight("/cors", "https://stranger.test"), route: "cors", differs: noLength},
		{name: "preflight without an origin", request: with("OPTIONS", "/cors", "access-control-request-method: PUT"), route: "cors", differs: noLength},
		{name: "OPTIONS", request: with("OPTIONS", "/cors", "origin: "+shop), route: "cors", differs: noLength},
		{name: "OPTIONS, an empty method", request: with("OPTIONS", "/cors", "origin: "+shop, "access-control-request-method:"), route: "cors", differs: noLength},
		{name: "preflight without a policy", request: preflight("/exact", shop), route: "exact", differs: noLength},
		{name: "open", request: get("/open", "origin: https://anybody.test"), route: "cors-open"},
		{name: "open, null", request: get("/open", "origin: null"), route: "cors-open"},
		answered("open, preflight", "cors-open", preflight("/open", "https://anybody.test")),
		answered("every header, none asked for", "cors-any", preflight("/open/any", shop)),
		answered("every header", "cors-any", preflight("/open/any", shop, "access-control-request-headers: X-A,  x-b")),
		answered("every header, on two lines", "cors-any", preflight("/open/any", shop, "access-control-request-headers: x-a", "access-control-request-headers: x-b")),
		answered("every header, an empty list", "cors-any", preflight("/open/any", shop, "access-control-request-headers:")),
		{name: "every header is shown", request: get("/open/any", "origin: "+shop), route: "cors-any"},
		{name: "no endpoint", request: get("/open/failing", "origin: "+shop), status: 503, route: "cors-failing", tries: -1, flags: "UH"},
		answered("no endpoint, preflight", "cors-failing", preflight("/open/failing", shop)),
	}
}
