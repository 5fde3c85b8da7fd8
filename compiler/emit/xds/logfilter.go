package xds

import (
	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/meshc/meshc/compiler/model"
)

// logRuntimeKey names what Envoy's comparisons and shares can be overridden by
// at run time; nothing sets it.
const logRuntimeKey = "meshc.access_log"

// serverError is the least status that says that the server failed.
const serverError = 500

// logFilter gives the conjunction of what f asks; nil for every request.
func logFilter(f *model.LogFilter) (*accesslogv3.AccessLogFilter, error) {
	if f == nil {
		return nil, nil
	}
	var all []*accesslogv3.AccessLogFilter
	if f.MinStatus > 0 {
		all = append(all, minStatus(f.MinStatus))
	}
	if f.MinDuration > 0 {
		all = append(all, &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_DurationFilter{
			DurationFilter: &accesslogv3.DurationFilter{Comparison: atLeast(uint32(f.MinDuration.Milliseconds()))},
		}})
	}
	if f.ErrorsOnly {
		all = append(all, eitherFilter(minStatus(serverError), &accesslogv3.AccessLogFilter{
			FilterSpecifier: &accesslogv3.AccessLogFilter_ResponseFlagFilter{ResponseFlagFilter: &accesslogv3.ResponseFlagFilter{}},
		}))
	}
	headers, err := headerFilters(f.Headers)
	if err != nil {
		return nil, err
	}
	all = append(all, headers...)
	if f.BasisPoints < model.BasisPointsWhole {
		all = append(all, share(f.BasisPoints))
	}
	return bothFilters(all), nil
}

func minStatus(status uint32) *accesslogv3.AccessLogFilter {
	return &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_StatusCodeFilter{
		StatusCodeFilter: &accesslogv3.StatusCodeFilter{Comparison: atLeast(status)},
	}}
}

func atLeast(n uint32) *accesslogv3.ComparisonFilter {
	return &accesslogv3.ComparisonFilter{
		Op: accesslogv3.ComparisonFilter_GE, Value: &corev3.RuntimeUInt32{DefaultValue: n, RuntimeKey: logRuntimeKey},
	}
}

// share draws anew for each request: the request ID may be the client's.
func share(basisPoints uint32) *accesslogv3.AccessLogFilter {
	return &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_RuntimeFilter{
		RuntimeFilter: &accesslogv3.RuntimeFilter{
			RuntimeKey: logRuntimeKey,
			PercentSampled: &typev3.FractionalPercent{
				Numerator: basisPoints, Denominator: typev3.FractionalPercent_TEN_THOUSAND,
			},
			UseIndependentRandomness: true,
		},
	}}
}

// headerFilters holds one filter per condition; one that can hold in several
// ways is their disjunction.
func headerFilters(conditions []model.NamedMatch) ([]*accesslogv3.AccessLogFilter, error) {
	var out []*accesslogv3.AccessLogFilter
	for _, n := range conditions {
		ways, err := headerMatchers(n)
		if err != nil {
			return nil, err
		}
		var each []*accesslogv3.AccessLogFilter
		for _, m := range ways {
			each = append(each, &accesslogv3.AccessLogFilter{
				FilterSpecifier: &accesslogv3.AccessLogFilter_HeaderFilter{HeaderFilter: &accesslogv3.HeaderFilter{Header: m}},
			})
		}
		out = append(out, eitherFilter(each...))
	}
	return out, nil
}

// bothFilters is a conjunction; nil of nothing. Envoy wants two members at least.
func bothFilters(filters []*accesslogv3.AccessLogFilter) *accesslogv3.AccessLogFilter {
	switch len(filters) {
	case 0:
		return nil
	case 1:
		return filters[0]
	}
	return &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_AndFilter{
		AndFilter: &accesslogv3.AndFilter{Filters: filters},
	}}
}

func eitherFilter(filters ...*accesslogv3.AccessLogFilter) *accesslogv3.AccessLogFilter {
	if len(filters) == 1 {
		return filters[0]
	}
	return &accesslogv3.AccessLogFilter{FilterSpecifier: &accesslogv3.AccessLogFilter_OrFilter{
		OrFilter: &accesslogv3.OrFilter{Filters: filters},
	}}
}
