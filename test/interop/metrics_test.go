package interop

import (
	"bufio"
	"fmt"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/model"
)

// metricsMesh has a caller of each profile; all call the same service, and an
// external whose name has many dots.
const metricsMesh = `package mesh

mesh: proxy: "envoy"
mesh: telemetry: metrics: drop: ["upstream_cx_length_ms", "upstream_flow_control_*", "upstream_rq_timeout"]
service: web: {versions: v1: {}, uses: {shop: {}, bank: {}}}
service: much: {versions: v1: {}, uses: {shop: {}, bank: {}}, telemetry: metrics: {profile: "full", drop: ["upstream_cx_connect_timeout", "downstream_rq_total"]}}
service: little: {versions: v1: {}, uses: {shop: {}, bank: {}}, telemetry: metrics: {profile: "minimal", drop: ["upstream_cx_*"]}}
service: shop: {
	ports: http: {number: 9080, protocol: "http"}
	versions: v1: {}
	routes: {
		special: {match: [{path: prefix: "/special"}], to: v1: 100, timeout: "2s", retries: {attempts: 2, on: ["5xx"]}}
		tries: {match: [{path: prefix: "/tries"}], to: v1: 100, timeout: "3s", retries: {attempts: 1, perTry: "150ms", on: ["reset"]}}
		short: {match: [{path: prefix: "/short"}], to: v1: 100, timeout: "200ms", retries: {attempts: 0, on: ["reset"]}}
		rest: to: v1: 100
	}
}
external: bank: {host: "a.b.external.version.test", ports: http: {number: 443, protocol: "http"}, endpoints: ["%s"]}
gateway: edge: {
	listeners: web: {port: 8080, protocol: "http"}
	routes: all: to: "shop"
}
`

// What Prometheus reads has the names that Envoy documents, with the service in a
// label, is as much as the mesh asks for, and says the same of both proxies.
func TestMetrics(t *testing.T) {
	backs := newBackends()
	m := compileText(t, strings.Replace(metricsMesh, "%s", backs.start(t, "bank", nil), 1))
	b := newBed(t, m)
	b.backends = backs
	b.sidecar(ref("shop"), "v1", envoy, backs.start(t, "shop", nil))
	for _, k := range kinds {
		for _, who := range profiled {
			b.sidecar(ref(who), "v1", k, "")
		}
		b.gateway(ref("edge"), k)
	}
	b.run()
	for _, k := range kinds {
		for _, who := range profiled {
			w := b.placed[who+"-"+string(k)]
			shop := w.Outbound[model.OutboundKey(ref("shop"), meshPort)]
			b.ask(shop, "GET", "/special")
			b.ask(shop, "GET", "/special", doHeader+": 503,200")
			b.ask(shop, "GET", "/special", doHeader+": 503")
			b.ask(shop, "GET", "/tries", doHeader+": sleep=5s")
			b.ask(shop, "GET", "/short", doHeader+": sleep=5s")
			b.ask(shop, "GET", "/any", doHeader+": 404")
			post(t, shop, strings.Repeat("x", 2000))
			b.ask(shop, "GET", "/any", doHeader+": 500")
			b.ask(shop, "GET", "/any", doHeader+": close")
			b.ask(w.Outbound[model.OutboundKey(ref("bank"), 443)], "GET", "/")
		}
		b.ask(b.placed["edge-"+string(k)].Inbound[8080], "GET", "/")
	}
	to, out := model.ClusterName(meshPort, "v1", m.Service(ref("shop")).Host), model.ClusterName(443, "", m.External(ref("bank")).Host)
	b.settled()
	read := map[string][]series{}
	for id, x := range b.proxies {
		read[id] = x.scraped()
		for _, s := range read[id] {
			if dotted.MatchString(s.name) {
				t.Errorf("%s: a metric is called %s", id, s.name)
			}
		}
	}
	for _, k := range kinds {
		t.Run(string(k), func(t *testing.T) {
			for _, who := range profiled {
				of := read[who+"-"+string(k)]
				if got := value(of, "envoy_cluster_upstream_rq_xx", map[string]string{"cluster_name": out, "response_code_class": "2"}); got != "1" {
					t.Errorf("%s: the external has answered %q requests", who, got)
				}
				if got := value(of, "envoy_http_downstream_rq_total", map[string]string{"http_conn_manager_prefix": model.OutboundName(meshPort, m.Service(ref("shop")).Host)}); got != "9" && who != "much" {
					t.Errorf("%s: the listener has %q requests", who, got)
				}
			}
			counts(t, k, read, map[string]string{"cluster_name": to})
		})
	}
	t.Run("alike", func(t *testing.T) { alike(t, read) })
	for _, x := range b.all() {
		x.refusedNothing()
	}
}

