// Package localrate limits the rate of requests by token buckets of this proxy,
// as envoy.filters.http.local_ratelimit does.
package localrate

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	commonv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	localv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/local_ratelimit/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/filter/descriptor"
	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/resource/support"
	"github.com/meshc/meshc/dataplane/route"
)

// Supported lists the messages that Decode understands, but those of descriptors.
var Supported = []support.Message{
	{Name: "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit", Fields: []support.Field{
		support.F("stat_prefix", ""),
		support.F("status", "429 when absent, as below 400"),
		support.F("token_bucket", "or descriptors"),
		support.F("filter_enabled", "0 when absent"), support.F("filter_enforced", "0 when absent"),
		support.F("rate_limits", ""), support.F("descriptors", ""),
		support.F("max_dynamic_descriptors", "20 when absent; of each descriptor"),
		support.F("enable_x_ratelimit_headers", ""), support.F("enable_retry_after_header", "of answers with 429"),
		support.F("rate_limited_as_resource_exhausted", ""),
	}},
	{Name: "envoy.extensions.common.ratelimit.v3.LocalRateLimitDescriptor", Fields: []support.Field{
		support.F("entries", "without value: any"), support.F("token_bucket", ""),
	}},
	{Name: "envoy.extensions.common.ratelimit.v3.RateLimitDescriptor.Entry", Fields: []support.Field{support.F("key", ""), support.F("value", "")}},
	{Name: "envoy.type.v3.TokenBucket", Fields: []support.Field{
		support.F("max_tokens", ""), support.F("tokens_per_fill", "1 when absent"), support.F("fill_interval", "50 ms at least; tokens come evenly"),
	}},
	{Name: "envoy.type.v3.HttpStatus", Fields: []support.Field{support.F("code", "")}},
}

// defaultKeys is Envoy's default of max_dynamic_descriptors.
const defaultKeys = 20

// minFill is the shortest interval that Envoy takes.
const minFill = 50 * time.Millisecond

// Filter is the HTTP filter. Its buckets are shared by all connections of its
// connection manager.
type Filter struct {
	name                string
	enabled, enforced   route.Fraction
	status              int
	grpc                int
	headers, retryAfter bool
	all                 *shape // of every request, in place of rates
	rates               []descriptor.Rate
	shapes              []*shape
	now                 func() float64 // seconds
	prefix              string         // of statistics
}

// grpcResourceExhausted is RESOURCE_EXHAUSTED of gRPC.
const grpcResourceExhausted = 8

// New gives the filter of a LocalRateLimit that passed support.Table.Check, under
// the name that its connection manager knows it by.
func New(name string, p *localv3.LocalRateLimit) (*Filter, error) {
	start := time.Now()
	return newFilter(name, p, func() float64 { return time.Since(start).Seconds() })
}

func newFilter(name string, p *localv3.LocalRateLimit, now func() float64) (*Filter, error) {
	f := &Filter{
		name: name, prefix: p.GetStatPrefix(), now: now, status: int(p.GetStatus().GetCode()),
		headers:    p.GetEnableXRatelimitHeaders() == commonv3.XRateLimitHeadersRFCVersion_DRAFT_VERSION_03,
		retryAfter: p.GetEnableRetryAfterHeader(),
	}
	if f.status < 400 {
		f.status = 429
	}
	if p.GetRateLimitedAsResourceExhausted() {
		f.grpc = grpcResourceExhausted
	}
	var err error
	if f.enabled, err = route.NewFraction(p.GetFilterEnabled().GetDefaultValue()); err != nil {
		return nil, fmt.Errorf("filter_enabled: %w", err)
	}
	if f.enforced, err = route.NewFraction(p.GetFilterEnforced().GetDefaultValue()); err != nil {
		return nil, fmt.Errorf("filter_enforced: %w", err)
	}
	if f.rates, err = descriptor.Compile(p.GetRateLimits()); err != nil {
		return nil, err
	}
	return f, f.buckets(p)
}

func (f *Filter) buckets(p *localv3.LocalRateLimit) error {
	if b := p.GetTokenBucket(); b != nil {
		if len(p.GetDescriptors())+len(f.rates) > 0 {
			return errors.New("token_bucket: with descriptors or rate_limits is not supported")
		}
		r, err := newRate(b)
		if err != nil {
			return err
		}
		f.all = &shape{rate: r, one: newBucket(r, f.now())}
		return nil
	}
	if len(p.GetDescriptors()) == 0 || len(f.rates) == 0 {
		return errors.New("needs a token_bucket, or descriptors and rate_limits")
	}
	most := defaultKeys
	if n := p.GetMaxDynamicDescriptors(); n != nil {
		most = int(max(1, n.GetValue()))
	}
	for i, d := range p.GetDescriptors() {
		s, err := f.shape(d, most)
		if err != nil {
			return fmt.Errorf("descriptors[%d]: %w", i, err)
		}
		f.shapes = append(f.shapes, s)
	}
	return nil
}

