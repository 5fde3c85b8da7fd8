package model

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Setting is one thing that is set, for people to read: "outliers.interval",
// "10s", and where it was written.
type Setting struct {
	Name, Value string
	At          Origin // zero: built-in default
}

// settings collects what is set below one name.
type settings struct {
	list []Setting
	at   Origin
}

func (s *settings) add(name, value string) {
	if value != "" {
		s.list = append(s.list, Setting{name, value, s.at})
	}
}

// number leaves 0 out: it stands for what is not there.
func (s *settings) number(name string, n uint32) {
	if n != 0 {
		s.add(name, strconv.FormatUint(uint64(n), 10))
	}
}

// span leaves 0 out.
func (s *settings) span(name string, d time.Duration) {
	if d != 0 {
		s.add(name, d.String())
	}
}

func (s *settings) percent(name string, basisPoints uint32) {
	s.add(name, Hundredths(basisPoints)+" %")
}

// Hundredths writes a number of hundredths with the fewest decimals: 1250 is "12.5".
func Hundredths(n uint32) string {
	s := fmt.Sprintf("%d.%02d", n/100, n%100)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// Settings lists what t sets, in the order of the schema; nothing for nil.
func (t *Traffic) Settings() []Setting {
	if t == nil {
		return nil
	}
	s := &settings{at: t.ConnectTimeoutOrigin}
	s.span("connectTimeout", t.ConnectTimeout)
	t.Connections.settings(s)
	if b := t.RetryBudget; b != nil {
		s.at = b.Origin
		s.percent("retryBudget.percent", b.BasisPoints)
		s.add("retryBudget.minConcurrency", fmt.Sprint(b.MinConcurrency))
	}
	t.Outliers.settings(s)
	t.Health.settings(s)
	t.Balance.settings(s)
	t.Locality.settings(s)
	return s.list
}

func (c *Connections) settings(s *settings) {
	if c == nil {
		return
	}
	s.at = c.Origin
	s.number("connections.max", c.Max)
	s.number("connections.maxPending", c.MaxPending)
	s.number("connections.maxRequests", c.MaxRequests)
	s.number("connections.maxRetries", c.MaxRetries)
	s.number("connections.clients", c.Clients)
	s.number("connections.requestsPerConnection", c.RequestsPerConnection)
	s.number("connections.concurrentStreams", c.ConcurrentStreams)
	s.add("connections.idle", limit(c.Idle))
	s.span("connections.maxAge", c.MaxAge)
	if k := c.Keepalive; k != nil {
		s.at = k.Origin
		s.add("connections.keepalive", "on")
		s.span("connections.keepalive.time", k.Time)
		s.span("connections.keepalive.interval", k.Interval)
		s.number("connections.keepalive.probes", k.Probes)
	}
	if p := c.Pings; p != nil {
		s.at = p.Origin
		s.span("connections.pings.interval", p.Interval)
		s.span("connections.pings.timeout", p.Timeout)
	}
}

func (o *Outliers) settings(s *settings) {
	if o == nil {
		return
	}
	s.at = o.Origin
	s.add("outliers.statuses", StatusesText(o.Statuses))
	s.number("outliers.consecutive5xx", o.Consecutive5xx)
	s.number("outliers.consecutiveGateway", o.ConsecutiveGateway)
	s.number("outliers.consecutiveLocal", o.ConsecutiveLocal)
	s.span("outliers.interval", o.Interval)
	s.span("outliers.ejection", o.Ejection)
	s.span("outliers.maxEjection", o.MaxEjection)
	share := strconv.FormatUint(uint64(o.MaxPercent), 10) + " %"
	if o.AtLeastOne {
		share += ", and at least one"
	}
	s.add("outliers.maxPercent", share)
	if r := o.SuccessRate; r != nil {
		s.at = r.Origin
		s.number("outliers.successRate.minHosts", r.MinHosts)
		s.number("outliers.successRate.minRequests", r.MinRequests)
		s.add("outliers.successRate.stdev", Hundredths(r.StdevHundredths))
	}
	if f := o.FailurePercent; f != nil {
		s.at = f.Origin
		s.add("outliers.failurePercent.threshold", fmt.Sprintf("%d %%", f.Threshold))
		s.number("outliers.failurePercent.minHosts", f.MinHosts)
		s.number("outliers.failurePercent.minRequests", f.MinRequests)
	}
}

func (h *Health) settings(s *settings) {
	if h == nil {
		return
	}
	s.at = h.Origin
	if h.HTTP != nil {
		s.add("health.http", fmt.Sprintf("GET http://%s%s gives %s", h.HTTP.Host, h.HTTP.Path, strings.Trim(fmt.Sprint(h.HTTP.Statuses), "[]")))
	}
	if h.TCP != nil {
		s.add("health.tcp", fmt.Sprintf("send %q, receive %q", h.TCP.Send, h.TCP.Receive))
	}
	if h.GRPC != nil {
		s.add("health.grpc", fmt.Sprintf("%s is asked about %q", h.GRPC.Authority, h.GRPC.Service))
	}
	s.span("health.interval", h.Interval)
	s.span("health.timeout", h.Timeout)
	s.number("health.healthyAfter", h.HealthyAfter)
	s.number("health.unhealthyAfter", h.UnhealthyAfter)
	s.number("health.port", uint32(h.Port))
}

func (b *Balance) settings(s *settings) {
	if b == nil {
		return
	}
	s.at = b.Origin
	s.add("balance.policy", string(b.Policy))
	s.number("balance.choices", b.Choices)
	s.number("balance.ring.min", b.RingMin)
	s.number("balance.ring.max", b.RingMax)
	s.number("balance.table", b.Table)
	s.percent("balance.panicPercent", b.PanicBasisPoints)
	if w := b.SlowStart; w != nil {
		s.at = w.Origin
		s.span("balance.slowStart.window", w.Window)
		s.percent("balance.slowStart.minPercent", w.MinBasisPoints)
		s.add("balance.slowStart.aggression", Hundredths(w.AggressionHundredths))
	}
}

// limit writes a time that may be no limit.
func limit(d time.Duration) string {
	if d == 0 {
		return "no limit"
	}
	return d.String()
}
