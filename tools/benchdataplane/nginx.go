package main

import (
	"context"
	"fmt"
	"strings"
)

// nginx speaks HTTP/2 to clients, and to upstreams only for gRPC: elsewhere its
// hops are joined by HTTP/1.1.
type nginx struct{}

func (nginx) name() string { return "nginx" }

func (nginx) start(ctx context.Context, b *bench, h hop) (*running, error) {
	if h.h2 && !h.grpc {
		h.h2 = !h.in
		if !h.out {
			h.upstream = b.backends.h1
		}
	}
	listen, location, err := b.nginxTLS(h)
	if err != nil {
		return nil, err
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	file, err := b.write(h.name+".conf", nginxConfig(b.dir, h, addr, listen, location))
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
	return &running{addr: addr, hops: []process{{h.name, children(cmd.Process.Pid)}}, stop: []func(){stop}}, nil
}

// nginxTLS gives the directives of the server and of its locations. nginx can
// only check DNS names of upstreams; chain verification is what it can do for a
// SPIFFE certificate, and its name check is off by default.
func (b *bench) nginxTLS(h hop) (listen, location string, err error) {
	if !h.in && !h.out {
		return "", "", nil
	}
	pem, err := b.keyPair(h.authority, h.id(), h.name+".pem")
	if h.in {
		return fmt.Sprintf("ssl_protocols TLSv1.3; ssl_certificate %[1]s; ssl_certificate_key %[1]s; ssl_client_certificate %[2]s; ssl_verify_client on; ssl_verify_depth 3;",
			pem, h.authority.root), "", err
	}
	of := "proxy"
	if h.grpc {
		of = "grpc"
	}
	return "", fmt.Sprintf("%[3]s_ssl_protocols TLSv1.3; %[3]s_ssl_certificate %[1]s; %[3]s_ssl_certificate_key %[1]s; %[3]s_ssl_trusted_certificate %[2]s; %[3]s_ssl_verify_depth 3;",
		pem, h.authority.root, of), err
}

func nginxHead(dir, name string) string {
	return fmt.Sprintf(`daemon off; worker_processes 1; error_log /dev/null; pid %[1]s/%[2]s.pid;
events { worker_connections 4096; }
http { access_log off; client_body_temp_path %[1]s/%[2]s-body; proxy_temp_path %[1]s/%[2]s-proxy;
  fastcgi_temp_path %[1]s/%[2]s-f; uwsgi_temp_path %[1]s/%[2]s-u; scgi_temp_path %[1]s/%[2]s-s; keepalive_timeout 75s; sendfile on;
`, dir, name)
}

func nginxConfig(dir string, h hop, addr, listenTLS, locationTLS string) string {
	flags, pass := "", "proxy_pass http"
	if h.grpc {
		pass = "grpc_pass grpc"
	}
	if h.out {
		pass += "s"
	}
	if h.in {
		flags = " ssl"
	}
	if h.h2 {
		flags += " http2"
	}
	header := `proxy_http_version 1.1; proxy_set_header Connection "";`
	if h.grpc {
		header = ""
	}
	var locations strings.Builder
	for _, prefix := range nginxPrefixes(h.routes) {
		fmt.Fprintf(&locations, "    location %s { %s://backend; %s %s }\n", prefix, pass, header, locationTLS)
	}
	return nginxHead(dir, h.name) + fmt.Sprintf(`
  upstream backend { server %s; keepalive 256; keepalive_requests 1000000000; }
  server { listen %s%s backlog=1024; keepalive_requests 1000000000; %s
%s  }
}
`, h.upstream, addr, flags, listenTLS, locations.String())
}

func nginxPrefixes(routes int) []string {
	if routes == 0 {
		return []string{"/"}
	}
	var out []string
	for i := range routes {
		out = append(out, fmt.Sprintf("/r/%d/", i))
	}
	return out
}
