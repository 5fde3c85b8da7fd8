package gen_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/meshc/meshc/testdata/genmesh/gen"
)

// all lists every construct that meshes are made to exercise.
var all = []string{
	"allow.derived", "allow.everybody", "allow.methods", "allow.named", "allow.paths",
	"cookie.absent", "cookie.contains", "cookie.exact", "cookie.not", "cookie.prefix", "cookie.present", "cookie.regex", "cookie.suffix",
	"deny", "deny.named", "destinations", "external", "external.dns", "external.endpoints", "external.timeout", "external.tls",
	"fault.abort", "fault.delay",
	"gateway", "gateway.allow", "gateway.answers", "gateway.certificates", "gateway.deny", "gateway.hosts", "gateway.https", "gateway.match", "gateway.port",
	"gateway.redirectToHTTPS", "gateway.requestHeaders", "gateway.responseHeaders", "gateway.route.hosts",
	"header.absent", "header.contains", "header.exact", "header.not", "header.prefix", "header.present", "header.range", "header.regex", "header.suffix",
	"host.contains", "host.exact", "host.not", "host.prefix", "host.regex", "host.suffix",
	"match.anyOf", "match.except", "method", "method.anyOf", "notMethod",
	"mtls.disable", "mtls.permissive", "mtls.port", "mtls.strict",
	"path.exact", "path.ignoreCase", "path.not", "path.prefix", "path.regex", "path.segmentPrefix", "ports.several",
	"query.absent", "query.contains", "query.exact", "query.not", "query.prefix", "query.present", "query.regex", "query.suffix",
	"redirect", "respond", "rewrite",
	"requestHeaders.add", "requestHeaders.remove", "requestHeaders.set",
	"responseHeaders.add", "responseHeaders.remove", "responseHeaders.set",
	"retries", "retries.methods", "retries.perTry", "retries.status", "route.from", "route.port", "routes.default", "scheme",
	"rule.headers", "rule.hosts", "rule.ips", "rule.notHosts", "rule.notIPs", "rule.notMethods", "rule.notPaths", "rule.ports", "rule.template",
	"timeout", "timeout.none", "trustDomain", "uses", "uses.external",
	"weights", "weights.basisPoint", "weights.decimal",
}

func TestEveryConstructOccursOften(t *testing.T) {
	const meshes, least = 200, 20
	count := map[string]int{}
	for seed := range uint64(meshes) {
		for _, c := range gen.Constructs(seed) {
			count[c]++
		}
	}
	known := map[string]bool{}
	for _, c := range all {
		known[c] = true
		if count[c] < least {
			t.Errorf("%s occurs in %d of %d meshes, want at least %d", c, count[c], meshes, least)
		}
	}
	for c := range count {
		if !known[c] {
			t.Errorf("construct %s is in no list", c)
		}
	}
}

// forEnvoy lists every construct that meshes for Envoy have beside those.
var forEnvoy = []string{
	"fault.bandwidth", "fault.from", "fault.match", "fault.maxActive",
	"balance", "balance.hash", "clocks", "connections", "cors", "hash", "health", "health.port", "mirror", "outliers", "retries.backoff", "retries.rateLimited",
	"retryBudget", "traffic.connectTimeout", "traffic.external", "traffic.service", "traffic.version",
	"sticky", "upgrades",
}

func TestEveryConstructForEnvoyOccursOften(t *testing.T) {
	const meshes, least = 200, 20
	count := map[string]int{}
	for seed := range uint64(meshes) {
		for _, c := range gen.ForEnvoy(seed).Constructs {
			count[c]++
		}
	}
	for _, c := range forEnvoy {
		if count[c] < least {
			t.Errorf("%s occurs in %d of %d meshes, want at least %d", c, count[c], meshes, least)
		}
	}
	for c := range count {
		if !slices.Contains(forEnvoy, c) && !slices.Contains(all, c) {
			t.Errorf("construct %s is in no list", c)
		}
	}
}

func TestSameSeedSameMesh(t *testing.T) {
	for seed := range uint64(20) {
		if !maps.Equal(gen.Mesh(seed).Files, gen.Mesh(seed).Files) {
			t.Errorf("seed %d gives two meshes", seed)
		}
	}
}
