package main

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
)

// envoy takes its certificate from the agent beside it.
type envoy struct{}

func (envoy) name() string { return "envoy" }

func (envoy) start(ctx context.Context, b *bench, h hop) (*running, error) {
	var socket string
	stopAgent := func() {}
	if h.in || h.out {
		var err error
		if socket, stopAgent, err = b.startAgent(ctx, h.authority, h.id(), h.name); err != nil {
			return nil, err
		}
	}
	r, err := b.single(ctx, h, func(addr string) (string, []string, error) {
		file, err := b.configure("envoy-", h, addr, socket)
		return b.paths.envoy, []string{"-c", file, "--use-dynamic-base-id", "--concurrency", "1", "-l", "error"}, err
	})
	if err != nil {
		stopAgent()
		return nil, err
	}
	r.stop = append([]func(){stopAgent}, r.stop...)
	return r, waitTCP(ctx, r.addr)
}

// meshc is meshc-proxy, on the same bootstrap as Envoy.
type meshc struct{}

func (meshc) name() string { return "meshc-proxy" }

func (meshc) start(ctx context.Context, b *bench, h hop) (*running, error) {
	var flags []string
	var socket string
	if h.in || h.out {
		var err error
		if flags, err = b.identityFlags(h.authority, h.id(), h.name); err != nil {
			return nil, err
		}
		// meshc-proxy answers for the agent itself; nothing dials the socket.
		socket = filepath.Join(b.dir, "none.sock")
	}
	r, err := b.single(ctx, h, func(addr string) (string, []string, error) {
		file, err := b.configure("meshc-", h, addr, socket)
		if err != nil {
			return "", nil, err
		}
		path, err := filepath.Abs(b.paths.meshc)
		return path, append([]string{"-c", file, "--workers", "1", "--log-level", "warn"}, flags...), err
	})
	if err != nil {
		return nil, err
	}
	return r, waitTCP(ctx, r.addr)
}

// configure writes the bootstrap of a hop, and has its control plane, if it has one,
// serve the rest.
func (b *bench) configure(kind string, h hop, addr, agent string) (string, error) {
	if h.plane != nil {
		if err := h.plane.serve(h, addr); err != nil {
			return "", err
		}
	}
	return b.write(kind+h.name+".json", bootstrap(h, addr, agent))
}

// bootstrap is one for Envoy and meshc-proxy alike, static where the hop has no
// control plane.
func bootstrap(h hop, addr, agent string) string {
	if h.plane != nil {
		return dynamicBootstrap(h)
	}
	node := h.node
	if node == "" {
		node = "bench"
	}
	clusters := xdsClusters(h)
	if agent != "" {
		clusters = append(clusters, agentCluster(agent))
	}
	return fmt.Sprintf(`{"node":{"id":"sidecar~bench/proxy","cluster":%q},
"static_resources":{
 "listeners":[%s],
 "clusters":[%s]}}`, node, staticListener(h, addr), strings.Join(clusters, ",\n"))
}

func staticListener(h hop, addr string) string {
	return fmt.Sprintf(`{"name":"in","address":%s,"filter_chains":[{%s"filters":[%s]}]}`, socketAddress(addr), chainTLS(h), networkFilter(h))
}

func networkFilter(h hop) string {
	if h.tcp {
		return `{"name":"envoy.filters.network.tcp_proxy","typed_config":{
  "@type":"type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy","stat_prefix":"in","cluster":"out"}}`
	}
	codec := "HTTP1"
	if h.h2 {
		codec = "HTTP2"
	}
	return fmt.Sprintf(`{"name":"envoy.filters.network.http_connection_manager","typed_config":{
  "@type":"type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
  "stat_prefix":"in","codec_type":%q,%s
  "route_config":{"name":"in","virtual_hosts":[%s]},
  "http_filters":[{"name":"envoy.filters.http.router","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}}`,
		codec, h.told, strings.Join(virtualHosts(h), ","))
}

