package main

import (
	"context"
	"fmt"
	"strings"
)

type haproxy struct{}

func (haproxy) name() string { return "haproxy" }

func (haproxy) start(ctx context.Context, b *bench, h hop) (*running, error) {
	var tls string
	if h.in || h.out {
		pem, err := b.keyPair(h.authority, h.id(), h.name+".pem")
		if err != nil {
			return nil, err
		}
		tls = fmt.Sprintf(" ssl crt %s ca-file %s verify required", pem, h.authority.root)
		if h.h2 {
			tls += " alpn h2"
		}
	}
	routes, err := b.haproxyRoutes(h)
	if err != nil {
		return nil, err
	}
	return b.single(ctx, h, func(addr string) (string, []string, error) {
		file, err := b.write(h.name+".cfg", haproxyConfig(h, addr, tls, routes))
		return b.paths.haproxy, []string{"-db", "-f", file}, err
	})
}

// haproxyRoutes is the rule that chooses the backend: by a map of prefixes, which
// is how HAProxy does it best.
func (b *bench) haproxyRoutes(h hop) (string, error) {
	if h.routes == 0 {
		return "default_backend out", nil
	}
	var m strings.Builder
	for i := range h.routes {
		fmt.Fprintf(&m, "/r/%d/ out\n", i)
	}
	file, err := b.write(h.name+".map", m.String())
	return fmt.Sprintf("use_backend %%[path,map_beg(%s)]", file), err
}

// haproxyConfig listens on addr and forwards to upstream, with TLS on the side
// that has it.
func haproxyConfig(h hop, addr, tls, routes string) string {
	mode, bind, server := "http", "", ""
	switch {
	case h.tcp:
		mode = "tcp"
	case h.h2:
		bind, server = " proto h2", " proto h2"
	}
	if h.in {
		bind = tls
	}
	if h.out {
		server = tls
	}
	reuse := "http-reuse always"
	if h.tcp {
		reuse = ""
	}
	return fmt.Sprintf(`global
  nbthread 1
  maxconn 4096
  tune.ssl.default-dh-param 2048
defaults
  mode %s
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  %s
frontend in
  bind %s%s
  %s
backend out
  server one %s%s
`, mode, reuse, addr, bind, routes, h.upstream, server)
}
