package globalrate

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	filterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ratelimit/v3"
	rlsv3 "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/route"
)

const service = `"rate_limit_service": {"transport_api_version": "V3", "grpc_service": {"envoy_grpc": {"cluster_name": "limiter", "authority": "limiter.test"}}}`

const rates = `"rate_limits": [
 {"actions": [{"generic_key": {"descriptor_key": "k", "descriptor_value": "v"}}, {"query_parameters": {"query_parameter_name": "q", "descriptor_key": "q", "skip_if_absent": true}}]},
 {"actions": [{"header_value_match": {"descriptor_key": "get", "descriptor_value": "1", "headers": [{"name": ":method", "string_match": {"exact": "PUT"}}]}}]}]`

func limited(t testing.TB, more string) (*Filter, error) {
	t.Helper()
	p := new(filterv3.RateLimit)
	if err := protojson.Unmarshal([]byte(`{"domain": "shop", `+more+`}`), p); err != nil {
		t.Fatal(err)
	}
	return New("limit", p)
}

func mustLimit(t testing.TB, more string) *Filter {
	t.Helper()
	f, err := limited(t, service+", "+rates+more)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func request(target string) *filter.Stream {
	return &filter.Stream{
		Request: &message.Request{Method: "GET", Authority: "shop", Target: target},
		Route:   &route.Entry{}, Draw: func() uint64 { return 500_000 },
	}
}

func TestWhatIsAsked(t *testing.T) {
	f := mustLimit(t, "")
	v := f.OnRequest(request("/a?q=\xff"))
	if v.Ask == nil {
		t.Fatal("nothing is asked")
	}
	raw, err := v.Ask.Message(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var q rlsv3.RateLimitRequest
	if err := proto.Unmarshal(raw, &q); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(q.Domain, len(q.Descriptors), q.Descriptors[0].Entries[0].Value, q.Descriptors[0].Entries[1].Value); got != "shop 1 v !" && got != "shop1v!" {
		t.Errorf("asked %v: %s", &q, got)
	}
	if s := v.Ask.Service(); s.Route.Timeout != 20*time.Millisecond || s.Path != method || s.Authority != "limiter.test" {
		t.Errorf("the service is %+v", s)
	}
	put := request("/")
	put.Request.Method = "PUT"
	if raw, _ = f.OnRequest(put).Ask.Message(nil, nil); proto.Unmarshal(raw, &q) != nil || len(q.Descriptors) != 2 {
		t.Errorf("asked %v", &q)
	}
}

func TestWhatIsNotAskedAbout(t *testing.T) {
	nowhere, direct := request("/"), request("/")
	nowhere.Route, direct.Route = nil, &route.Entry{Direct: route.DirectResponse{Status: 404}}
	none, err := limited(t, service+`, "rate_limits": [{"actions": [{"header_value_match": {"descriptor_value": "1", "headers": [{"name": "x", "present_match": true}]}}]}]`)
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]filter.Verdict{
		"no route":        mustLimit(t, "").OnRequest(nowhere),
		"direct response": mustLimit(t, "").OnRequest(direct),
		"not enabled":     mustLimit(t, `, "filter_enabled": {"default_value": {"numerator": 499999, "denominator": "MILLION"}}`).OnRequest(request("/")),
		"no descriptor":   none.OnRequest(request("/")),
	} {
		if v.Ask != nil || v.Status != 0 {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

func TestJudgement(t *testing.T) {
	answer := func(r *rlsv3.RateLimitResponse) *filter.Answer {
		raw, err := proto.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		return &filter.Answer{Message: raw}
	}
	over := func() *rlsv3.RateLimitResponse {
		return &rlsv3.RateLimitResponse{OverallCode: rlsv3.RateLimitResponse_OVER_LIMIT, RawBody: []byte("wait"), Statuses: []*rlsv3.RateLimitResponse_DescriptorStatus{
			{LimitRemaining: 5, CurrentLimit: &rlsv3.RateLimitResponse_RateLimit{RequestsPerUnit: 10, Unit: rlsv3.RateLimitResponse_RateLimit_SECOND}},
			{LimitRemaining: 3, DurationUntilReset: durationpb.New(7 * time.Second), CurrentLimit: &rlsv3.RateLimitResponse_RateLimit{Name: "per-ip", RequestsPerUnit: 20, Unit: rlsv3.RateLimitResponse_RateLimit_HOUR}},
			{},
		}}
	}
	const headers = "[{x-envoy-ratelimited true false} {x-ratelimit-limit 20, 10;w=1, 20;w=3600;name=\"per-ip\" false} {x-ratelimit-remaining 3 false} {x-ratelimit-reset 7 false}]"
	evil := over()
	evil.ResponseHeadersToAdd = []*corev3.HeaderValue{{Key: "content-length", Value: "1"}}
	for name, c := range map[string]struct {
		config string
		a      *filter.Answer
		status int
		flag   string
		add    string
	}{
		"over":                   {`, "enable_x_ratelimit_headers": "DRAFT_VERSION_03"`, answer(over()), 429, "RL", headers},
		"over, with a status":    {`, "rate_limited_status": {"code": 503}`, answer(over()), 503, "RL", "[{x-envoy-ratelimited true false}]"},
		"over, with one below":   {`, "rate_limited_status": {"code": 302}`, answer(over()), 429, "RL", "[{x-envoy-ratelimited true false}]"},
		"over, not enforced":     {`, "filter_enforced": {"default_value": {}}`, answer(over()), 0, "", "[{x-envoy-ratelimited true false}]"},
		"within":                 {"", answer(&rlsv3.RateLimitResponse{OverallCode: rlsv3.RateLimitResponse_OK}), 0, "", "[]"},
		"unknown":                {"", answer(&rlsv3.RateLimitResponse{}), 0, "", "[]"},
		"no answer":              {"", &filter.Answer{Code: -1}, 0, "", "[]"},
		"no answer, denied":      {`, "failure_mode_deny": true`, &filter.Answer{Code: 14}, 500, "RLSE", "[]"},
		"no answer, with status": {`, "failure_mode_deny": true, "status_on_error": {"code": 503}`, &filter.Answer{Code: 4}, 503, "RLSE", "[]"},
		"malformed":              {`, "failure_mode_deny": true`, &filter.Answer{Message: []byte("\xff")}, 500, "RLSE", "[]"},
		"with what cannot be":    {`, "failure_mode_deny": true`, answer(evil), 500, "RLSE", "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			s := request("/")
			v := mustLimit(t, c.config).OnRequest(s).Ask.Judge(s, c.a)
			if v.Status != c.status || v.Flag != c.flag || fmt.Sprint(s.Add) != c.add {
				t.Errorf("%+v, adding %v", v, s.Add)
			}
		})
	}
}

func TestRefusedConfigurations(t *testing.T) {
	for text, why := range map[string]string{
		service: "rate_limits",
		rates:   "cluster_name",
		rates + `, "rate_limit_service": {"grpc_service": {"envoy_grpc": {"cluster_name": "l"}, "timeout": "1s"}}`: "timeout",
		service + ", " + rates + `, "timeout": "-1s"`:                                                              "negative",
	} {
		if _, err := limited(t, text); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v, want %q", text, err, why)
		}
	}
}

// Whatever a service answers, headers are such as a proxy may send.
func FuzzAnswers(f *testing.F) {
	raw, err := proto.Marshal(&rlsv3.RateLimitResponse{OverallCode: rlsv3.RateLimitResponse_OK, Statuses: []*rlsv3.RateLimitResponse_DescriptorStatus{
		{CurrentLimit: &rlsv3.RateLimitResponse_RateLimit{Name: "a", RequestsPerUnit: 1, Unit: 1}},
	}, ResponseHeadersToAdd: []*corev3.HeaderValue{{Key: "X-A", Value: "b"}}, RequestHeadersToAdd: []*corev3.HeaderValue{{Key: "X-A", Value: "b"}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	limit := mustLimit(f, `, "enable_x_ratelimit_headers": "DRAFT_VERSION_03"`)
	f.Fuzz(func(t *testing.T, raw []byte) {
		s := request("/")
		v := limit.OnRequest(s).Ask.Judge(s, &filter.Answer{Message: raw})
		if v.Status != 0 && v.Status != 429 {
			t.Fatalf("%+v", v)
		}
		for _, h := range append(s.Add, s.Request.Fields...) {
			if _, ok := filter.AnsweredField(h.Name, h.Value); !ok {
				t.Fatalf("%q: %q", h.Name, h.Value)
			}
		}
	})
}
