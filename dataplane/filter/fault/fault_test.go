package fault

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/route"
)

func decode(t *testing.T, text string) (*Config, error) {
	t.Helper()
	p := new(faultv3.HTTPFault)
	if err := protojson.Unmarshal([]byte(text), p); err != nil {
		t.Fatal(err)
	}
	return Decode(p)
}

func stream(draws *rand.Rand, own *Config) *filter.Stream {
	s := &filter.Stream{Request: &message.Request{Target: "/"}, Draw: draws.Uint64}
	if own != nil {
		s.Route = &route.Entry{PerFilter: map[string]any{"f": own}}
	}
	return s
}

const half = `{"delay": {"fixed_delay": "7s", "percentage": {"numerator": 250000, "denominator": "MILLION"}},
 "abort": {"http_status": 503, "percentage": {"numerator": 50}}}`

func TestSharesAreDrawnIndependently(t *testing.T) {
	config, err := decode(t, half)
	if err != nil {
		t.Fatal(err)
	}
	f := New("f", &Config{})
	draws := rand.New(rand.NewPCG(1, 2))
	const n = 40_000
	var delayed, aborted, both float64
	for range n {
		v := f.OnRequest(stream(draws, config))
		switch {
		case v.Delay != 0 && (v.Delay != 7*time.Second || v.DelayFlag != "DI"), v.Status != 0 && (v.Status != 503 || v.Flag != "FI" || v.Body != "fault filter abort" || v.Details != "fault_filter_abort"):
			t.Fatalf("verdict %+v", v)
		case v.Delay != 0 && v.Status != 0:
			both++
		}
		if v.Delay != 0 {
			delayed++
		}
		if v.Status != 0 {
			aborted++
		}
	}
	for name, c := range map[string]struct{ got, want float64 }{
		"delayed": {delayed / n, 0.25}, "aborted": {aborted / n, 0.5}, "both": {both / n, 0.125},
	} {
		if c.got < c.want-0.015 || c.got > c.want+0.015 { // more than five sigma
			t.Errorf("%s: %v, want %v", name, c.got, c.want)
		}
	}
}

func TestRouteReplacesTheFiltersConfig(t *testing.T) {
	always, err := decode(t, `{"abort": {"http_status": 418, "percentage": {"numerator": 100}}}`)
	if err != nil {
		t.Fatal(err)
	}
	draws := rand.New(rand.NewPCG(1, 2))
	f := New("f", always)
	if v := f.OnRequest(stream(draws, nil)); v.Status != 418 {
		t.Errorf("verdict %+v", v)
	}
	if v := f.OnRequest(stream(draws, &Config{})); v.Status != 0 {
		t.Errorf("a route that switches the fault off: %+v", v)
	}
	if v := New("other", nil).OnRequest(stream(draws, always)); v.Status != 0 {
		t.Errorf("another filter's config: %+v", v)
	}
}

func TestHeadersSelect(t *testing.T) {
	config, err := decode(t, `{"headers": [{"name": "end-user", "string_match": {"exact": "jason"}}], "abort": {"http_status": 418, "percentage": {"numerator": 100}}}`)
	if err != nil {
		t.Fatal(err)
	}
	s := stream(rand.New(rand.NewPCG(1, 2)), config)
	if v := New("f", nil).OnRequest(s); v.Status != 0 {
		t.Errorf("verdict %+v", v)
	}
	s.Request.Fields = []message.Field{{Name: "end-user", Value: "jason"}}
	if v := New("f", nil).OnRequest(s); v.Status != 418 {
		t.Errorf("verdict %+v", v)
	}
}

func TestRefusals(t *testing.T) {
	for text, want := range map[string]string{
		`{"delay": {"percentage": {"numerator": 1}}}`:                                       "fixed_delay",
		`{"abort": {"percentage": {"numerator": 1}}}`:                                       "http_status",
		`{"headers": [{"name": "x", "string_match": {"safe_regex": {"regex": "("}}}]}`:      "headers",
		`{"abort": {"http_status": 500, "percentage": {"numerator": 1, "denominator": 9}}}`: "denominator",
	} {
		if _, err := decode(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v", text, err)
		}
	}
}

func TestAtMostSoManyFaults(t *testing.T) {
	config, err := decode(t, `{"delay": {"fixed_delay": "1s", "percentage": {"numerator": 100}}, "abort": {"grpc_status": 8, "percentage": {"numerator": 100}},
 "response_rate_limit": {"fixed_limit": {"limit_kbps": 8}, "percentage": {"numerator": 100}}, "max_active_faults": 2}`)
	if err != nil {
		t.Fatal(err)
	}
	f := New("f", &Config{})
	draws := rand.New(rand.NewPCG(1, 2))
	var held []*filter.Stream
	for i := range 4 {
		s := stream(draws, config)
		v := f.OnRequest(s)
		if faulty := v.Delay == time.Second && v.Status == 429 && v.GRPC == 8 && s.Pace == 8<<10 && s.Over != nil; faulty != (i < 2) {
			t.Errorf("request %d: %+v, %+v", i, v, s)
		}
		held = append(held, s)
	}
	held[0].Over()
	if s := stream(draws, config); f.OnRequest(s).Delay == 0 || s.Over == nil {
		t.Error("once one is over, the next has no fault")
	}
}

func TestRefusedFaults(t *testing.T) {
	for text, why := range map[string]string{
		`{"abort": {"grpc_status": 17}}`:                                       "grpc_status",
		`{"abort": {"grpc_status": 0}}`:                                        "grpc_status",
		`{"response_rate_limit": {"fixed_limit": {"limit_kbps": 1073741825}}}`: "fixed_limit",
		`{"response_rate_limit": {}}`:                                          "fixed_limit",
	} {
		if _, err := decode(t, text); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v, want %q", text, err, why)
		}
	}
}
