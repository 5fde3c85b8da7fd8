package admission

import (
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	admissionv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/admission_control/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/message"
)

const criteria = `"success_criteria": {"http_criteria": {"http_success_status": [{"start": 100, "end": 500}]}, "grpc_criteria": {"grpc_success_status": [0, 5]}}`

func config(t testing.TB, text string) *admissionv3.AdmissionControl {
	t.Helper()
	m := new(admissionv3.AdmissionControl)
	if err := protojson.Unmarshal([]byte("{"+text+"}"), m); err != nil {
		t.Fatal(err)
	}
	return m
}

func made(t testing.TB, text string, now func() int64) *Filter {
	t.Helper()
	f, err := newFilter("admission", config(t, criteria+text), now)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func still() int64 { return 0 }

// TestRejection holds the formula to that of Envoy's documentation.
func TestRejection(t *testing.T) {
	for text, of := range map[string]struct{ success, aggression, most float64 }{
		"": {0.95, 1, 0.8},
		`, "sr_threshold": {"default_value": {"value": 50}, "runtime_key": "k"}`:               {0.5, 1, 0.8},
		`, "aggression": {"default_value": 2.5, "runtime_key": "k"}`:                           {0.95, 2.5, 0.8},
		`, "aggression": {"default_value": 0.5, "runtime_key": "k"}`:                           {0.95, 1, 0.8},
		`, "max_rejection_probability": {"default_value": {"value": 100}, "runtime_key": "k"}`: {0.95, 1, 1},
		`, "max_rejection_probability": {"default_value": {"value": 0}, "runtime_key": "k"}`:   {0.95, 1, 0},
	} {
		f := made(t, text, still)
		for n := int64(0); n <= 60; n++ {
			for ok := int64(0); ok <= n; ok++ {
				want := min(of.most, math.Pow(max(0, (float64(n)-float64(ok)/of.success)/float64(n+1)), 1/of.aggression))
				if got := f.rejection(n, ok); math.Abs(got-want) > 1e-12 {
					t.Fatalf("%s: %d of %d succeed: %v is refused, want %v", text, ok, n, got, want)
				}
			}
		}
	}
}

// TestDraws: the share of what is refused is the probability, and fewer requests than
// rps_threshold are let in.
func TestDraws(t *testing.T) {
	second := int64(0)
	f := made(t, `, "rps_threshold": {"default_value": 20, "runtime_key": "k"}`, func() int64 { return second * int64(time.Second) })
	refuses := func() (out int) {
		for draw := range uint64(10000) {
			s := filter.Stream{Draw: func() uint64 { return 70000 + draw }}
			if v := f.OnRequest(&s); v.Status == 503 && s.Sampling == filter.Unsampled {
				out++
			} else if v.Status != 0 || s.Sampling != filter.Sampled {
				t.Fatalf("%+v", v)
			}
		}
		return out
	}
	for range 19 {
		f.history.add(false)
	}
	if n := refuses(); n != 0 {
		t.Errorf("19 a second: %d refused", n)
	}
	for range 20 {
		f.history.add(true)
	}
	if want := int(math.Ceil(10000 * f.rejection(39, 20))); refuses() != want {
		t.Errorf("%d refused, want %d", refuses(), want)
	}
	second = 2 // 39 in two seconds
	if n := refuses(); n != 0 {
		t.Errorf("19.5 a second: %d refused", n)
	}
}

type counted struct{ n int }

func (c *counted) Inc() { c.n++ }

// TestSamples: which answers are successes, and which are not looked at.
func TestSamples(t *testing.T) {
	grpc := message.Field{Name: "content-type", Value: "application/grpc+proto"}
	said := func(status string) message.Field { return message.Field{Name: "grpc-status", Value: status} }
	for _, c := range []struct {
		name               string
		status             int
		fields             []message.Field
		bare               bool
		trailers           []message.Field
		unsampled          bool
		requests, succeeds int64
	}{
		{name: "HTTP", status: 204, bare: true, requests: 1, succeeds: 1},
		{name: "HTTP that fails", status: 503, requests: 1},
		{name: "an upgrade", status: 101, requests: 1, succeeds: 1},
		{name: "a status that is none", status: 999, requests: 1},
		{name: "a head that is all", status: 200, fields: []message.Field{grpc, said("5")}, bare: true, requests: 1, succeeds: 1},
		{name: "a head that is all, and fails", status: 200, fields: []message.Field{said("14")}, bare: true, requests: 1},
		{name: "trailers", status: 200, fields: []message.Field{grpc}, trailers: []message.Field{said("0")}, requests: 1, succeeds: 1},
		{name: "trailers that fail", status: 200, fields: []message.Field{grpc}, trailers: []message.Field{said("1")}, requests: 1},
		{name: "trailers without", status: 200, fields: []message.Field{grpc}, trailers: []message.Field{{Name: "x", Value: "0"}}, requests: 1},
		{name: "nonsense", status: 200, fields: []message.Field{grpc}, trailers: []message.Field{said("17")}, requests: 1},
		{name: "no trailers", status: 200, fields: []message.Field{grpc}},
		{name: "a head that says, and has a body", status: 200, fields: []message.Field{grpc, said("0")}, trailers: []message.Field{said("1")}, requests: 1, succeeds: 1},
		{name: "HTTP with trailers", status: 200, fields: []message.Field{said("1")}, trailers: []message.Field{said("1")}, requests: 1, succeeds: 1},
		{name: "gRPC that is refused in terms of HTTP", status: 502, fields: []message.Field{grpc}, requests: 1},
		{name: "refused here", status: 503, bare: true, unsampled: true},
	} {
		f := made(t, "", still)
		counts := []*counted{{}, {}, {}}
		s := &filter.Stream{Counts: []filter.Counter{counts[0], counts[1], counts[2]}}
		if c.unsampled {
			s.Sampling = filter.Unsampled
		}
		if f.OnResponse(s, &filter.ResponseHead{Response: &message.Response{Status: c.status, Fields: c.fields}, Bare: c.bare}) != nil {
			t.Errorf("%s: the body is encoded", c.name)
		}
		if c.trailers != nil {
			f.OnTrailers(s, c.trailers)
		}
		if n, ok, _ := f.history.read(); n != c.requests || ok != c.succeeds {
			t.Errorf("%s: %d of %d succeed, want %d of %d", c.name, ok, n, c.succeeds, c.requests)
		}
		if got := int64(counts[countSuccess].n + counts[countFailure].n); got != c.requests && !c.unsampled || int64(counts[countSuccess].n) != c.succeeds {
			t.Errorf("%s: counted %d and %d", c.name, counts[countSuccess].n, counts[countFailure].n)
		}
	}
}

// TestHistory holds the ring to a plain list of samples in seconds that begin as
// Envoy's do.
func TestHistory(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, window := range []int64{1, 2, 5, 30} {
		now := int64(0)
		h := newHistory(time.Duration(window)*time.Second, func() int64 { return now })
		type second struct{ start, requests, successes int64 }
		list := []second{{}}
		roll := func() {
			for len(list) > 0 && now-list[0].start >= window*int64(time.Second) {
				list = list[1:]
			}
			if len(list) == 0 || now-list[len(list)-1].start >= int64(time.Second) {
				list = append(list, second{start: now})
			}
		}
		for range 20000 {
			now += random.Int64N(int64(time.Second) / 3)
			if random.IntN(200) == 0 {
				now += random.Int64N(40 * int64(time.Second))
			}
			roll()
			if random.IntN(3) > 0 {
				success := random.IntN(2) == 0
				h.add(success)
				last := &list[len(list)-1]
				last.requests++
				if success {
					last.successes++
				}
			}
			var requests, successes int64
			for _, s := range list {
				requests += s.requests
				successes += s.successes
			}
			if n, ok, rps := h.read(); n != requests || ok != successes || rps != requests/max(1, (now-list[0].start)/int64(time.Second)) {
				t.Fatalf("window %d s at %d: %d of %d, %d a second; want %d of %d", window, now, ok, n, rps, successes, requests)
			}
		}
	}
}

// TestHistoryOfLoops: what several loops add is all there, and nothing is left of it
// once the window is over.
func TestHistoryOfLoops(t *testing.T) {
	h := newHistory(time.Hour, still)
	var loops sync.WaitGroup
	for range 8 {
		loops.Go(func() {
			for range 1000 {
				h.add(true)
				h.read()
			}
		})
	}
	loops.Wait()
	if n, ok, _ := h.read(); n != 8000 || ok != 8000 {
		t.Errorf("%d of %d", ok, n)
	}
	start := time.Now()
	h = newHistory(time.Second, func() int64 { return int64(time.Since(start)) * 1e6 }) // a second each microsecond
	for range 8 {
		loops.Go(func() {
			for range 1000 {
				h.add(true)
			}
		})
	}
	loops.Wait()
	h.now = func() int64 { return math.MaxInt64 / 2 }
	if n, ok, _ := h.read(); n != 0 || ok != 0 {
		t.Errorf("%d of %d are left", ok, n)
	}
}

func TestNothingIsAllocated(t *testing.T) {
	f := made(t, "", still)
	s := &filter.Stream{Draw: func() uint64 { return 9999 }}
	head := &filter.ResponseHead{Response: &message.Response{Status: 200, Fields: []message.Field{{Name: "content-type", Value: "application/grpc"}}}}
	trailers := []message.Field{{Name: "grpc-status", Value: "14"}}
	if n := testing.AllocsPerRun(1000, func() {
		s.Sampling = filter.Sampled
		f.OnRequest(s)
		f.OnResponse(s, head)
		f.OnTrailers(s, trailers)
	}); n != 0 {
		t.Errorf("%v allocations per request", n)
	}
}

func TestRefusals(t *testing.T) {
	for text, want := range map[string]string{
		`"sampling_window": "1.5s",` + criteria:  "sampling_window",
		`"sampling_window": "0s",` + criteria:    "sampling_window",
		`"sampling_window": "3601s",` + criteria: "sampling_window",
		`"sampling_window": "30s"`:               "http_criteria",
		`"success_criteria": {"http_criteria": {"http_success_status": [{"start": 200, "end": 300}]}}`: "grpc_criteria",
		strings.Replace(criteria, "500", "601", 1):                                                     "http_success_status[0]",
		strings.Replace(criteria, "100", "500", 1):                                                     "http_success_status[0]",
		strings.Replace(criteria, "[0, 5]", "[0, 17]", 1):                                              "grpc_success_status[1]",
		`"sr_threshold": {"default_value": {"value": 0.9}},` + criteria:                                "sr_threshold",
		`"max_rejection_probability": {"default_value": {"value": "NaN"}},` + criteria:                 "max_rejection_probability",
	} {
		if _, err := New("admission", config(t, text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want it to name %q", text, err, want)
		}
	}
}
