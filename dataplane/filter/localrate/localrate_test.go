package localrate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	localv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/local_ratelimit/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/route"
)

const always = `{"default_value": {"numerator": 100}}`

// limited is a filter whose clock a test moves.
func limited(t *testing.T, config string, now *float64) *Filter {
	t.Helper()
	p := new(localv3.LocalRateLimit)
	text := fmt.Sprintf(`{"stat_prefix": "x", "filter_enabled": %s, "filter_enforced": %s, %s}`, always, always, config)
	if err := protojson.Unmarshal([]byte(text), p); err != nil {
		t.Fatal(err)
	}
	f, err := newFilter("limit", p, func() float64 { return *now })
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func ask(f *Filter, target string, fields ...message.Field) (filter.Verdict, []message.Field) {
	s := &filter.Stream{
		Request: &message.Request{Method: "GET", Authority: "shop", Target: target, Fields: fields},
		Peer:    filter.Peer{TLS: true, SPIFFEID: "spiffe://test/web", Remote: "[2001:db8::1]:80"},
		Draw:    func() uint64 { return 0 },
	}
	return f.OnRequest(s), s.Add
}

func TestOneBucket(t *testing.T) {
	now := 100.0
	f := limited(t, `"status": {"code": 429}, "token_bucket": {"max_tokens": 3, "tokens_per_fill": 2, "fill_interval": "10s"},
 "enable_x_ratelimit_headers": "DRAFT_VERSION_03", "enable_retry_after_header": true, "rate_limited_as_resource_exhausted": true`, &now)
	for _, c := range []struct {
		after  float64
		status int
		add    string
	}{
		{0, 0, "[{x-ratelimit-limit 3 false} {x-ratelimit-remaining 2 false} {x-ratelimit-reset 0 false}]"},
		{0, 0, "[{x-ratelimit-limit 3 false} {x-ratelimit-remaining 1 false} {x-ratelimit-reset 0 false}]"},
		{0, 0, "[{x-ratelimit-limit 3 false} {x-ratelimit-remaining 0 false} {x-ratelimit-reset 5 false}]"},
		{4.9, 429, "[{x-ratelimit-limit 3 false} {x-ratelimit-remaining 0 false} {x-ratelimit-reset 1 false} {retry-after 1 false}]"},
		{0.2, 0, "[{x-ratelimit-limit 3 false} {x-ratelimit-remaining 0 false} {x-ratelimit-reset 5 false}]"},
		{1000, 0, "[{x-ratelimit-limit 3 false} {x-ratelimit-remaining 2 false} {x-ratelimit-reset 0 false}]"},
	} {
		now += c.after
		v, add := ask(f, "/")
		if v.Status != c.status || fmt.Sprint(add) != c.add {
			t.Errorf("at %v: %d, %v; want %d, %s", now, v.Status, add, c.status, c.add)
		}
		if v.Status != 0 && (v.GRPC != grpcResourceExhausted || v.Flag != "RL" || v.Details != "local_rate_limited") {
			t.Errorf("refused with %+v", v)
		}
	}
}

const byUserAndQuery = `"status": {"code": 503}, "max_dynamic_descriptors": 2,
 "rate_limits": [{"actions": [{"header_value_match": {"descriptor_key": "limit", "descriptor_value": "l", "headers": [{"name": ":path", "string_match": {"prefix": "/a"}}]}},
  {"extension": {"name": "e", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.rate_limit_descriptors.expr.v3.Descriptor", "descriptor_key": "user", "text": "\"x-user\" in request.headers ? request.headers[\"x-user\"] : \"\""}}},
  {"query_parameters": {"query_parameter_name": "q q", "descriptor_key": "q", "skip_if_absent": true}}]}],
 "descriptors": [
  {"entries": [{"key": "limit", "value": "l"}, {"key": "user"}, {"key": "q"}], "token_bucket": {"max_tokens": 1, "tokens_per_fill": 1, "fill_interval": "3600s"}},
  {"entries": [{"key": "limit", "value": "l"}, {"key": "user"}], "token_bucket": {"max_tokens": 2, "tokens_per_fill": 1, "fill_interval": "3600s"}}]`

func TestKeys(t *testing.T) {
	now := 0.0
	f := limited(t, byUserAndQuery, &now)
	ann, bob := message.Field{Name: "x-user", Value: "ann"}, message.Field{Name: "x-user", Value: "bob"}
	for i, c := range []struct {
		target string
		fields []message.Field
		status int
	}{
		{"/b", nil, 0}, {"/b", nil, 0}, {"/b", nil, 0}, // it is not limited
		{"/a", []message.Field{ann}, 0}, {"/a", []message.Field{ann}, 0}, {"/a", []message.Field{ann}, 503},
		{"/a", []message.Field{bob}, 0}, {"/a", []message.Field{ann}, 503},
		{"/a?q%20q=1", []message.Field{ann}, 0}, {"/a?x&q%20q=%31&q%20q=2", []message.Field{ann}, 503},
		{"/a", []message.Field{ann, bob}, 0},                               // a third: bob is the one not seen for longest
		{"/a", []message.Field{ann}, 503}, {"/a", []message.Field{bob}, 0}, // anew, and ann,bob goes
		{"/a", []message.Field{bob}, 0}, {"/a", []message.Field{bob}, 503},
	} {
		if v, _ := ask(f, c.target, c.fields...); v.Status != c.status {
			t.Errorf("%d: %s %v: %d, want %d", i, c.target, c.fields, v.Status, c.status)
		}
	}
}

// counter counts by hand.
type counter int

func (c *counter) Inc() { *c++ }

// A request is counted once and has one set of headers, whatever descriptors it has,
// and whether it is refused is drawn once, as in Envoy.
func TestCounts(t *testing.T) {
	const twice = `"rate_limits": [{"actions": [{"generic_key": {"descriptor_value": "a"}}]}, {"actions": [{"generic_key": {"descriptor_value": "b"}}]}],
 "descriptors": [
  {"entries": [{"key": "generic_key", "value": "a"}], "token_bucket": {"max_tokens": 2, "fill_interval": "3600s"}},
  {"entries": [{"key": "generic_key", "value": "b"}], "token_bucket": {"max_tokens": 2, "fill_interval": "3600s"}}],
 "enable_x_ratelimit_headers": "DRAFT_VERSION_03"`
	for _, c := range []struct {
		name, config string
		enforced     int // of 100
		want         string
	}{
		{"one bucket", `"token_bucket": {"max_tokens": 2, "fill_interval": "3600s"}, "enable_x_ratelimit_headers": "DRAFT_VERSION_03"`, 100, "[5 3 3 2]"},
		{"two descriptors", twice, 100, "[5 3 3 2]"},
		{"that are not enforced", twice, 0, "[5 0 3 2]"},
	} {
		now := 0.0
		f := limited(t, c.config, &now)
		var err error
		if f.enforced, err = route.NewFraction(&typev3.FractionalPercent{Numerator: uint32(c.enforced)}); err != nil {
			t.Fatal(err)
		}
		counts := make([]counter, 4)
		for range 5 {
			draws := 0
			s := &filter.Stream{Request: &message.Request{Method: "GET", Target: "/"}, Draw: func() uint64 { draws++; return 0 }}
			for i := range counts {
				s.Counts = append(s.Counts, &counts[i])
			}
			f.OnRequest(s)
			if draws > 2 {
				t.Errorf("%s: %d draws for a request", c.name, draws)
			}
			if len(s.Add) != 3 {
				t.Errorf("%s: headers %v", c.name, s.Add)
			}
		}
		if got := fmt.Sprint(counts); got != c.want {
			t.Errorf("%s: counted %v, want %s", c.name, got, c.want)
		}
	}
	now := 0.0
	f, counts := limited(t, byUserAndQuery, &now), make([]counter, 4)
	s := &filter.Stream{Request: &message.Request{Method: "GET", Target: "/b"}, Draw: func() uint64 { return 0 }, Counts: []filter.Counter{&counts[0], &counts[1], &counts[2], &counts[3]}}
	if f.OnRequest(s); fmt.Sprint(counts) != "[1 0 0 1]" {
		t.Errorf("without a descriptor: %v", counts)
	}
}

func TestRefusedConfigs(t *testing.T) {
	for config, want := range map[string]string{
		`"token_bucket": {"max_tokens": 1, "fill_interval": "0.049s"}`:                   "token_bucket: fill_interval 49ms is below 50ms",
		`"token_bucket": {"max_tokens": 1, "tokens_per_fill": 0, "fill_interval": "1s"}`: "token_bucket: needs max_tokens and tokens_per_fill above 0",
		`"stat_prefix": "x"`: "needs a token_bucket, or descriptors and rate_limits",
		`"rate_limits": [{"actions": [{"generic_key": {"descriptor_value": "%REQ(a)%"}}]}]`: "rate_limits[0]: actions[0]: descriptor_value: command operators are not supported",
		`"rate_limits": [{"actions": [{"destination_cluster": {}}]}]`:                       "rate_limits[0]: actions[0]: is not supported",
		`"rate_limits": [{"actions": [{"extension": {"name": "e", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.rate_limit_descriptors.expr.v3.Descriptor", "text": "request.size"}}}]}]`: `rate_limits[0]: actions[0]: extension: text: the expression "request.size" is not supported`,
	} {
		p := new(localv3.LocalRateLimit)
		if err := protojson.Unmarshal([]byte("{"+config+"}"), p); err != nil {
			t.Fatal(err)
		}
		if _, err := New("limit", p); fmt.Sprint(err) != want {
			t.Errorf("%s: %v, want %s", config, err, want)
		}
	}
}

// A bucket gives, over any stretch of time, no more than it holds and what has
// come since, and not a token less where somebody always asks.
func TestBucketAgainstCount(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		of := rate{max: float64(1 + r.IntN(20)), perSecond: 0.1 + r.Float64()*50}
		now := r.Float64() * 1000
		b, tokens, at := newBucket(of, now), of.max, now
		for range 500 {
			now += r.ExpFloat64() / of.perSecond * 2 * r.Float64()
			tokens = min(of.max, tokens+(now-at)*of.perSecond)
			at = now
			if math.Abs(tokens-1) < 1e-6 {
				continue // rounding decides
			}
			_, ok := b.take(of, now)
			if ok != (tokens >= 1) {
				t.Fatalf("seed %d: with %v tokens: %v", seed, tokens, ok)
			}
			if ok {
				tokens--
			}
		}
	}
}

func TestBucketIsShared(t *testing.T) {
	of := rate{max: 1000, perSecond: 1e-9}
	b := newBucket(of, 0)
	var taken atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 500 {
				if _, ok := b.take(of, 0); ok {
					taken.Add(1)
				}
			}
		})
	}
	all.Wait()
	if n := taken.Load(); n < 999 || n > 1000 { // one may go by rounding
		t.Errorf("%d of 1000 tokens were taken", n)
	}
}

func BenchmarkKeyed(b *testing.B) {
	p := new(localv3.LocalRateLimit)
	if err := protojson.Unmarshal(fmt.Appendf(nil, `{"filter_enabled": %s, "filter_enforced": %s, %s}`, always, always, byUserAndQuery), p); err != nil {
		b.Fatal(err)
	}
	f, err := New("limit", p)
	if err != nil {
		b.Fatal(err)
	}
	s := &filter.Stream{Request: &message.Request{Method: "GET", Target: "/a", Fields: []message.Field{{Name: "x-user", Value: "ann"}}}, Draw: func() uint64 { return 0 }}
	b.ReportAllocs()
	for b.Loop() {
		f.OnRequest(s)
	}
}
