// Package admission refuses requests at random while too few of the latest have
// succeeded, as envoy.filters.http.admission_control does.
package admission

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	admissionv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/admission_control/v3"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/resource/support"
)

const control = "envoy.extensions.filters.http.admission_control.v3.AdmissionControl"

// Supported lists the messages that New understands.
var Supported = []support.Message{
	{Name: control, Fields: []support.Field{
		support.F("success_criteria", "needed"),
		support.F("sampling_window", "whole seconds up to 1 h, 30 s when absent; of all event loops together"),
		support.F("aggression", "1 when absent, and at least"),
		support.F("sr_threshold", "95 when absent, 1 at least"),
		support.F("rps_threshold", "0 when absent"),
		support.F("max_rejection_probability", "80 when absent"),
	}},
	{Name: control + ".SuccessCriteria", Fields: []support.Field{support.F("http_criteria", "needed"), support.F("grpc_criteria", "needed")}},
	{Name: control + ".SuccessCriteria.HttpCriteria", Fields: []support.Field{support.F("http_success_status", "within 100 to 599")}},
	{Name: control + ".SuccessCriteria.GrpcCriteria", Fields: []support.Field{support.F("grpc_success_status", "up to 16")}},
	{Name: "envoy.config.core.v3.RuntimePercent", Fields: []support.Field{
		support.F("default_value", ""), support.F("runtime_key", "nothing sets it: there is no runtime"),
	}},
}

// Defaults and limits of Envoy's, but for the longest window, which bounds memory.
const (
	defaultWindow       = 30 * time.Second
	longestWindow       = time.Hour
	defaultSuccess      = 95.0
	leastSuccess        = 1.0
	defaultRejection    = 80.0
	accuracy            = 10000 // of a drawn probability
	lastGRPC            = 16
	firstHTTP, pastHTTP = 100, 600
)

// Filter is the HTTP filter. What it knows of the latest requests is shared by all
// connections of its connection manager.
type Filter struct {
	name         string
	http         [pastHTTP]bool // which statuses are successes
	grpc         [lastGRPC + 1]bool
	exponent     float64 // 1/aggression
	successRate  float64 // below which requests are refused, up to 1
	maxRejection float64 // up to 1
	leastRPS     int64
	history      *history
}

// New gives the filter called name for a config that passed support.Table.Check.
func New(name string, m *admissionv3.AdmissionControl) (*Filter, error) {
	start := time.Now()
	return newFilter(name, m, func() int64 { return int64(time.Since(start)) })
}

// newFilter has a clock that gives nanoseconds.
func newFilter(name string, m *admissionv3.AdmissionControl, now func() int64) (*Filter, error) {
	f := &Filter{name: name, exponent: 1, leastRPS: int64(m.GetRpsThreshold().GetDefaultValue())}
	window := defaultWindow
	if w := m.GetSamplingWindow(); w != nil {
		window = w.AsDuration()
	}
	if window < time.Second || window > longestWindow || window%time.Second != 0 {
		return nil, fmt.Errorf("sampling_window: %v is not whole seconds up to %v", window, longestWindow)
	}
	f.history = newHistory(window, now)
	if a := m.GetAggression(); a != nil && a.GetDefaultValue() > 1 {
		f.exponent = 1 / a.GetDefaultValue()
	}
	var err error
	if f.successRate, err = percent(m.GetSrThreshold(), defaultSuccess); err != nil {
		return nil, fmt.Errorf("sr_threshold: %w", err)
	}
	if f.successRate < leastSuccess/100 {
		return nil, errors.New("sr_threshold: is below 1 %")
	}
	if f.maxRejection, err = percent(m.GetMaxRejectionProbability(), defaultRejection); err != nil {
		return nil, fmt.Errorf("max_rejection_probability: %w", err)
	}
	if err := f.criteria(m.GetSuccessCriteria()); err != nil {
		return nil, fmt.Errorf("success_criteria: %w", err)
	}
	return f, nil
}

// percent gives a share of at most 1.
func percent(p *corev3.RuntimePercent, otherwise float64) (float64, error) {
	if p == nil {
		return otherwise / 100, nil
	}
	v := p.GetDefaultValue().GetValue()
	if !(v >= 0) { // nor what is no number
		return 0, fmt.Errorf("%v is no percentage", v)
	}
	return min(v, 100) / 100, nil
}

