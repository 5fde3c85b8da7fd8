package resource

import (
	"errors"
	"fmt"
	"strconv"

	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/matcher/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/meshc/meshc/dataplane/snapshot"
)

// failureStatuses reads which answers are failures: those with one of some statuses.
func failureStatuses(m *matcherv3.MatchPredicate) ([]snapshot.StatusRange, error) {
	if any := m.GetOrMatch(); any != nil {
		var out []snapshot.StatusRange
		for i, rule := range any.GetRules() {
			r, err := statusRange(rule)
			if err != nil {
				return nil, fmt.Errorf("or_match: rules[%d]: %w", i, err)
			}
			out = append(out, r)
		}
		if len(out) == 0 {
			return nil, errors.New("or_match: no rules")
		}
		return out, nil
	}
	r, err := statusRange(m)
	return []snapshot.StatusRange{r}, err
}

func statusRange(m *matcherv3.MatchPredicate) (r snapshot.StatusRange, err error) {
	headers := m.GetHttpResponseHeadersMatch().GetHeaders()
	if len(headers) != 1 || headers[0].GetName() != ":status" || headers[0].GetInvertMatch() || headers[0].GetTreatMissingHeaderAsEmpty() {
		return r, errors.New("only http_response_headers_match of one header, :status, is supported")
	}
	switch by := headers[0].GetHeaderMatchSpecifier().(type) {
	case *routev3.HeaderMatcher_RangeMatch:
		start, end := by.RangeMatch.GetStart(), by.RangeMatch.GetEnd()
		if start < 0 || end <= start || end > 1000 {
			return r, fmt.Errorf("http_response_headers_match: range_match: [%d, %d) is no range of statuses", start, end)
		}
		return snapshot.StatusRange{From: int(start), To: int(end)}, nil
	case *routev3.HeaderMatcher_StringMatch:
		n, err := strconv.ParseUint(by.StringMatch.GetExact(), 10, 16)
		if err != nil || n > 999 || by.StringMatch.GetIgnoreCase() {
			return r, errors.New("http_response_headers_match: string_match: only an exact status is supported")
		}
		return snapshot.StatusRange{From: int(n), To: int(n) + 1}, nil
	}
	return r, errors.New("http_response_headers_match: only range_match and string_match of :status are supported")
}
