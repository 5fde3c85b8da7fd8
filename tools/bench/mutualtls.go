package main

import (
	"context"
	"fmt"
	"path/filepath"
)

// mutualTLS sends each request over two hops of the same implementation, as in
// a mesh: the client's proxy takes plaintext and originates mutual TLS 1.3, the
// server's proxy verifies it and speaks plaintext to the backend.
var mutualTLS = scenario{name: "mutual TLS, two hops", proxies: []proxy{
	{"haproxy", haproxyPair},
	{"nginx", nginxPair},
	{"envoy", func(ctx context.Context, b *bench) (*running, error) { return b.xdsPair(ctx, envoyHop) }},
	{"meshc-proxy", func(ctx context.Context, b *bench) (*running, error) { return b.xdsPair(ctx, meshcHop) }},
}}

// join makes one running of a server hop and a client hop in front of it.
func join(server, client *running, more ...func()) *running {
	return &running{
		addr: client.addr,
		hops: []hop{{"client side", client.hops[0].pids}, {"server side", server.hops[0].pids}},
		stop: append(append(more, server.stop...), client.stop...),
	}
}

func haproxyPair(ctx context.Context, b *bench) (*running, error) {
	a, err := b.startAuthority()
	if err != nil {
		return nil, err
	}
	defer a.stop()
	clientPEM, err := b.keyPair(a, clientID, "client.pem")
	if err != nil {
		return nil, err
	}
	serverPEM, err := b.keyPair(a, serverID, "server.pem")
	if err != nil {
		return nil, err
	}
	start := func(name, upstream, bind, out string) (*running, error) {
		return b.single(ctx, func(addr string) (string, []string, error) {
			file, err := b.write(name, haproxyConfig(addr, upstream, bind, out))
			return b.paths.haproxy, []string{"-db", "-f", file}, err
		})
	}
	server, err := start("server.cfg", b.backend, fmt.Sprintf("ssl crt %s ca-file %s verify required", serverPEM, a.root), "")
	if err != nil {
		return nil, err
	}
	client, err := start("client.cfg", server.addr, "", fmt.Sprintf("ssl crt %s ca-file %s verify required", clientPEM, a.root))
	if err != nil {
		server.end()
		return nil, err
	}
	return join(server, client), nil
}

func nginxPair(ctx context.Context, b *bench) (*running, error) {
	a, err := b.startAuthority()
	if err != nil {
		return nil, err
	}
	defer a.stop()
	clientPEM, err := b.keyPair(a, clientID, "client.pem")
	if err != nil {
		return nil, err
	}
	serverPEM, err := b.keyPair(a, serverID, "server.pem")
	if err != nil {
		return nil, err
	}
	server, err := b.nginxHop(ctx, "server", b.backend, fmt.Sprintf(
		"ssl_protocols TLSv1.3; ssl_certificate %[1]s; ssl_certificate_key %[1]s; ssl_client_certificate %[2]s; ssl_verify_client on; ssl_verify_depth 3;",
		serverPEM, a.root), "")
	if err != nil {
		return nil, err
	}
	// nginx can only check DNS names; chain verification is what it can do
	// for a SPIFFE certificate, and its name check is off by default.
	client, err := b.nginxHop(ctx, "client", server.addr, "", fmt.Sprintf(
		"proxy_ssl_protocols TLSv1.3; proxy_ssl_certificate %[1]s; proxy_ssl_certificate_key %[1]s; proxy_ssl_trusted_certificate %[2]s; proxy_ssl_verify_depth 3;",
		clientPEM, a.root))
	if err != nil {
		server.end()
		return nil, err
	}
	return join(server, client), nil
}

// hopConfig is one hop of a proxy that is driven by an Envoy bootstrap.
type hopConfig struct {
	name, id         string
	upstream         string
	chainTLS, outTLS string
	authority        *authority
}

