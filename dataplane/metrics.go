package dataplane

import (
	"github.com/meshc/meshc/dataplane/resource"
	"github.com/meshc/meshc/dataplane/telemetry"
	"github.com/meshc/meshc/dataplane/xdsclient"
)

// metrics counts what happens beside traffic, under Envoy's names.
type metrics struct {
	registry  *telemetry.Registry
	connected telemetry.Metric
	updated   map[string]telemetry.Metric // by type URL
	rejected  map[string]telemetry.Metric
	applied   telemetry.Metric
	failed    telemetry.Metric
	notBefore telemetry.Metric // of the identity, in Unix seconds
	notAfter  telemetry.Metric
	serving   telemetry.Label // of meshc_config_info; the zero value before there is one
	live      telemetry.Metric
	uptime    telemetry.Metric // seconds
}

var updateNames = map[string]string{
	resource.ListenerType:  "envoy_listener_manager_lds",
	resource.RouteType:     "envoy_http_rds",
	resource.ClusterType:   "envoy_cluster_manager_cds",
	resource.EndpointsType: "envoy_cluster_eds",
	resource.SecretType:    "envoy_sds",
}

func newMetrics(registry *telemetry.Registry) *metrics {
	m := &metrics{
		registry:  registry,
		connected: registry.Gauge("envoy_control_plane_connected_state"),
		updated:   make(map[string]telemetry.Metric),
		rejected:  make(map[string]telemetry.Metric),
		applied:   registry.Counter("meshc_config_applied"),
		failed:    registry.Counter("meshc_config_apply_failed"),
		notBefore: registry.Gauge("meshc_identity_not_before_timestamp_seconds"),
		notAfter:  registry.Gauge("meshc_identity_not_after_timestamp_seconds"),
		live:      registry.Gauge("envoy_server_live"),
		uptime:    registry.Gauge("envoy_server_uptime"),
	}
	for url, name := range updateNames {
		m.updated[url] = registry.Counter(name + "_update_success")
		m.rejected[url] = registry.Counter(name + "_update_rejected")
	}
	return m
}

// serves says which configuration is in force: its digest, which is equal for
// equal resources.
func (m *metrics) serves(digest string) {
	now := telemetry.Label{Name: "digest", Value: digest}
	if now == m.serving {
		return
	}
	if m.serving.Name != "" {
		m.registry.Drop(m.serving)
	}
	m.serving = now
	m.registry.Gauge("meshc_config_info", now).Set(1)
}

// observe is called by the ADS client's goroutine only.
func (m *metrics) observe(e xdsclient.Event) {
	switch e.Kind {
	case xdsclient.Connected:
		m.connected.Set(1)
	case xdsclient.Disconnected:
		m.connected.Set(0)
	case xdsclient.Updated:
		m.count(m.updated, e.TypeURL)
	case xdsclient.Rejected:
		m.count(m.rejected, e.TypeURL)
	case xdsclient.Applied:
		m.applied.Inc()
	case xdsclient.ApplyFailed:
		m.failed.Inc()
	}
}

// count leaves out a type that was never asked for.
func (m *metrics) count(by map[string]telemetry.Metric, url string) {
	if metric, ok := by[url]; ok {
		metric.Inc()
	}
}
