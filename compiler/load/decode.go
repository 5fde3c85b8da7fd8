package load

import (
	"github.com/meshc/meshc/compiler/intent"
)

func (c cursor) config() intent.Config {
	return intent.Config{
		Name:        c.optionalText("name"),
		TrustDomain: c.optionalText("trustDomain"),
		Aliases:     c.texts("trustDomainAliases"),
		MTLS:        c.optionalText("mtls"),
		Migration:   block(c, "migration", cursor.migration),
		Proxy:       c.optionalText("proxy"),
		Telemetry:   c.telemetry(),
		Workload:    block(c, "workload", cursor.workload),
		Raw:         each(c.entries("raw"), cursor.raw),
		Traffic:     c.traffic(),

		RateLimitService: block(c, "rateLimitService", cursor.rateLimitService),
		Expect:           each(c.entries("expect"), cursor.expectMesh),
		Policies:         each(c.entries("policies"), cursor.policy),

		At: c.label(),
	}
}

// namespaceOr gives the entry's namespace, else that of its directory.
func (c cursor) namespaceOr(directory *intent.Value[string]) *intent.Value[string] {
	if own := c.optionalText("namespace"); own != nil {
		return own
	}
	return directory
}

func (c cursor) service(home string, namespace *intent.Value[string]) *intent.Service {
	return &intent.Service{
		Name:           c.name(),
		Home:           home,
		Namespace:      c.namespaceOr(namespace),
		Owner:          c.optionalText("owner"),
		Host:           c.optionalText("host"),
		ServiceAccount: c.optionalText("serviceAccount"),
		Ports:          each(c.entries("ports"), cursor.port),
		Versions:       each(c.entries("versions"), cursor.version),
		Uses:           each(c.entries("uses"), cursor.use),
		Routes:         each(c.entries("routes"), cursor.route),
		Faults:         each(c.entries("faults"), cursor.fault),
		RateLimits:     each(c.entries("rateLimits"), cursor.rateLimit),
		Compression:    block(c, "compression", cursor.compression),
		Buffer:         block(c, "buffer", cursor.buffer),
		Admission:      block(c, "admission", cursor.admission),
		Security:       c.security(),
		Proxy:          c.optionalText("proxy"),
		Telemetry:      c.telemetry(),
		Workload:       block(c, "workload", cursor.workload),
		Traffic:        c.traffic(),
		Expect:         each(c.entries("expect"), cursor.expect),
		At:             c.label(),
	}
}

func (c cursor) port() *intent.Port {
	return &intent.Port{
		Name:     c.name(),
		Number:   c.required("number").number(),
		Protocol: c.required("protocol").text(),
		Most:     c.optionalNumber("maxConnections"),
		At:       c.label(),
	}
}

func (c cursor) version() *intent.Version {
	return &intent.Version{Name: c.name(), Labels: c.pairs("labels"), Traffic: c.traffic(), At: c.label()}
}

func (c cursor) use() *intent.Use { return &intent.Use{Ref: c.name(), At: c.label()} }

func (c cursor) route() *intent.Route {
	return &intent.Route{
		Name:            c.name(),
		Port:            c.optionalText("port"),
		From:            c.texts("from"),
		Match:           each(c.elements("match"), cursor.match),
		Except:          each(c.elements("except"), cursor.match),
		To:              each(c.entries("to"), cursor.weight),
		Destinations:    each(c.entries("destinations"), cursor.destination),
		Redirect:        c.redirect(),
		Respond:         c.respond(),
		Rewrite:         c.rewrite(),
		Timeout:         c.optionalText("timeout"),
		MaxDuration:     c.optionalText("maxDuration"),
		IdleTimeout:     c.optionalText("idleTimeout"),
		Hash:            each(c.elements("hash"), cursor.hashKey),
		Sticky:          c.sticky(),
		Mirror:          each(c.elements("mirror"), cursor.mirror),
		Upgrades:        c.texts("upgrades"),
		CORS:            c.cors(),
		Retries:         block(c, "retries", cursor.retries),
		RequestHeaders:  c.headerOps("requestHeaders"),
		ResponseHeaders: c.headerOps("responseHeaders"),
		Before:          c.texts("before"),
		After:           c.texts("after"),
		At:              c.label(),
	}
}

