package resource

import (
	"fmt"
	"slices"

	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/config/metrics/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/meshc/meshc/dataplane/resource/support"
	"github.com/meshc/meshc/dataplane/route"
)

var statsMessages = []support.Message{
	{Name: "envoy.config.metrics.v3.StatsConfig", Fields: []support.Field{
		support.F("stats_matcher", "of Envoy's names; what Envoy does not count has its own behind `meshc.`"),
	}},
	{Name: "envoy.config.metrics.v3.StatsMatcher", Fields: []support.Field{
		support.F("reject_all", ""), support.F("exclusion_list", ""), support.F("inclusion_list", ""),
	}},
}

// DecodeStatsConfig says of the name of a statistic, as Envoy has it before labels are
// taken out, whether it is counted; nil: all are.
func DecodeStatsConfig(c *metricsv3.StatsConfig) (func(name string) bool, error) {
	switch m := c.GetStatsMatcher().GetStatsMatcher().(type) {
	case *metricsv3.StatsMatcher_RejectAll:
		if !m.RejectAll {
			return nil, nil
		}
		return func(string) bool { return false }, nil
	case *metricsv3.StatsMatcher_InclusionList:
		in, err := anyString(m.InclusionList)
		if err != nil {
			return nil, fmt.Errorf("stats_matcher: inclusion_list: %w", err)
		}
		return in, nil
	case *metricsv3.StatsMatcher_ExclusionList:
		in, err := anyString(m.ExclusionList)
		if err != nil {
			return nil, fmt.Errorf("stats_matcher: exclusion_list: %w", err)
		}
		return func(name string) bool { return !in(name) }, nil
	}
	return nil, nil
}

// anyString says whether one of the patterns takes a string.
func anyString(list *matcherv3.ListStringMatcher) (func(string) bool, error) {
	var all []func(string) bool
	for i, p := range list.GetPatterns() {
		takes, err := route.CompileString(p)
		if err != nil {
			return nil, fmt.Errorf("patterns[%d]: %w", i, err)
		}
		all = append(all, takes)
	}
	return func(s string) bool {
		return slices.ContainsFunc(all, func(takes func(string) bool) bool { return takes(s) })
	}, nil
}