// xdsPair runs two hops that take their certificates from the authority.
func (b *bench) xdsPair(ctx context.Context, start func(context.Context, *bench, hopConfig) (*running, error)) (*running, error) {
	a, err := b.startAuthority()
	if err != nil {
		return nil, err
	}
	server, err := start(ctx, b, hopConfig{name: "server", id: serverID, upstream: b.backend, chainTLS: downstreamTLS(), authority: a})
	if err != nil {
		a.stop()
		return nil, err
	}
	client, err := start(ctx, b, hopConfig{name: "client", id: clientID, upstream: server.addr, outTLS: upstreamTLS(), authority: a})
	if err != nil {
		server.end()
		a.stop()
		return nil, err
	}
	return join(server, client, a.stop), nil
}

func envoyHop(ctx context.Context, b *bench, h hopConfig) (*running, error) {
	socket, stopAgent, err := b.startAgent(ctx, h.authority, h.id, h.name)
	if err != nil {
		return nil, err
	}
	r, err := b.single(ctx, func(addr string) (string, []string, error) {
		file, err := b.write("envoy-"+h.name+".json", envoyConfig(addr, h.upstream, h.chainTLS, h.outTLS, agentCluster(socket)))
		return b.paths.envoy, envoyArgs(file), err
	})
	if err != nil {
		stopAgent()
		return nil, err
	}
	r.stop = append([]func(){stopAgent}, r.stop...)
	return r, waitTCP(ctx, r.addr)
}

func meshcHop(ctx context.Context, b *bench, h hopConfig) (*running, error) {
	flags, err := b.identityFlags(h.authority, h.id, h.name)
	if err != nil {
		return nil, err
	}
	r, err := b.single(ctx, func(addr string) (string, []string, error) {
		// meshc-proxy answers for the agent itself; nothing dials the socket.
		file, err := b.write("meshc-"+h.name+".json", envoyConfig(addr, h.upstream, h.chainTLS, h.outTLS, agentCluster(filepath.Join(b.dir, "none.sock"))))
		if err != nil {
			return "", nil, err
		}
		meshc, err := filepath.Abs(b.paths.meshc)
		return meshc, append([]string{"-c", file, "--workers", "1", "--log-level", "warn"}, flags...), err
	})
	if err != nil {
		return nil, err
	}
	return r, waitTCP(ctx, r.addr)
}

func agentCluster(socket string) string {
	return fmt.Sprintf(`,{"name":"meshc-agent","type":"STATIC","connect_timeout":"5s",
  "typed_extension_protocol_options":{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions":{
   "@type":"type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions","explicit_http_config":{"http2_protocol_options":{}}}},
  "load_assignment":{"cluster_name":"meshc-agent","endpoints":[{"lb_endpoints":[{"endpoint":{"address":{"pipe":{"path":%q}}}}]}]}}`, socket)
}

const (
	agentSDS = `"sds_config":{"resource_api_version":"V3","api_config_source":{"api_type":"GRPC","transport_api_version":"V3",
  "grpc_services":[{"envoy_grpc":{"cluster_name":"meshc-agent"}}]}}`
	commonTLS = `"common_tls_context":{"tls_params":{"tls_minimum_protocol_version":"TLSv1_3","tls_maximum_protocol_version":"TLSv1_3"},
  "tls_certificate_sds_secret_configs":[{"name":"default",` + agentSDS + `}],
  "combined_validation_context":{"default_validation_context":{"match_typed_subject_alt_names":[{"san_type":"URI","matcher":{"exact":%q}}]},
   "validation_context_sds_secret_config":{"name":"ROOTCA",` + agentSDS + `}}}`
)

func downstreamTLS() string {
	return `"transport_socket":{"name":"envoy.transport_sockets.tls","typed_config":{
  "@type":"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext","require_client_certificate":true,` +
		fmt.Sprintf(commonTLS, clientID) + `}},`
}

func upstreamTLS() string {
	return `"transport_socket":{"name":"envoy.transport_sockets.tls","typed_config":{
  "@type":"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext","sni":"server.bench.local",` +
		fmt.Sprintf(commonTLS, serverID) + `}},`
}
