package interop

import (
	"bufio"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/model"
)

// metricsMesh has a proxy of each profile; all call the same service, and an
// external whose name has many dots.
const metricsMesh = `package mesh

mesh: proxy: "envoy"
mesh: telemetry: metrics: drop: ["upstream_cx_length_ms", "upstream_flow_control_*"]
service: web: {versions: v1: {}, uses: {shop: {}, bank: {}}}
service: much: {versions: v1: {}, uses: {shop: {}, bank: {}}, telemetry: metrics: profile: "full"}
service: little: {versions: v1: {}, uses: {shop: {}, bank: {}}, telemetry: metrics: {profile: "minimal", drop: ["upstream_cx_*"]}}
service: shop: {
	ports: http: {number: 9080, protocol: "http"}
	versions: v1: {}
	routes: {special: {match: [{path: prefix: "/special"}], to: v1: 100}, rest: to: v1: 100}
}
external: bank: {host: "a.b.external.version.test", ports: http: {number: 443, protocol: "http"}, endpoints: ["%s"]}
gateway: edge: {
	listeners: web: {port: 8080, protocol: "http"}
	routes: all: to: "shop"
}
`

// What Prometheus reads from stock Envoy has the names that Envoy documents, with
// the service in a label, and is as much as the mesh asks for.
func TestMetrics(t *testing.T) {
	backs := newBackends()
	m := compileText(t, strings.Replace(metricsMesh, "%s", backs.start(t, "bank", nil), 1))
	b := newBed(t, m)
	b.backends = backs
	b.sidecar(ref("shop"), "v1", envoy, backs.start(t, "shop", nil))
	callers := []*model.Workload{b.sidecar(ref("web"), "v1", envoy, ""), b.sidecar(ref("much"), "v1", envoy, ""), b.sidecar(ref("little"), "v1", envoy, "")}
	edge := b.gateway(ref("edge"), envoy)
	b.run()
	for _, w := range callers {
		b.ask(w.Outbound[model.OutboundKey(ref("shop"), meshPort)], "GET", "/special")
		b.ask(w.Outbound[model.OutboundKey(ref("bank"), 443)], "GET", "/")
	}
	b.ask(edge.Inbound[8080], "GET", "/")
	read := map[string][]series{}
	for id, x := range b.proxies {
		read[id] = x.scraped()
		for _, s := range read[id] {
			if dotted.MatchString(s.name) {
				t.Errorf("%s: a metric is called %s", id, s.name)
			}
		}
	}
	shop, bank := m.Service(ref("shop")), m.External(ref("bank"))
	to := map[string]string{"cluster_name": model.ClusterName(meshPort, "v1", shop.Host)}
	out := map[string]string{"cluster_name": model.ClusterName(443, "", bank.Host)}
	for _, id := range []string{"web-envoy", "much-envoy", "little-envoy"} {
		for _, labels := range []map[string]string{to, out} {
			if got := value(read[id], "envoy_cluster_upstream_rq_total", labels); got != "1" {
				t.Errorf("%s: %v has %q requests", id, labels, got)
			}
			status := maps.Clone(labels)
			status["response_code_class"] = "2"
			if got := value(read[id], "envoy_cluster_upstream_rq_xx", status); got != "1" {
				t.Errorf("%s: %v has %q requests", id, status, got)
			}
		}
		if got := value(read[id], "envoy_http_downstream_rq_total", map[string]string{"http_conn_manager_prefix": model.OutboundName(meshPort, shop.Host)}); got != "1" {
			t.Errorf("%s: the listener has %q requests", id, got)
		}
	}
	t.Run("profiles", func(t *testing.T) { profiles(t, read, to) })
	for _, x := range b.all() {
		x.refusedNothing()
	}
}

// profiles holds what is counted against what is asked for.
func profiles(t *testing.T, read map[string][]series, to map[string]string) {
	for name, who := range map[string][]string{
		"envoy_cluster_upstream_cx_length_ms_count":                   {"much-envoy"},
		"envoy_cluster_upstream_flow_control_paused_reading_total":    {"much-envoy"},
		"envoy_cluster_upstream_cx_total":                             {"web-envoy", "much-envoy"},
		"envoy_cluster_upstream_rq_time_count":                        {"web-envoy", "much-envoy", "little-envoy"},
		"envoy_cluster_upstream_rq_body_size_count":                   {"much-envoy"},
		"envoy_cluster_upstream_rq_timeout_budget_percent_used_count": {"much-envoy"},
	} {
		for _, id := range []string{"web-envoy", "much-envoy", "little-envoy"} {
			if has := value(read[id], name, to) != ""; has != slices.Contains(who, id) {
				t.Errorf("%s has %s: %v", id, name, has)
			}
		}
	}
	if got := value(read["much-envoy"], "envoy_vhost_route_upstream_rq_total", map[string]string{"route": "special"}); got != "1" {
		t.Errorf("the route has %q requests", got)
	}
	if got := value(read["much-envoy"], "envoy_cluster_endpoint_rq_total", to); got != "1" {
		t.Errorf("the endpoint has %q requests", got)
	}
	if few, many := len(read["little-envoy"]), len(read["web-envoy"]); few*3 > many {
		t.Errorf("the minimal profile has %d series, the standard one %d", few, many)
	}
}

// dotted finds what should be in a label: parts of the names of hosts, networks
// and routes.
var dotted = regexp.MustCompile(`svc|cluster_local_|external_version|bank|shop|(?:out|in)bound_[0-9]|gateway_[0-9]|special|_rest_`)

// series is one line of what Prometheus reads.
type series struct {
	name   string
	labels map[string]string // without "envoy_"
	value  string
}

var label = regexp.MustCompile(`(?:envoy_)?([a-z_]+)="([^"]*)"`)

func (x *proxy) scraped() []series {
	x.t.Helper()
	r, err := x.admin.Get("http://admin/stats/prometheus")
	if err != nil {
		x.t.Fatal(err)
	}
	defer r.Body.Close()
	var out []series
	for lines := bufio.NewScanner(r.Body); lines.Scan(); {
		line := lines.Text()
		if strings.HasPrefix(line, "#") || line == "" {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		name, rest, _ := strings.Cut(line[:at], "{")
		s := series{name: name, labels: map[string]string{}, value: line[at+1:]}
		for _, m := range label.FindAllStringSubmatch(rest, -1) {
			s.labels[m[1]] = m[2]
		}
		out = append(out, s)
	}
	return out
}

// value of the series that has these labels; "" without one.
func value(all []series, name string, labels map[string]string) string {
	for _, s := range all {
		fits := s.name == name
		for k, v := range labels {
			fits = fits && s.labels[k] == v
		}
		if fits {
			return s.value
		}
	}
	return ""
}
