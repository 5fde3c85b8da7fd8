// Package fault injects delays and aborts, as envoy.filters.http.fault does:
// it takes an HTTPFault, of the filter or of the route, and says for each
// request how long it waits and whether it is answered with an error.
package fault

import (
	"errors"
	"fmt"
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
	}},
	{Name: "envoy.extensions.filters.common.fault.v3.FaultDelay", Fields: []support.Field{
		support.F("fixed_delay", ""), support.F("percentage", "0 when absent"),
	}},
	{Name: "envoy.extensions.filters.http.fault.v3.FaultAbort", Fields: []support.Field{
		support.F("http_status", ""), support.F("percentage", "0 when absent"),
	}},
}

// Config is one decoded HTTPFault; a route's replaces the filter's. It is
// immutable.
type Config struct {
	delay      time.Duration
	delayShare route.Fraction
	abort      int
	abortShare route.Fraction
	headers    []func(*message.Request) bool
}

// Decode gives the Config of an HTTPFault that passed support.Table.Check.
func Decode(p *faultv3.HTTPFault) (*Config, error) {
	c := new(Config)
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
	if c.abort = int(p.GetHttpStatus()); c.abort == 0 {
		return errors.New("needs an http_status")
	}
	c.abortShare, err = route.NewFraction(p.GetPercentage())
	return err
}

// Filter is the HTTP filter. It keeps no state: one value serves every connection.
type Filter struct {
	name   string
	config *Config
}

// New gives the filter under the name that its connection manager knows it by:
// the key of routes' typed_per_filter_config.
func New(name string, config *Config) *Filter { return &Filter{name: name, config: config} }

// Name implements filter.HTTP.
func (f *Filter) Name() string { return f.name }

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
	if !c.delayShare.Zero() && c.delayShare.Takes(s.Draw()) {
		v.Delay, v.DelayFlag = c.delay, "DI"
	}
	if !c.abortShare.Zero() && c.abortShare.Takes(s.Draw()) {
		v.Status, v.Body = c.abort, "fault filter abort"
		v.Flag, v.Details = "FI", "fault_filter_abort"
	}
	return v
}

func (c *Config) takes(req *message.Request) bool {
	for _, matches := range c.headers {
		if !matches(req) {
			return false
		}
	}
	return true
}
