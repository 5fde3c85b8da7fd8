package valid

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
)

// routeConfigurations: a domain leads to one virtual host (RouteMatcher).
func routeConfigurations(rc *routev3.RouteConfiguration) []error {
	out := removals(rc.GetRequestHeadersToRemove(), rc.GetResponseHeadersToRemove())
	names, domains := map[string]bool{}, map[string]string{}
	for _, v := range rc.GetVirtualHosts() {
		if names[v.GetName()] {
			out = append(out, fmt.Errorf("two virtual hosts are called %q", v.GetName()))
		}
		names[v.GetName()] = true
		for _, d := range v.GetDomains() {
			key := strings.ToLower(d)
			if other, taken := domains[key]; taken {
				out = append(out, fmt.Errorf("domain %q leads to the virtual hosts %q and %q", d, other, v.GetName()))
			}
			domains[key] = v.GetName()
			if strings.Contains(strings.TrimSuffix(strings.TrimPrefix(d, "*"), "*"), "*") || len(d) > 1 && d[0] == '*' && d[len(d)-1] == '*' {
				out = append(out, fmt.Errorf("domain %q: a wildcard stands at one end", d))
			}
		}
	}
	return out
}

func virtualHosts(v *routev3.VirtualHost) []error {
	return removals(v.GetRequestHeadersToRemove(), v.GetResponseHeadersToRemove())
}

func routes(r *routev3.Route) []error {
	return removals(r.GetRequestHeadersToRemove(), r.GetResponseHeadersToRemove())
}

func clusterWeights(w *routev3.WeightedCluster_ClusterWeight) []error {
	out := removals(w.GetRequestHeadersToRemove(), w.GetResponseHeadersToRemove())
	if (w.GetName() == "") == (w.GetClusterHeader() == "") {
		out = append(out, fmt.Errorf("it needs either a name or a header that names it"))
	}
	return out
}

func removals(lists ...[]string) []error {
	var out []error
	for _, list := range lists {
		for _, name := range list {
			out = append(out, some(changeable(name))...)
		}
	}
	return out
}

// weightedClusters: the sum is above 0 and fits 32 bits.
func weightedClusters(w *routev3.WeightedCluster) []error {
	var sum uint64
	for _, c := range w.GetClusters() {
		sum += uint64(c.GetWeight().GetValue())
	}
	if len(w.GetClusters()) > 0 && (sum == 0 || sum > math.MaxUint32) {
		return some(fmt.Errorf("the weights sum to %d, and the sum must be from 1 to %d", sum, uint32(math.MaxUint32)))
	}
	return nil
}

// routeActions rewrite the path in one way, and name an upgrade once.
func routeActions(a *routev3.RouteAction) []error {
	ways := 0
	for _, there := range []bool{a.GetPrefixRewrite() != "", a.GetRegexRewrite() != nil, a.GetPathRewritePolicy() != nil} {
		if there {
			ways++
		}
	}
	var out []error
	if ways > 1 {
		out = append(out, fmt.Errorf("prefix_rewrite, regex_rewrite and path_rewrite_policy exclude one another"))
	}
	upgrades := map[string]bool{}
	for _, u := range a.GetUpgradeConfigs() {
		name := strings.ToLower(u.GetUpgradeType())
		if upgrades[name] {
			out = append(out, fmt.Errorf("upgrade %q is named twice", name))
		}
		upgrades[name] = true
	}
	for i, m := range a.GetRequestMirrorPolicies() {
		if (m.GetCluster() == "") == (m.GetClusterHeader() == "") {
			out = append(out, fmt.Errorf("request_mirror_policies[%d] needs either a cluster or a header that names it", i))
		}
	}
	return out
}

// retryWords are what retry_on may hold: of other words Envoy makes nothing.
var retryWords = map[string]bool{
	"5xx": true, "gateway-error": true, "reset": true, "reset-before-request": true, "connect-failure": true, "envoy-ratelimited": true,
	"retriable-4xx": true, "refused-stream": true, "retriable-status-codes": true, "retriable-headers": true, "http3-post-connect-failure": true,
	"cancelled": true, "deadline-exceeded": true, "internal": true, "resource-exhausted": true, "unavailable": true,
}

func retryPolicies(r *routev3.RetryPolicy) []error {
	var out []error
	for _, word := range strings.Split(r.GetRetryOn(), ",") {
		if word = strings.TrimSpace(word); !retryWords[word] && r.GetRetryOn() != "" {
			out = append(out, fmt.Errorf("retry_on: %q is no condition", word))
		}
	}
	for _, status := range r.GetRetriableStatusCodes() {
		if status < 100 || status > 599 {
			out = append(out, fmt.Errorf("retriable_status_codes: %s is no status", strconv.Itoa(int(status))))
		}
	}
	return out
}

func backOffs(b *routev3.RetryPolicy_RetryBackOff) []error {
	if b.GetMaxInterval() != nil && b.GetMaxInterval().AsDuration() < b.GetBaseInterval().AsDuration() {
		return some(fmt.Errorf("max_interval %s is less than base_interval %s", b.GetMaxInterval().AsDuration(), b.GetBaseInterval().AsDuration()))
	}
	return nil
}

// maxBody is the default of max_direct_response_body_size_bytes.
const maxBody = 4096

func directResponses(d *routev3.DirectResponseAction) []error {
	var size int
	switch s := d.GetBody().GetSpecifier().(type) {
	case *corev3.DataSource_InlineString:
		size = len(s.InlineString)
	case *corev3.DataSource_InlineBytes:
		size = len(s.InlineBytes)
	}
	if size > maxBody {
		return some(fmt.Errorf("the body has %d bytes, and the most is %d", size, maxBody))
	}
	return nil
}
