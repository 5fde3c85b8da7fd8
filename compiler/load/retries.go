package load

import "github.com/meshc/meshc/compiler/intent"

func (c cursor) retries() *intent.Retries {
	return &intent.Retries{
		Attempts:    c.required("attempts").number(),
		On:          texts(c.required("on").list()),
		PerTry:      c.optionalText("perTry"),
		PerTryIdle:  c.optionalText("perTryIdle"),
		Methods:     c.texts("methods"),
		Backoff:     block(c, "backoff", cursor.backoff),
		AvoidTried:  c.optionalTruth("avoidTried"),
		RateLimited: block(c, "rateLimited", cursor.rateLimitedBackoff),
		At:          c.label(),
	}
}

func (c cursor) backoff() *intent.Backoff {
	return &intent.Backoff{Base: c.required("base").text(), Max: c.optionalText("max"), At: c.label()}
}

func (c cursor) rateLimitedBackoff() *intent.RateLimitedBackoff {
	return &intent.RateLimitedBackoff{
		Header: c.required("header").text(), Format: c.optionalText("format"), Max: c.optionalText("max"), At: c.label(),
	}
}

func (c cursor) gatewayTimeouts() *intent.GatewayTimeouts {
	return &intent.GatewayTimeouts{
		RequestHeaders: c.optionalText("requestHeaders"), Idle: c.optionalText("idle"), MaxConnection: c.optionalText("maxConnection"), At: c.label(),
	}
}
