// Package fault injects delays and aborts, as envoy.filters.http.fault does:
// it takes an HTTPFault, of the filter or of the route, and says for each
// request how long it waits and whether it is answered with an error.
package fault

import (
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	commonv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/common/fault/v3"
	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/resource/support"
	"github.com/meshc/meshc/dataplane/route"
)

// Supported lists the messages that Decode understands.
var Supported = []support.Message{
	{Name: "envoy.extensions.filters.http.fault.v3.HTTPFault", Fields: []support.Field{
		support.F("delay", ""),
		support.F("abort", ""),
		support.F("headers", "all must match"),
		support.F("max_active_faults", "counted by the filter; one request counts once"),
		support.F("response_rate_limit", "of bodies that upstreams answer with"),
	}},
	{Name: "envoy.extensions.filters.common.fault.v3.FaultRateLimit", Fields: []support.Field{
		support.F("fixed_limit", ""), support.F("percentage", "0 when absent"),
	}},
	{Name: "envoy.extensions.filters.common.fault.v3.FaultRateLimit.FixedLimit", Fields: []support.Field{support.F("limit_kbps", "KiB in a second")}},
	{Name: "envoy.extensions.filters.common.fault.v3.FaultDelay", Fields: []support.Field{
		support.F("fixed_delay", ""), support.F("percentage", "0 when absent"),
	}},
	{Name: "envoy.extensions.filters.http.fault.v3.FaultAbort", Fields: []support.Field{
		support.F("http_status", ""), support.F("grpc_status", "1 to 16"), support.F("percentage", "0 when absent"),
	}},
}

// Config is one decoded HTTPFault; a route's replaces the filter's. It is
// immutable.
type Config struct {
	delay      time.Duration
	delayShare route.Fraction
	abort      int // the status
	grpc       int // the status in gRPC, if the fault is said in it
	abortShare route.Fraction
	rate       int // of responses, in bytes per second
	rateShare  route.Fraction
	most       int64 // requests with a fault at a time
	headers    []func(*message.Request) bool
}

// Decode gives the Config of an HTTPFault that passed support.Table.Check.
func Decode(p *faultv3.HTTPFault) (*Config, error) {
	c := &Config{most: math.MaxInt64}
	if n := p.GetMaxActiveFaults(); n != nil {
		c.most = int64(n.GetValue())
	}
	if err := c.decodeRate(p.GetResponseRateLimit()); err != nil {
		return nil, fmt.Errorf("response_rate_limit: %w", err)
	}
	if err := c.decodeDelay(p.GetDelay()); err != nil {
		return nil, fmt.Errorf("delay: %w", err)
	}
	if err := c.decodeAbort(p.GetAbort()); err != nil {
		return nil, fmt.Errorf("abort: %w", err)
	}
	for _, h := range p.GetHeaders() {
		matches, err := route.CompileHeader(h)
		if err != nil {
			return nil, fmt.Errorf("headers: %w", err)
		}
		c.headers = append(c.headers, matches)
	}
	return c, nil
}

func (c *Config) decodeDelay(p *commonv3.FaultDelay) (err error) {
	if p == nil {
		return nil
	}
	if c.delay = p.GetFixedDelay().AsDuration(); c.delay <= 0 {
		return errors.New("needs a fixed_delay above 0")
	}
	c.delayShare, err = route.NewFraction(p.GetPercentage())
	return err
}

func (c *Config) decodeAbort(p *faultv3.FaultAbort) (err error) {
	if p == nil {
		return nil
	}
	switch m := p.GetErrorType().(type) {
	case *faultv3.FaultAbort_HttpStatus:
		c.abort = int(m.HttpStatus)
	case *faultv3.FaultAbort_GrpcStatus:
		if c.grpc = int(m.GrpcStatus); c.grpc > 0 && c.grpc < len(statusOf) {
			c.abort = statusOf[c.grpc]
		}
	}
	if c.abort == 0 {
		return errors.New("needs an http_status, or a grpc_status of 1 to 16")
	}
	c.abortShare, err = route.NewFraction(p.GetPercentage())
	return err
}

// statusOf are the statuses of HTTP that those of gRPC come to (Envoy's
// Grpc::Utility::grpcToHttpStatus).
var statusOf = [...]int{0, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401}

func (c *Config) decodeRate(p *commonv3.FaultRateLimit) (err error) {
	if p == nil {
		return nil
	}
	limit := p.GetFixedLimit().GetLimitKbps()
	if limit == 0 || limit > maxRate {
		return fmt.Errorf("needs a fixed_limit of 1 to %d KiB in a second", maxRate)
	}
	c.rate = int(limit) << 10
	c.rateShare, err = route.NewFraction(p.GetPercentage())
	return err
}

// maxRate is the highest rate of responses, in KiB per second.
const maxRate = 1 << 30

// Filter is the HTTP filter. One value serves every connection.
type Filter struct {
	name   string
	config *Config
	active atomic.Int64 // requests with a fault
}

// New gives the filter under the name that its connection manager knows it by:
// the key of routes' typed_per_filter_config.
func New(name string, config *Config) *Filter { return &Filter{name: name, config: config} }

// Name implements filter.HTTP.
func (f *Filter) Name() string { return f.name }

// What is counted, as Envoy names it.
const (
	delaysInjected = iota
	abortsInjected
)

// Counters implements filter.Counted.
func (f *Filter) Counters() ([]string, filter.Label) {
	return []string{"fault_delays_injected", "fault_aborts_injected"}, filter.Label{}
}

// OnRequest implements filter.HTTP. The delay comes before the abort and each
// has a draw of its own, independent of the split (fault_filter.cc).
func (f *Filter) OnRequest(s *filter.Stream) filter.Verdict {
	c := f.config
	if s.Route != nil {
		if own, ok := s.Route.PerFilter[f.name].(*Config); ok {
			c = own
		}
	}
	var v filter.Verdict
	if c == nil || !c.takes(s.Request) {
		return v
	}
	counted := false
	injects := func(share route.Fraction) bool {
		if share.Zero() || !share.Takes(s.Draw()) || !counted && !f.count(s, c.most) {
			return false
		}
		counted = true
		return true
	}
	if injects(c.rateShare) {
		s.Pace = c.rate
	}
	if injects(c.delayShare) {
		v.Delay, v.DelayFlag = c.delay, "DI"
		s.Count(delaysInjected)
	}
	if injects(c.abortShare) {
		v.Status, v.GRPC, v.Body = c.abort, c.grpc, "fault filter abort"
		v.Flag, v.Details = "FI", "fault_filter_abort"
		s.Count(abortsInjected)
	}
	return v
}

// count counts a request that gets a fault, until it is over; false: there are most
// of them already.
func (f *Filter) count(s *filter.Stream, most int64) bool {
	if f.active.Add(1) > most {
		f.active.Add(-1)
		return false
	}
	before := s.Over
	s.Over = func() {
		f.active.Add(-1)
		if before != nil {
			before()
		}
	}
	return true
}

func (c *Config) takes(req *message.Request) bool {
	for _, matches := range c.headers {
		if !matches(req) {
			return false
		}
	}
	return true
}