func (c cursor) weight() *intent.Weight {
	return &intent.Weight{Version: c.name(), Percent: c.decimal()}
}

func (c cursor) headerOps(name string) *intent.HeaderOps {
	h, ok := c.field(name)
	if !ok {
		return nil
	}
	return &intent.HeaderOps{Set: h.pairs("set"), Add: h.pairs("add"), Remove: h.texts("remove"), At: h.label()}
}

func (c cursor) gateway(home string, namespace *intent.Value[string]) *intent.Gateway {
	return &intent.Gateway{
		Name:           c.name(),
		Home:           home,
		Namespace:      c.namespaceOr(namespace),
		ServiceAccount: c.optionalText("serviceAccount"),
		Kind:           c.optionalText("kind"),
		Listeners:      each(c.entries("listeners"), cursor.listener),
		Routes:         each(c.entries("routes"), cursor.gatewayRoute),
		Timeouts:       block(c, "timeouts", cursor.gatewayTimeouts),
		TrustedHops:    c.optionalNumber("trustedHops"),
		TrustedCIDRs:   c.texts("trustedCIDRs"),
		ServerHeader:   c.optionalText("serverHeader"),
		RateLimits:     each(c.entries("rateLimits"), cursor.rateLimit),
		Compression:    block(c, "compression", cursor.compression),
		Buffer:         block(c, "buffer", cursor.buffer),
		Security:       c.security(),
		Proxy:          c.optionalText("proxy"),
		Telemetry:      c.telemetry(),
		Expect:         each(c.entries("expect"), cursor.expect),
		At:             c.label(),
	}
}

func (c cursor) listener() *intent.GatewayListener {
	return &intent.GatewayListener{
		Name:     c.name(),
		Port:     c.required("port").number(),
		Protocol: c.required("protocol").text(),
		Hosts:    c.texts("hosts"),
		Bind:     c.optionalText("bind"),
		TLS:      block(c, "tls", cursor.listenerTLS),
		Redirect: c.optionalTruth("redirectToHTTPS"),
		Proxied:  c.optionalTruth("proxyProtocol"),
		Most:     c.optionalNumber("maxConnections"),
		At:       c.label(),
	}
}

func (c cursor) gatewayRoute() *intent.GatewayRoute {
	out := &intent.GatewayRoute{
		Name:     c.name(),
		Listener: c.optionalText("listener"),
		Hosts:    c.texts("hosts"),
		Match:    each(c.elements("match"), cursor.match),
		Except:   each(c.elements("except"), cursor.match),
		Port:     c.optionalText("port"),
		Redirect: c.redirect(),
		Respond:  c.respond(),
		Rewrite:  c.rewrite(),

		RequestHeaders:  c.headerOps("requestHeaders"),
		ResponseHeaders: c.headerOps("responseHeaders"),

		Before: c.texts("before"),
		After:  c.texts("after"),
		At:     c.label(),
	}
	if to := c.optionalText("to"); to != nil {
		out.To = *to
	}
	return out
}

func (c cursor) external(home string, namespace *intent.Value[string]) *intent.External {
	return &intent.External{
		Name:      c.name(),
		Home:      home,
		Namespace: c.namespaceOr(namespace),
		Host:      c.required("host").text(),
		Ports:     each(c.entries("ports"), cursor.port),
		Via:       c.optionalText("via"),
		Endpoints: c.texts("endpoints"),
		Timeout:   c.optionalText("timeout"),
		Announce:  c.optionalText("proxyProtocol"),
		Traffic:   c.traffic(),
		TLS:       block(c, "tls", cursor.externalTLS),
		At:        c.label(),
	}
}
