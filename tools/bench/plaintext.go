package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
)

var plaintext = scenario{name: "plaintext", proxies: []proxy{
	{"haproxy", func(ctx context.Context, b *bench) (*running, error) {
		return b.single(ctx, func(addr string) (string, []string, error) {
			file, err := b.write("haproxy.cfg", haproxyConfig(addr, b.backend, "", ""))
			return b.paths.haproxy, []string{"-db", "-f", file}, err
		})
	}},
	{"nginx", func(ctx context.Context, b *bench) (*running, error) {
		return b.nginxHop(ctx, "proxy", b.backend, "", "")
	}},
	{"envoy", func(ctx context.Context, b *bench) (*running, error) {
		return b.single(ctx, func(addr string) (string, []string, error) {
			file, err := b.write("envoy.json", envoyConfig(addr, b.backend, "", "", ""))
			return b.paths.envoy, envoyArgs(file), err
		})
	}},
	{"meshc-proxy", func(ctx context.Context, b *bench) (*running, error) {
		return b.single(ctx, func(addr string) (string, []string, error) {
			file, err := b.write("meshc.json", envoyConfig(addr, b.backend, "", "", ""))
			meshc, aerr := filepath.Abs(b.paths.meshc)
			if err == nil {
				err = aerr
			}
			return meshc, []string{"-c", file, "--workers", "1", "--log-level", "warn"}, err
		})
	}},
}}

// single starts one process that listens on a fresh address.
func (b *bench) single(ctx context.Context, command func(addr string) (string, []string, error)) (*running, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	name, args, err := command(addr)
	if err != nil {
		return nil, err
	}
	cmd, stop, err := b.spawn(ctx, name, args...)
	if err != nil {
		return nil, err
	}
	return &running{addr: addr, hops: []hop{{"proxy", []int{cmd.Process.Pid}}}, stop: []func(){stop}}, nil
}

func (b *bench) write(name, content string) (string, error) {
	path := filepath.Join(b.dir, name)
	return path, os.WriteFile(path, []byte(content), 0o600)
}

// startBackend runs nginx answering 43 bytes to everything.
func (b *bench) startBackend(ctx context.Context) (func(), error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	b.backend = addr
	file, err := b.write("backend.conf", nginxHead(b.dir, "backend")+fmt.Sprintf(`
  server { listen %s backlog=1024; keepalive_requests 1000000000;
    location / { default_type text/plain; return 200 "{\"message\":\"forty-three bytes of body.....\"}\n"; } }
}
`, addr))
	if err != nil {
		return nil, err
	}
	_, stop, err := b.spawn(ctx, b.paths.nginx, "-c", file)
	if err != nil {
		return nil, err
	}
	if err := waitHTTP(ctx, addr); err != nil {
		stop()
		return nil, fmt.Errorf("backend: %w", err)
	}
	return stop, nil
}

func nginxHead(dir, name string) string {
	return fmt.Sprintf(`daemon off; worker_processes 1; error_log /dev/null; pid %[1]s/%[2]s.pid;
events { worker_connections 4096; }
http { access_log off; client_body_temp_path %[1]s/%[2]s-body; proxy_temp_path %[1]s/%[2]s-proxy;
  fastcgi_temp_path %[1]s/%[2]s-f; uwsgi_temp_path %[1]s/%[2]s-u; scgi_temp_path %[1]s/%[2]s-s; keepalive_timeout 75s;
`, dir, name)
}

// nginxHop runs nginx as a proxy; listenTLS and upstreamTLS are directives for
// the server and for the location.
func (b *bench) nginxHop(ctx context.Context, name, upstream, listenTLS, upstreamTLS string) (*running, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	ssl, scheme := "", "http"
	if listenTLS != "" {
		ssl = " ssl"
	}
	if upstreamTLS != "" {
		scheme = "https"
	}
	file, err := b.write(name+".conf", nginxHead(b.dir, name)+fmt.Sprintf(`
  upstream backend { server %s; keepalive 256; keepalive_requests 1000000000; }
  server { listen %s%s backlog=1024; keepalive_requests 1000000000; %s
    location / { proxy_pass %s://backend; proxy_http_version 1.1; proxy_set_header Connection ""; %s } }
}
`, upstream, addr, ssl, listenTLS, scheme, upstreamTLS))
	if err != nil {
		return nil, err
	}
	cmd, stop, err := b.spawn(ctx, b.paths.nginx, "-c", file)
	if err != nil {
		return nil, err
	}
	if err := waitTCP(ctx, addr); err != nil {
		stop()
		return nil, err
	}
	return &running{addr: addr, hops: []hop{{name, children(cmd.Process.Pid)}}, stop: []func(){stop}}, nil
}

// haproxyConfig listens on addr and forwards to upstream; the TLS arguments go
// on the bind and server lines.
func haproxyConfig(addr, upstream, bindTLS, serverTLS string) string {
	return fmt.Sprintf(`global
  nbthread 1
  maxconn 4096
  tune.ssl.default-dh-param 2048
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend in
  bind %s %s
  default_backend out
backend out
  server one %s %s
`, addr, bindTLS, upstream, serverTLS)
}

func envoyArgs(file string) []string {
	return []string{"-c", file, "--use-dynamic-base-id", "--concurrency", "1", "-l", "error"}
}

// envoyConfig is a static bootstrap for Envoy and meshc-proxy alike; the TLS
// arguments are transport sockets of the filter chain and of the cluster.
func envoyConfig(addr, upstream, chainTLS, clusterTLS, moreClusters string) string {
	return fmt.Sprintf(`{"node":{"id":"sidecar~bench/proxy","cluster":"bench"},
"static_resources":{
 "listeners":[{"name":"in","address":%s,"filter_chains":[{%s"filters":[{"name":"envoy.filters.network.http_connection_manager","typed_config":{
  "@type":"type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
  "stat_prefix":"in","codec_type":"HTTP1",
  "route_config":{"name":"in","virtual_hosts":[{"name":"all","domains":["*"],"routes":[{"match":{"prefix":"/"},"route":{"cluster":"out"}}]}]},
  "http_filters":[{"name":"envoy.filters.http.router","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}}]}]}],
 "clusters":[{"name":"out","type":"STATIC","connect_timeout":"5s",%s
  "load_assignment":{"cluster_name":"out","endpoints":[{"lb_endpoints":[{"endpoint":{"address":%s}}]}]}}%s]}}`,
		socketAddress(addr), chainTLS, clusterTLS, socketAddress(upstream), moreClusters)
}

func socketAddress(addr string) string {
	host, port, _ := net.SplitHostPort(addr)
	return fmt.Sprintf(`{"socket_address":{"address":%q,"port_value":%s}}`, host, port)
}