func (f *Filter) criteria(c *admissionv3.AdmissionControl_SuccessCriteria) error {
	ranges, codes := c.GetHttpCriteria().GetHttpSuccessStatus(), c.GetGrpcCriteria().GetGrpcSuccessStatus()
	switch {
	case len(ranges) == 0:
		return errors.New("http_criteria: http_success_status: at least one is needed")
	case len(codes) == 0:
		return errors.New("grpc_criteria: grpc_success_status: at least one is needed")
	}
	for i, r := range ranges {
		if r.GetStart() < firstHTTP || r.GetEnd() > pastHTTP || r.GetStart() >= r.GetEnd() {
			return fmt.Errorf("http_criteria: http_success_status[%d]: [%d, %d) is no range of statuses", i, r.GetStart(), r.GetEnd())
		}
		for status := r.GetStart(); status < r.GetEnd(); status++ {
			f.http[status] = true
		}
	}
	for i, code := range codes {
		if code > lastGRPC {
			return fmt.Errorf("grpc_criteria: grpc_success_status[%d]: %d is no status", i, code)
		}
		f.grpc[code] = true
	}
	return nil
}

// Name implements filter.HTTP.
func (f *Filter) Name() string { return f.name }

// The counters of a filter, in their order.
const (
	countRejected = iota
	countSuccess
	countFailure
)

// Counters implements filter.Counted.
func (f *Filter) Counters() ([]string, filter.Label) {
	const prefix = "admission_control_rq_"
	return []string{prefix + "rejected", prefix + "success", prefix + "failure"}, filter.Label{}
}

// OnRequest implements filter.HTTP.
func (f *Filter) OnRequest(s *filter.Stream) filter.Verdict {
	requests, successes, rps := f.history.read()
	if rps < f.leastRPS || accuracy*f.rejection(requests, successes) <= float64(s.Draw()%accuracy) {
		return filter.Verdict{}
	}
	s.Sampling = filter.Unsampled
	s.Count(countRejected)
	return filter.Verdict{Status: 503, Details: "denied_by_admission_control"}
}

// rejection is the share of requests that is refused
// (AdmissionControlFilter::shouldRejectRequest).
func (f *Filter) rejection(requests, successes int64) float64 {
	n := float64(requests)
	p := (n - float64(successes)/f.successRate) / (n + 1)
	if p <= 0 {
		return 0
	}
	if f.exponent != 1 {
		p = math.Pow(p, f.exponent)
	}
	return min(p, f.maxRejection)
}

// OnResponse implements filter.Responder.
func (f *Filter) OnResponse(s *filter.Stream, h *filter.ResponseHead) filter.Encoder {
	status, said := message.Get(h.Response.Fields, grpcStatus)
	switch {
	case h.Bare && said, !h.Bare && h.Response.Status == 200 && message.IsGRPC(h.Response.Fields) && said:
		f.sample(s, f.succeeded(status))
	case !h.Bare && h.Response.Status == 200 && message.IsGRPC(h.Response.Fields):
		if s.Sampling == filter.Sampled {
			s.Sampling = filter.SampledByTrailers
		}
	default:
		f.sample(s, f.http[min(max(h.Response.Status, 0), pastHTTP-1)])
	}
	return nil
}

// OnTrailers implements filter.Sampler.
func (f *Filter) OnTrailers(s *filter.Stream, trailers []message.Field) {
	if s.Sampling != filter.SampledByTrailers {
		return
	}
	status, _ := message.Get(trailers, grpcStatus)
	f.sample(s, f.succeeded(status))
}

func (f *Filter) sample(s *filter.Stream, success bool) {
	if success {
		s.Count(countSuccess)
	} else {
		s.Count(countFailure)
	}
	if s.Sampling != filter.Unsampled {
		f.history.add(success)
	}
}

const grpcStatus = "grpc-status"

// succeeded says so of a grpc-status; one that there is not is none.
func (f *Filter) succeeded(status string) bool {
	n, err := strconv.ParseUint(status, 10, 8)
	return err == nil && n <= lastGRPC && f.grpc[n]
}