func (f *Filter) shape(d *commonv3.LocalRateLimitDescriptor, most int) (*shape, error) {
	r, err := newRate(d.GetTokenBucket())
	if err != nil {
		return nil, err
	}
	s := &shape{rate: r}
	open := false
	for _, e := range d.GetEntries() {
		open = open || e.GetValue() == ""
		s.entries = append(s.entries, descriptor.Entry{Key: e.GetKey(), Value: e.GetValue()})
	}
	if open {
		s.many = newKeyed(most)
	} else {
		s.one = newBucket(r, f.now())
	}
	return s, nil
}

func newRate(b *typev3.TokenBucket) (rate, error) {
	every := b.GetFillInterval().AsDuration()
	if every < minFill {
		return rate{}, fmt.Errorf("token_bucket: fill_interval %v is below %v", every, minFill)
	}
	fill := uint32(1)
	if n := b.GetTokensPerFill(); n != nil {
		fill = n.GetValue()
	}
	if fill == 0 || b.GetMaxTokens() == 0 {
		return rate{}, errors.New("token_bucket: needs max_tokens and tokens_per_fill above 0")
	}
	return rate{max: float64(b.GetMaxTokens()), perSecond: float64(fill) / every.Seconds()}, nil
}

// Name implements filter.HTTP.
func (f *Filter) Name() string { return f.name }

// What is counted, as Envoy names it.
const (
	enabled = iota
	enforced
	rateLimited
	passed
)

// Counters implements filter.Counted.
func (f *Filter) Counters() ([]string, filter.Label) {
	const prefix = "http_local_rate_limit_"
	return []string{prefix + "enabled", prefix + "enforced", prefix + "rate_limited", prefix + "ok"},
		filter.Label{Name: "envoy_local_http_ratelimit_prefix", Value: f.prefix}
}

// OnRequest implements filter.HTTP. A request without a descriptor that fits is
// not limited. As in Envoy it is counted once, and has the headers of one bucket,
// however many descriptors it has.
func (f *Filter) OnRequest(s *filter.Stream) filter.Verdict {
	if !f.enabled.Takes(s.Draw()) {
		return filter.Verdict{}
	}
	s.Count(enabled)
	got, ok := f.spend(s)
	if f.headers && got.of != nil {
		s.Add = append(s.Add,
			message.Field{Name: "x-ratelimit-limit", Value: strconv.FormatInt(int64(got.of.rate.max), 10)},
			message.Field{Name: "x-ratelimit-remaining", Value: strconv.FormatInt(int64(math.Floor(got.left)), 10)},
			message.Field{Name: "x-ratelimit-reset", Value: strconv.Itoa(got.of.rate.wait(got.left))},
		)
	}
	if ok {
		s.Count(passed)
		return filter.Verdict{}
	}
	s.Count(rateLimited)
	if !f.enforced.Takes(s.Draw()) {
		return filter.Verdict{}
	}
	s.Count(enforced)
	if f.retryAfter && f.status == 429 {
		s.Add = append(s.Add, message.Field{Name: "retry-after", Value: strconv.Itoa(max(1, got.of.rate.wait(got.left)))})
	}
	return filter.Verdict{Status: f.status, GRPC: f.grpc, Body: "local_rate_limited", Flag: "RL", Details: "local_rate_limited"}
}

// spent is what a bucket has left.
type spent struct {
	of   *shape // nil: of none
	left float64
}

// spend takes a token of every bucket that the request has, up to one that is
// empty. It gives that, else the first.
func (f *Filter) spend(s *filter.Stream) (first spent, ok bool) {
	if f.all != nil {
		left, ok := f.all.one.take(f.all.rate, f.now())
		return spent{f.all, left}, ok
	}
	var room [8]descriptor.Entry
	for i := range f.rates {
		entries, ok := f.rates[i].Describe(s, room[:0])
		if !ok {
			continue
		}
		for _, candidate := range f.shapes {
			if !candidate.fits(entries) {
				continue
			}
			now := f.now()
			left, ok := candidate.bucket(entries, now).take(candidate.rate, now)
			if !ok {
				return spent{candidate, left}, false
			}
			if first.of == nil {
				first = spent{candidate, left}
			}
		}
	}
	return first, true
}