// post sends text and takes any answer.
func post(t *testing.T, at, text string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+at+"/any", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
}

// profiled are the callers.
var profiled = []string{"web", "much", "little"}

// settled waits until no request is on its way, but the proxies' own: an answer is
// there before it is counted.
func (b *bed) settled() {
	b.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		busy := 0
		for _, x := range b.all() {
			all := x.scraped()
			if sum(all, "envoy_cluster_upstream_rq_headers_size_count") != sum(all, "envoy_vhost_route_upstream_rq_total") {
				busy++ // Envoy adds to its histograms every 5 s
			}
			for _, s := range all {
				switch {
				case s.labels["http_conn_manager_prefix"] == "admin", strings.HasPrefix(s.labels["cluster_name"], "meshc-"):
				case s.value != "0" && (s.name == "envoy_cluster_upstream_rq_active" || s.name == "envoy_http_downstream_rq_active"):
					busy++
				}
			}
		}
		if busy == 0 {
			return
		}
		if time.Now().After(end) {
			b.t.Fatalf("%d metrics say that requests are on their way", busy)
		}
	}
}

// sum adds the values up of all series of a metric.
func sum(all []series, name string) (n float64) {
	for _, s := range all {
		if v, err := strconv.ParseFloat(s.value, 64); err == nil && s.name == name {
			n += v
		}
	}
	return n
}

// counts holds what is counted against what is asked for.
func counts(t *testing.T, k kind, read map[string][]series, to map[string]string) {
	all := map[string][]string{
		"envoy_cluster_upstream_cx_total":                             {"web", "much"},
		"envoy_cluster_upstream_cx_connect_timeout":                   {"web"},
		"envoy_cluster_upstream_rq_timeout":                           {"much", "little"},
		"envoy_cluster_upstream_rq_time_count":                        profiled,
		"envoy_cluster_upstream_rq_total":                             profiled,
		"envoy_cluster_membership_healthy":                            profiled,
		"envoy_cluster_upstream_rq_body_size_count":                   {"much"},
		"envoy_cluster_upstream_rq_timeout_budget_percent_used_count": {"much"},
		"envoy_cluster_endpoint_rq_total":                             {"much"},
	}
	if k == envoy {
		all["envoy_cluster_upstream_cx_length_ms_count"] = []string{"much"}
		all["envoy_cluster_upstream_flow_control_paused_reading_total"] = []string{"much"}
	}
	for name, who := range all {
		for _, id := range profiled {
			if has := value(read[id+"-"+string(k)], name, to) != ""; has != slices.Contains(who, id) {
				t.Errorf("%s has %s: %v", id, name, has)
			}
		}
	}
	for _, id := range profiled {
		own := value(read[id+"-"+string(k)], "istio_request_bytes_count", nil) != ""
		if k == meshc && own != (id != "little") {
			t.Errorf("%s has what is not of Envoy and not in the minimal profile: %v", id, own)
		}
	}
	if few, many := len(read["little-"+string(k)]), len(read["web-"+string(k)]); few*2 > many {
		t.Errorf("the minimal profile has %d series, the standard one %d", few, many)
	}
}

