package model

import "strings"

// Settings lists what r says of when and how often it tries again, in the
// order of the schema; nothing for nil.
func (r *Retry) Settings() []Setting {
	if r == nil {
		return nil
	}
	s := &settings{at: r.Origin}
	s.span("perTryIdle", r.PerTryIdle)
	if b := r.Backoff; b != nil {
		s.span("backoff.base", b.Base)
		s.span("backoff.max", b.Max)
	}
	if r.AvoidTried {
		s.add("avoidTried", "true")
	}
	if l := r.RateLimited; l != nil {
		unit := "seconds"
		if l.UnixTime {
			unit = "unixTime"
		}
		s.add("rateLimited", strings.Join([]string{l.Header, "in", unit, "up to", l.Max.String()}, " "))
	}
	return s.list
}

// Settings lists what a gateway's timeouts say, in the order of the schema;
// nothing where the gateway writes none.
func (t GatewayTimeouts) Settings() []Setting {
	if !t.Written() {
		return nil
	}
	s := &settings{at: t.Origin}
	s.add("requestHeaders", limit(t.RequestHeaders))
	s.add("idle", limit(t.Idle))
	s.span("maxConnection", t.MaxConnection)
	return s.list
}
