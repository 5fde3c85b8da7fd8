package telemetry

import (
	"strings"
	"testing"
	"time"
)

func TestStatName(t *testing.T) {
	cluster, class := Label{"envoy_cluster_name", "a.b"}, Label{"envoy_response_code_class", "5"}
	for want, c := range map[string]struct {
		name   string
		labels []Label
	}{
		"cluster.a.b.upstream_rq_5xx":                    {"envoy_cluster_upstream_rq_xx", []Label{class, cluster}},
		"cluster.a.b.retry.upstream_rq_5xx":              {"envoy_cluster_retry_upstream_rq_xx", []Label{class, cluster}},
		"cluster.a.b.outlier_detection.ejections_active": {"envoy_cluster_outlier_detection_ejections_active", []Label{cluster}},
		"cluster.a.b.endpoint.1.2.3.4:80.rq_total":       {"envoy_cluster_endpoint_rq_total", []Label{cluster, {"envoy_endpoint_address", "1.2.3.4:80"}}},
		"http.in.downstream_rq_5xx":                      {"envoy_http_downstream_rq_xx", []Label{class, {"envoy_http_conn_manager_prefix", "in"}}},
		"http.in.rbac.allowed":                           {"envoy_http_rbac_allowed", []Label{{"envoy_http_conn_manager_prefix", "in"}}},
		"x.http_local_rate_limit.ok":                     {"envoy_http_local_rate_limit_ok", []Label{{"envoy_local_http_ratelimit_prefix", "x"}}},
		"vhost.v.route.r.upstream_rq_404":                {"envoy_vhost_route_upstream_rq", []Label{{"envoy_response_code", "404"}, {"envoy_virtual_host", "v"}, {"envoy_route", "r"}}},
		"listener_manager.lds.update_rejected":           {"envoy_listener_manager_lds_update_rejected", nil},
		"control_plane.connected_state":                  {"envoy_control_plane_connected_state", nil},
		"meshc.istio_requests_total":                     {"istio_requests_total", []Label{{"reporter", "source"}}},
		"meshc.meshc_config_info":                        {"meshc_config_info", []Label{{"digest", "x"}}},
	} {
		if got := statName(c.name, c.labels); got != want {
			t.Errorf("%s %v: %s, want %s", c.name, c.labels, got, want)
		}
	}
}

// What is not kept is shown nowhere, and counting it harms nothing.
func TestKeepOnly(t *testing.T) {
	r := New(2)
	r.KeepOnly(func(stat string) bool { return strings.HasPrefix(stat, "cluster.a.") })
	r.Counter("envoy_cluster_x", Label{"envoy_cluster_name", "a"}).Shard(1).Inc()
	r.Counter("envoy_cluster_x", Label{"envoy_cluster_name", "b"}).Shard(1).Inc()
	r.Gauge("envoy_server_live").Set(1)
	r.Histogram("envoy_cluster_y", Label{"envoy_cluster_name", "b"}).Shard(0).Observe(time.Second)
	g := r.Group(Label{"who", "me"})
	g.Counter("istio_requests_total").Shard(0).Inc()
	g.Histogram("istio_request_bytes").Shard(0).ObserveSize(1)
	var b strings.Builder
	if err := r.WritePrometheus(&b); err != nil {
		t.Fatal(err)
	}
	if want := "# TYPE envoy_cluster_x counter\nenvoy_cluster_x{envoy_cluster_name=\"a\"} 1\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

// Drop takes what has all of the labels.
func TestDropByTwoLabels(t *testing.T) {
	r := New(1)
	for _, c := range []string{"a", "b"} {
		for _, e := range []string{"1", "2"} {
			r.Counter("n", Label{"c", c}, Label{"e", e})
		}
	}
	r.Drop(Label{"c", "a"}, Label{"e", "2"})
	var b strings.Builder
	if err := r.WritePrometheus(&b); err != nil {
		t.Fatal(err)
	}
	if want := "# TYPE n counter\nn{c=\"a\",e=\"1\"} 0\nn{c=\"b\",e=\"1\"} 0\nn{c=\"b\",e=\"2\"} 0\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}