// same are metrics that have the same series with the same values from both proxies.
var same = []string{
	"envoy_cluster_upstream_rq_total", "envoy_cluster_upstream_rq_xx", "envoy_cluster_upstream_rq_completed",
	"envoy_cluster_upstream_rq_retry", "envoy_cluster_upstream_rq_retry_success", "envoy_cluster_upstream_rq_retry_limit_exceeded", "envoy_cluster_upstream_rq_timeout",
	"envoy_cluster_upstream_rq_active", "envoy_cluster_membership_total", "envoy_cluster_membership_healthy",
	"envoy_cluster_endpoint_rq_total", "envoy_cluster_endpoint_rq_error", "envoy_cluster_endpoint_rq_success", "envoy_cluster_endpoint_rq_timeout", "envoy_cluster_endpoint_rq_active",
	"envoy_cluster_endpoint_cx_connect_fail", "envoy_cluster_endpoint_healthy",
	"envoy_cluster_upstream_rq_timeout_budget_percent_used_count", "envoy_cluster_upstream_rq_timeout_budget_per_try_percent_used_count",
	"envoy_cluster_upstream_rq_headers_size_count", "envoy_cluster_upstream_rq_headers_count_count", "envoy_cluster_upstream_rq_body_size_count",
	"envoy_cluster_upstream_rs_headers_size_count", "envoy_cluster_upstream_rs_headers_count_count", "envoy_cluster_upstream_rs_body_size_count",
	"envoy_vhost_route_upstream_rq_total", "envoy_vhost_route_upstream_rq_completed", "envoy_vhost_route_upstream_rq_xx", "envoy_vhost_route_upstream_rq",
	"envoy_vhost_route_upstream_rq_retry", "envoy_vhost_route_upstream_rq_retry_success", "envoy_vhost_route_upstream_rq_retry_limit_exceeded", "envoy_vhost_route_upstream_rq_timeout",
	"envoy_vhost_route_upstream_rq_time_count",
	"envoy_server_live",
}

// alike holds the two proxies to each other. What is 0 may be left out; clusters of the
// proxies themselves are their own affair.
func alike(t *testing.T, read map[string][]series) {
	seen := map[string]bool{}
	for _, id := range append(slices.Clone(profiled), "edge") {
		sides := map[kind]map[string]string{}
		for _, k := range kinds {
			sides[k] = map[string]string{}
			for _, s := range read[id+"-"+string(k)] {
				if !slices.Contains(same, s.name) || strings.HasPrefix(s.labels["cluster_name"], "meshc-") {
					continue
				}
				seen[s.name] = true
				if s.value != "0" {
					sides[k][fmt.Sprint(s.name, s.labels)] = s.value
				}
			}
		}
		for what, is := range sides[envoy] {
			if got := sides[meshc][what]; got != is {
				t.Errorf("%s: Envoy has %s %s, meshc-proxy %q", id, what, is, got)
			}
		}
		for what, is := range sides[meshc] {
			if sides[envoy][what] == "" {
				t.Errorf("%s: meshc-proxy alone has %s %s", id, what, is)
			}
		}
	}
	sizes(t, read)
	for _, name := range same {
		if !seen[name] {
			t.Errorf("nobody has %s", name)
		}
	}
}

// sizes holds the sums of sizes to each other. Envoy's histograms round values to
// within 5 %, and each of its requests has one header more, which the proxies' clients
// do not see (comparison says why).
func sizes(t *testing.T, read map[string][]series) {
	const more = float64(len("x-envoy-expected-rq-timeout-ms") + len("3000"))
	for name, added := range map[string]float64{
		"rq_headers_size": more, "rq_headers_count": 1, "rq_body_size": 0, "rs_headers_size": 0, "rs_headers_count": 0, "rs_body_size": 0,
	} {
		metric := "envoy_cluster_upstream_" + name
		own := sum(read["much-meshc"], metric+"_sum") + added*sum(read["much-meshc"], metric+"_count")
		if is := sum(read["much-envoy"], metric+"_sum"); math.Abs(is-own) > 0.06*is || is == 0 {
			t.Errorf("%s: Envoy %g, meshc-proxy %g", name, is, own)
		}
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
