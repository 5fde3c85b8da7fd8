package xds

import (
	"regexp"
	"slices"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/config/metrics/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"

	"github.com/meshc/meshc/compiler/model"
)

// count has the resources of this proxy counted as its service says: only the
// full profile is said in resources.
func (e *emitter) count() {
	m := e.mesh.MetricsOf(e.self)
	if m == nil || m.Profile != model.FullMetrics || e.self.Role == model.RoleGRPC {
		return
	}
	for _, c := range e.out.Clusters {
		c.TrackClusterStats = &clusterv3.TrackClusterStats{TimeoutBudgets: true, RequestResponseSizes: true, PerEndpointStats: true}
	}
	for _, rc := range slices.Concat(e.inline, e.out.Routes) {
		for _, h := range rc.GetVirtualHosts() {
			countRoutes(h.GetRoutes())
		}
	}
}

// countRoutes names routes in metrics as they are named everywhere; a dot would
// end the name.
func countRoutes(list []*routev3.Route) {
	for _, r := range list {
		r.StatPrefix = strings.ReplaceAll(r.GetName(), ".", "_")
	}
}

// statsOf is how a proxy counts that starts from a bootstrap; nil where there is
// nothing to say.
func statsOf(m *model.Metrics, envoy bool) *metricsv3.StatsConfig {
	matcher := statsMatcher(m)
	switch {
	case envoy:
		return &metricsv3.StatsConfig{StatsTags: statsTags(), UseAllDefaultTags: boolValue(false), StatsMatcher: matcher}
	case matcher != nil:
		return &metricsv3.StatsConfig{StatsMatcher: matcher}
	}
	return nil
}

// Names of clusters and listeners hold those of hosts, whose dots Envoy's own
// expressions take for the end of the name: each service would have metrics of
// its own name. What follows a name is told by what no label of a host begins
// with: a word with an underscore, or one of a few.
const (
	afterName = `(?:[a-z0-9]+_|version$|default\.total_match_count$|(?:external|internal|canary|retry)\.upstream_|zone\..+\.upstream_|http[123]\.[a-z]+_|` +
		`ssl\.(?:handshake$|[a-z]+_[a-z_]+$|(?:ciphers|curves|versions|sigalgs|certificate)\.)|endpoint\.[0-9]|ratelimit\.[a-z_]+$|` +
		`rbac\.(?:allowed$|denied$|[a-z]+_)|(?:fault|cors)\.[a-z]+_|tracing\.[a-z_]+$|rds\.[a-z]+\|)`
	clusterName   = `^cluster\.((.+?)\.)` + afterName
	managerPrefix = `^(?:listener\..*?\.)?http\.((.+?)\.)` + afterName
	hostName      = `^vhost\.((.+?)\.)(?:route|vcluster)\.`
	routeName     = `^vhost\..+?\.route\.((.+?)\.)upstream_`
	routeTable    = `^http\..+\.rds\.((.+?)\.)[a-z_]+$`
	certificate   = `^(?:cluster|listener)\..+\.ssl\.certificate\.((.+?)\.)expiration_unix_time_seconds$`
	secretName    = `^sds\.((.+?)\.)[a-z_]+$`
	endpointName  = `^cluster\..+?\.endpoint\.((.+?)\.)[a-z0-9]+_[a-z0-9_]+$`
)

// defaultTags are those of Envoy's own whose expressions fit.
var defaultTags = []string{
	"envoy.response_code", "envoy.response_code_class", "envoy.listener_address", "envoy.ssl_cipher",
	"envoy.tcp_prefix", "envoy.local_http_ratelimit_prefix", "envoy.worker_id",
}

// statsTags are what tells the series of one metric apart.
func statsTags() []*metricsv3.TagSpecifier {
	out := []*metricsv3.TagSpecifier{
		tagged("envoy.cluster_name", clusterName), tagged("envoy.http_conn_manager_prefix", managerPrefix),
		tagged("envoy.virtual_host", hostName), tagged("envoy.route", routeName), tagged("envoy.cluster_endpoint", endpointName),
		tagged("envoy.rds_route_config", routeTable), tagged("envoy.secret", secretName),
		tagged("envoy.certificate", certificate),
	}
	for _, name := range defaultTags {
		out = append(out, &metricsv3.TagSpecifier{TagName: name})
	}
	return out
}

func tagged(name, expression string) *metricsv3.TagSpecifier {
	return &metricsv3.TagSpecifier{TagName: name, TagValue: &metricsv3.TagSpecifier_Regex{Regex: expression}}
}

// statsMatcher is nil where everything is counted.
func statsMatcher(m *model.Metrics) *metricsv3.StatsMatcher {
	switch {
	case m == nil:
		return nil
	case m.Profile == model.MinimalMetrics:
		kept := slices.DeleteFunc(slices.Clone(model.Minimal), func(name string) bool {
			return slices.ContainsFunc(m.Drop, func(d string) bool { return model.MetricIs(d, name) })
		})
		return &metricsv3.StatsMatcher{StatsMatcher: &metricsv3.StatsMatcher_InclusionList{InclusionList: namesEnd(kept)}}
	case len(m.Drop) > 0:
		return &metricsv3.StatsMatcher{StatsMatcher: &metricsv3.StatsMatcher_ExclusionList{ExclusionList: namesEnd(m.Drop)}}
	}
	return nil
}

// namesEnd matches names by their last part. A class of status is a part with
// the first digit, and so is what a "*" stands for.
func namesEnd(patterns []string) *matcherv3.ListStringMatcher {
	var ends []string
	for _, p := range patterns {
		start, more := strings.CutSuffix(p, "*")
		end := regexp.QuoteMeta(start)
		if stem, class := strings.CutSuffix(end, "_xx"); class {
			end = stem + "_[1-5]xx"
		}
		if more {
			end += "[^.]*"
		}
		ends = append(ends, end)
	}
	return &matcherv3.ListStringMatcher{Patterns: []*matcherv3.StringMatcher{{
		MatchPattern: &matcherv3.StringMatcher_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: `.*\.(?:` + strings.Join(ends, "|") + ")"}},
	}}}
}

// Stats gives, as JSON, what of the bootstrap of a workload the mesh says: how
// its proxy counts; nil when it counts everything.
func (r *Renderer) Stats(w *model.Workload) ([]byte, error) {
	m := r.ix.mesh.MetricsOf(w)
	if statsMatcher(m) == nil || w.Role == model.RoleGRPC {
		return nil, nil
	}
	return JSON(statsOf(m, r.ix.mesh.RunsEnvoy(w)))
}
