package model

import "strings"

// MetricsProfile says how much a proxy counts.
type MetricsProfile string

// Profiles: the metrics of Minimal; what the proxy counts by itself; and that with
// routes, endpoints, sizes and time limits.
const (
	MinimalMetrics  MetricsProfile = "minimal"
	StandardMetrics MetricsProfile = "standard"
	FullMetrics     MetricsProfile = "full"
)

// Metrics says what a proxy counts. Nil stands for StandardMetrics.
type Metrics struct {
	Profile MetricsProfile
	Drop    []string // last parts of names, perhaps with "*" at the end; sorted
	Origin  Origin
}

// Minimal is what the minimal profile counts, by the last part of Envoy's names, and of
// those of what only meshc-proxy counts, sorted. downstream_rq_xx and upstream_rq_xx
// stand for the five classes of status.
var Minimal = []string{
	"connected_state", "downstream_cx_active", "downstream_cx_rx_bytes_total", "downstream_cx_total", "downstream_cx_tx_bytes_total",
	"downstream_rq_active", "downstream_rq_time", "downstream_rq_total", "downstream_rq_xx",
	"ejections_active", "istio_request_duration_milliseconds", "istio_requests_total", "istio_tcp_connections_closed_total", "istio_tcp_connections_opened_total",
	"live", "membership_healthy", "membership_total", "meshc_config_applied", "meshc_config_apply_failed", "meshc_config_info", "update_rejected",
	"upstream_cx_active", "upstream_cx_connect_fail", "upstream_cx_total",
	"upstream_rq_active", "upstream_rq_pending_overflow", "upstream_rq_retry", "upstream_rq_retry_overflow",
	"upstream_rq_time", "upstream_rq_timeout", "upstream_rq_total", "upstream_rq_xx", "uptime",
}

// MetricIs says whether the last part of a metric's name is what pattern names.
func MetricIs(pattern, name string) bool {
	if start, more := strings.CutSuffix(pattern, "*"); more {
		return strings.HasPrefix(name, start)
	}
	return pattern == name
}

// MetricsOf is what the proxy of a workload counts; nil for the standard profile.
func (m *Mesh) MetricsOf(w *Workload) *Metrics {
	if w.Role == RoleGateway {
		if g := m.Gateway(w.Service); g != nil {
			return g.Metrics
		}
	} else if s := m.Service(w.Service); s != nil {
		return s.Metrics
	}
	return nil
}

// RunsEnvoy says that a workload is meant to have stock Envoy.
func (m *Mesh) RunsEnvoy(w *Workload) bool {
	if w.Role == RoleGateway {
		g := m.Gateway(w.Service)
		return g != nil && g.Envoy
	}
	s := m.Service(w.Service)
	return s != nil && s.Envoy
}

// Settings lists what m says, in the order of the schema; nothing for nil.
func (m *Metrics) Settings() []Setting {
	if m == nil {
		return nil
	}
	s := &settings{at: m.Origin}
	s.add("profile", string(m.Profile))
	s.add("drop", strings.Join(m.Drop, ", "))
	return s.list
}
