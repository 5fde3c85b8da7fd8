package telemetry

import (
	"errors"
	"fmt"
	"time"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"

	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/resource/support"
	"github.com/meshc/meshc/dataplane/route"
)

// SupportedFilters lists the messages that CompileFilter understands.
var SupportedFilters = []support.Message{
	{Name: "envoy.config.accesslog.v3.AccessLogFilter", Fields: []support.Field{
		support.F("status_code_filter", ""), support.F("duration_filter", ""), support.F("runtime_filter", ""),
		support.F("header_filter", ""), support.F("response_flag_filter", ""),
		support.F("and_filter", ""), support.F("or_filter", ""), support.F("metadata_filter", ""),
	}},
	{Name: "envoy.config.accesslog.v3.MetadataFilter", Fields: []support.Field{
		support.F("matcher", "that shadow rules hold"), support.F("match_if_key_not_found", "must be false"),
	}},
	{Name: "envoy.config.accesslog.v3.StatusCodeFilter", Fields: []support.Field{support.F("comparison", "")}},
	{Name: "envoy.config.accesslog.v3.DurationFilter", Fields: []support.Field{support.F("comparison", "")}},
	{Name: "envoy.config.accesslog.v3.ComparisonFilter", Fields: []support.Field{support.F("op", ""), support.F("value", "")}},
	{Name: "envoy.config.core.v3.RuntimeUInt32", Fields: []support.Field{
		support.F("default_value", ""), support.F("runtime_key", "nothing sets it: there is no runtime"),
	}},
	{Name: "envoy.config.accesslog.v3.RuntimeFilter", Fields: []support.Field{
		support.F("runtime_key", "nothing sets it: there is no runtime"),
		support.F("percent_sampled", ""),
		support.F("use_independent_randomness", "must be true"),
	}},
	{Name: "envoy.config.accesslog.v3.HeaderFilter", Fields: []support.Field{support.F("header", "")}},
	{Name: "envoy.config.accesslog.v3.ResponseFlagFilter", Fields: []support.Field{support.F("flags", "none means any")}},
	{Name: "envoy.config.accesslog.v3.AndFilter", Fields: []support.Field{support.F("filters", "")}},
	{Name: "envoy.config.accesslog.v3.OrFilter", Fields: []support.Field{support.F("filters", "")}},
}

// Filter says whether a record is logged; draw gives fresh random bits.
type Filter func(r *Record, draw func() uint64) bool

// CompileFilter compiles the filter of an access log; nil takes every record,
// and then so is the Filter.
func CompileFilter(f *accesslogv3.AccessLogFilter) (Filter, error) {
	if f == nil {
		return nil, nil
	}
	switch s := f.GetFilterSpecifier().(type) {
	case *accesslogv3.AccessLogFilter_StatusCodeFilter:
		return compare(s.StatusCodeFilter.GetComparison(), func(r *Record) uint64 { return uint64(r.Status) })
	case *accesslogv3.AccessLogFilter_DurationFilter:
		return compare(s.DurationFilter.GetComparison(), func(r *Record) uint64 { return uint64(r.Duration / time.Millisecond) })
	case *accesslogv3.AccessLogFilter_RuntimeFilter:
		return shareFilter(s.RuntimeFilter)
	case *accesslogv3.AccessLogFilter_HeaderFilter:
		return headerFilter(s.HeaderFilter)
	case *accesslogv3.AccessLogFilter_ResponseFlagFilter:
		return flagFilter(s.ResponseFlagFilter.GetFlags()), nil
	case *accesslogv3.AccessLogFilter_AndFilter:
		return combined(s.AndFilter.GetFilters(), false)
	case *accesslogv3.AccessLogFilter_MetadataFilter:
		return auditFilter(s.MetadataFilter)
	case *accesslogv3.AccessLogFilter_OrFilter:
		return combined(s.OrFilter.GetFilters(), true)
	}
	return nil, fmt.Errorf("filter: %T is not supported", f.GetFilterSpecifier())
}

func compare(c *accesslogv3.ComparisonFilter, value func(*Record) uint64) (Filter, error) {
	want := uint64(c.GetValue().GetDefaultValue())
	switch c.GetOp() {
	case accesslogv3.ComparisonFilter_EQ:
		return func(r *Record, _ func() uint64) bool { return value(r) == want }, nil
	case accesslogv3.ComparisonFilter_GE:
		return func(r *Record, _ func() uint64) bool { return value(r) >= want }, nil
	case accesslogv3.ComparisonFilter_LE:
		return func(r *Record, _ func() uint64) bool { return value(r) <= want }, nil
	case accesslogv3.ComparisonFilter_NE:
		return func(r *Record, _ func() uint64) bool { return value(r) != want }, nil
	}
	return nil, fmt.Errorf("filter: comparison %v is not supported", c.GetOp())
}

// shareFilter draws for each record. Envoy's other way takes the share from the
// request ID, whose bits are then reserved; this proxy does not.
func shareFilter(f *accesslogv3.RuntimeFilter) (Filter, error) {
	if !f.GetUseIndependentRandomness() {
		return nil, errors.New("filter: runtime_filter: use_independent_randomness must be true")
	}
	share, err := route.NewFraction(f.GetPercentSampled())
	if err != nil {
		return nil, fmt.Errorf("filter: runtime_filter: %w", err)
	}
	return func(_ *Record, draw func() uint64) bool { return share.Takes(draw()) }, nil
}

// headerFilter judges the request as it came; a record without one has no
// headers.
func headerFilter(f *accesslogv3.HeaderFilter) (Filter, error) {
	judge, err := route.CompileHeader(f.GetHeader())
	if err != nil {
		return nil, fmt.Errorf("filter: header_filter: %w", err)
	}
	empty := &message.Request{}
	return func(r *Record, _ func() uint64) bool {
		if r.Request == nil {
			return judge(empty)
		}
		return judge(r.Request)
	}, nil
}

func flagFilter(flags []string) Filter {
	return func(r *Record, _ func() uint64) bool {
		if len(flags) == 0 {
			return r.Flags != ""
		}
		for _, want := range flags {
			if hasFlag(r.Flags, want) {
				return true
			}
		}
		return false
	}
}

// combined is a conjunction, or with any a disjunction.
func combined(filters []*accesslogv3.AccessLogFilter, any bool) (Filter, error) {
	var all []Filter
	for _, f := range filters {
		compiled, err := CompileFilter(f)
		if err != nil {
			return nil, err
		}
		all = append(all, compiled)
	}
	return func(r *Record, draw func() uint64) bool {
		for _, f := range all {
			if f(r, draw) == any {
				return any
			}
		}
		return !any
	}, nil
}

// hasFlag finds a flag in "UF,URX".
func hasFlag(flags, want string) bool {
	for flags != "" {
		one := flags
		for i := range len(flags) {
			if flags[i] == ',' {
				one = flags[:i]
				break
			}
		}
		if one == want {
			return true
		}
		flags = flags[min(len(one)+1, len(flags)):]
	}
	return false
}
