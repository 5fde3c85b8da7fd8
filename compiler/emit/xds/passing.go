package xds

import (
	"slices"
	"strconv"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshc/meshc/compiler/model"
)

const corsFilter = "envoy.filters.http.cors"

// setPassing says what is done with requests beside sending them on.
func setPassing(out *routev3.RouteAction, s *model.Service, r *model.Route, port uint16) {
	for _, m := range r.Mirror {
		out.RequestMirrorPolicies = append(out.RequestMirrorPolicies, &routev3.RouteAction_RequestMirrorPolicy{
			Cluster: m.Cluster(s, port),
			RuntimeFraction: &corev3.RuntimeFractionalPercent{DefaultValue: &typev3.FractionalPercent{
				Numerator: m.BasisPoints * 100, Denominator: typev3.FractionalPercent_MILLION,
			}},
		})
	}
	out.UpgradeConfigs = upgradeConfigs(r.Upgrades)
	if w := out.GetWeightedClusters(); w != nil && r.Sticky != nil {
		out.HashPolicy = hashPolicy([]model.HashKey{*r.Sticky})
		w.RandomValueSpecifier = &routev3.WeightedCluster_UseHashPolicy{UseHashPolicy: boolValue(true)}
	}
}

func upgradeConfigs(list []string) []*routev3.RouteAction_UpgradeConfig {
	var out []*routev3.RouteAction_UpgradeConfig
	for _, name := range list {
		out = append(out, &routev3.RouteAction_UpgradeConfig{UpgradeType: name})
	}
	return out
}

// corsPolicy is the route's config of the filter.
func corsPolicy(c *model.CORS) (*anypb.Any, error) {
	out := &corsv3.CorsPolicy{
		AllowMethods:  strings.Join(c.Methods, ","),
		AllowHeaders:  strings.Join(c.Headers, ","),
		ExposeHeaders: strings.Join(c.ExposeHeaders, ","),
	}
	for _, o := range c.Origins {
		m, err := stringMatcher(o.Kind, o.Value)
		if err != nil {
			return nil, err
		}
		out.AllowOriginStringMatch = append(out.AllowOriginStringMatch, m)
	}
	if c.HasMaxAge {
		out.MaxAge = strconv.FormatInt(int64(c.MaxAge/time.Second), 10)
	}
	if c.Credentials {
		out.AllowCredentials = boolValue(true)
	}
	return toAny(out)
}

// withCORS puts the filter before others where a route has a policy: a
// preflight carries nothing that they could judge by.
func withCORS(rc *routev3.RouteConfiguration, filters []*hcmv3.HttpFilter) ([]*hcmv3.HttpFilter, error) {
	for _, h := range rc.VirtualHosts {
		if slices.ContainsFunc(h.Routes, func(r *routev3.Route) bool { return r.TypedPerFilterConfig[corsFilter] != nil }) {
			cors, err := emptyFilter(corsFilter, &corsv3.Cors{})
			return append([]*hcmv3.HttpFilter{cors}, filters...), err
		}
	}
	return filters, nil
}