func virtualHosts(h hop) []string {
	if h.services > 0 {
		var out []string
		for i := range h.services {
			out = append(out, fmt.Sprintf(`{"name":"%[1]d","domains":[%[2]q],"routes":[{"match":{"prefix":"/"},"route":{"cluster":"out-%[1]d"}}]}`, i, serviceHost(i)))
		}
		return out
	}
	routes := []string{`{"match":{"prefix":"/"},"route":{"cluster":"out"}}`}
	for i := range h.routes {
		if i == 0 {
			routes = nil
		}
		routes = append(routes, fmt.Sprintf(`{"match":{"prefix":"/r/%d/"},"route":{"cluster":"out"}}`, i))
	}
	return []string{fmt.Sprintf(`{"name":"all","domains":["*"],"routes":[%s]}`, strings.Join(routes, ","))}
}

func xdsClusters(h hop) []string {
	if h.services == 0 {
		return []string{xdsCluster(h, "out")}
	}
	var out []string
	for i := range h.services {
		out = append(out, xdsCluster(h, fmt.Sprintf("out-%d", i)))
	}
	return out
}

func xdsCluster(h hop, name string) string {
	more := clusterTLS(h)
	if h.h2 {
		more += overHTTP2
	}
	return fmt.Sprintf(`{"name":%[1]q,"type":"STATIC","connect_timeout":"5s",%[2]s
  "load_assignment":{"cluster_name":%[1]q,"endpoints":[{"lb_endpoints":[{"endpoint":{"address":%[3]s}}]}]}}`, name, more, socketAddress(h.upstream))
}

const overHTTP2 = `"typed_extension_protocol_options":{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions":{
   "@type":"type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions","explicit_http_config":{"http2_protocol_options":{}}}},`

func agentCluster(socket string) string {
	return fmt.Sprintf(`{"name":"meshc-agent","type":"STATIC","connect_timeout":"5s",%s
  "load_assignment":{"cluster_name":"meshc-agent","endpoints":[{"lb_endpoints":[{"endpoint":{"address":{"pipe":{"path":%q}}}}]}]}}`, overHTTP2, socket)
}

const (
	agentSDS = `"sds_config":{"resource_api_version":"V3","api_config_source":{"api_type":"GRPC","transport_api_version":"V3",
  "grpc_services":[{"envoy_grpc":{"cluster_name":"meshc-agent"}}]}}`
	commonTLS = `"common_tls_context":{"tls_params":{"tls_minimum_protocol_version":"TLSv1_3","tls_maximum_protocol_version":"TLSv1_3"},%s
  "tls_certificate_sds_secret_configs":[{"name":"default",` + agentSDS + `}],
  "combined_validation_context":{"default_validation_context":{"match_typed_subject_alt_names":[{"san_type":"URI","matcher":{"exact":%q}}]},
   "validation_context_sds_secret_config":{"name":"ROOTCA",` + agentSDS + `}}}`
)

func alpn(h hop) string {
	if h.h2 {
		return `"alpn_protocols":["h2"],`
	}
	return ""
}

func chainTLS(h hop) string {
	if !h.in {
		return ""
	}
	return `"transport_socket":{"name":"envoy.transport_sockets.tls","typed_config":{
  "@type":"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext","require_client_certificate":true,` +
		fmt.Sprintf(commonTLS, alpn(h), clientID) + `}},`
}

func clusterTLS(h hop) string {
	if !h.out {
		return ""
	}
	return `"transport_socket":{"name":"envoy.transport_sockets.tls","typed_config":{
  "@type":"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext","sni":"server.bench.local",` +
		fmt.Sprintf(commonTLS, alpn(h), serverID) + `}},`
}

func socketAddress(addr string) string {
	host, port, _ := net.SplitHostPort(addr)
	return fmt.Sprintf(`{"socket_address":{"address":%q,"port_value":%s}}`, host, port)
}
