package load

import "github.com/meshc/meshc/compiler/intent"

func (c cursor) traffic() *intent.Traffic {
	return block(c, "traffic", func(t cursor) *intent.Traffic {
		return &intent.Traffic{
			ConnectTimeout: t.optionalText("connectTimeout"),
			Connections:    block(t, "connections", cursor.connections),
			RetryBudget:    block(t, "retryBudget", cursor.retryBudget),
			Outliers:       block(t, "outliers", cursor.outliers),
			Health:         block(t, "health", cursor.health),
			Balance:        block(t, "balance", cursor.balance),
			Locality:       block(t, "locality", cursor.locality),
			At:             t.label(),
		}
	})
}

// block decodes an optional struct; nil when it was not written.
func block[T any](c cursor, name string, decode func(cursor) *T) *T {
	f, ok := c.field(name)
	if !ok {
		return nil
	}
	return decode(f)
}

func (c cursor) connections() *intent.Connections {
	return &intent.Connections{
		Max:                   c.optionalNumber("max"),
		MaxPending:            c.optionalNumber("maxPending"),
		MaxRequests:           c.optionalNumber("maxRequests"),
		MaxRetries:            c.optionalNumber("maxRetries"),
		Clients:               c.optionalNumber("clients"),
		RequestsPerConnection: c.optionalNumber("requestsPerConnection"),
		ConcurrentStreams:     c.optionalNumber("concurrentStreams"),
		Idle:                  c.optionalText("idle"),
		MaxAge:                c.optionalText("maxAge"),
		Keepalive:             block(c, "keepalive", cursor.keepalive),
		Pings:                 block(c, "pings", cursor.pings),
		At:                    c.label(),
	}
}

func (c cursor) keepalive() *intent.Keepalive {
	return &intent.Keepalive{
		Time: c.optionalText("time"), Interval: c.optionalText("interval"), Probes: c.optionalNumber("probes"), At: c.label(),
	}
}

func (c cursor) pings() *intent.Pings {
	return &intent.Pings{Interval: c.required("interval").text(), Timeout: c.required("timeout").text(), At: c.label()}
}

func (c cursor) retryBudget() *intent.RetryBudget {
	return &intent.RetryBudget{
		Percent: c.required("percent").decimal(), MinConcurrency: c.optionalNumber("minConcurrency"), At: c.label(),
	}
}

func (c cursor) outliers() *intent.Outliers {
	return &intent.Outliers{
		Statuses:           c.texts("statuses"),
		Consecutive5xx:     c.optionalNumber("consecutive5xx"),
		ConsecutiveGateway: c.optionalNumber("consecutiveGateway"),
		ConsecutiveLocal:   c.optionalNumber("consecutiveLocal"),
		SuccessRate:        block(c, "successRate", cursor.successRate),
		FailurePercent:     block(c, "failurePercent", cursor.failurePercent),
		Interval:           c.optionalText("interval"),
		Ejection:           c.optionalText("ejection"),
		MaxEjection:        c.optionalText("maxEjection"),
		MaxPercent:         c.optionalNumber("maxPercent"),
		At:                 c.label(),
	}
}

func (c cursor) successRate() *intent.SuccessRate {
	return &intent.SuccessRate{
		MinHosts: c.optionalNumber("minHosts"), MinRequests: c.optionalNumber("minRequests"), Stdev: c.optionalDecimal("stdev"), At: c.label(),
	}
}

func (c cursor) failurePercent() *intent.FailurePercent {
	return &intent.FailurePercent{
		Threshold: c.required("threshold").number(),
		MinHosts:  c.optionalNumber("minHosts"), MinRequests: c.optionalNumber("minRequests"), At: c.label(),
	}
}

func (c cursor) health() *intent.Health {
	return &intent.Health{
		HTTP:           block(c, "http", cursor.healthHTTP),
		TCP:            block(c, "tcp", cursor.healthTCP),
		GRPC:           block(c, "grpc", cursor.healthGRPC),
		Interval:       c.required("interval").text(),
		Timeout:        c.required("timeout").text(),
		HealthyAfter:   c.optionalNumber("healthyAfter"),
		UnhealthyAfter: c.optionalNumber("unhealthyAfter"),
		Port:           c.optionalText("port"),
		At:             c.label(),
	}
}

func (c cursor) healthHTTP() *intent.HealthHTTP {
	return &intent.HealthHTTP{
		Path:     c.required("path").text(),
		Host:     c.optionalText("host"),
		Statuses: each(c.elements("statuses"), cursor.number),
		At:       c.label(),
	}
}

func (c cursor) healthTCP() *intent.HealthTCP {
	return &intent.HealthTCP{Send: c.optionalText("send"), Receive: c.texts("receive"), At: c.label()}
}

func (c cursor) healthGRPC() *intent.HealthGRPC {
	return &intent.HealthGRPC{Service: c.optionalText("service"), At: c.label()}
}

func (c cursor) balance() *intent.Balance {
	return &intent.Balance{
		Policy:       c.optionalText("policy"),
		Choices:      c.optionalNumber("choices"),
		Ring:         block(c, "ring", cursor.ring),
		Table:        c.optionalNumber("table"),
		SlowStart:    block(c, "slowStart", cursor.slowStart),
		PanicPercent: c.optionalDecimal("panicPercent"),
		At:           c.label(),
	}
}

func (c cursor) ring() *intent.Ring {
	return &intent.Ring{Min: c.optionalNumber("min"), Max: c.optionalNumber("max"), At: c.label()}
}

func (c cursor) hashKey() *intent.HashKey {
	return &intent.HashKey{
		Header:   c.optionalText("header"),
		Cookie:   c.optionalText("cookie"),
		Query:    c.optionalText("query"),
		SourceIP: c.optionalTruth("sourceIP"),
		Terminal: c.optionalTruth("terminal"),
		At:       c.label(),
	}
}

func (c cursor) slowStart() *intent.SlowStart {
	return &intent.SlowStart{
		Window:     c.required("window").text(),
		MinPercent: c.optionalDecimal("minPercent"), Aggression: c.optionalDecimal("aggression"), At: c.label(),
	}
}

// optionalNumber gives a field's whole number; nil when it was not written.
func (c cursor) optionalNumber(name string) *intent.Value[int] {
	return block(c, name, func(f cursor) *intent.Value[int] { n := f.number(); return &n })
}

// optionalDecimal gives a field's decimal as text; nil when it was not written.
func (c cursor) optionalDecimal(name string) *intent.Value[string] {
	return block(c, name, func(f cursor) *intent.Value[string] { d := f.decimal(); return &d })
}
