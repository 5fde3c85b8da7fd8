package kube

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// rewrite is one probe of a container that goes to the proxy.
type rewrite struct {
	init      bool // of an init container
	container int
	kind      string // "liveness", "readiness" or "startup"
	name      string // of the container
	target    string // "http://:9080/healthz", "https://…", "tcp://:5432" or "grpc://:9090/service"
}

// path by which the kubelet asks, without the slash before it.
func (r rewrite) path() string { return "app/" + r.name + "/" + r.kind }

// rewritten are the probes that go to the proxy: all but those that run a
// program, and those that ask another host.
func (a *addition) rewritten() []rewrite {
	if a.service.Injection.KeepProbes {
		return nil
	}
	var out []rewrite
	for _, list := range []struct {
		init bool
		all  []application
	}{{true, a.pod.Spec.InitContainers}, {false, a.pod.Spec.Containers}} {
		if list.init && a.options.Classic {
			continue // they are asked while there is no proxy
		}
		for i := range list.all {
			c := &list.all[i]
			for _, p := range []struct {
				kind string
				is   *appProbe
			}{{"liveness", c.LivenessProbe}, {"readiness", c.ReadinessProbe}, {"startup", c.StartupProbe}} {
				if to := c.target(p.is); to != "" {
					out = append(out, rewrite{list.init, i, p.kind, c.Name, to})
				}
			}
		}
	}
	return out
}

// target is what a probe asks, "" for one that stays as it is.
func (c *application) target(p *appProbe) string {
	switch {
	case p == nil:
		return ""
	case p.HTTPGet != nil && own(p.HTTPGet.Host):
		port := c.port(p.HTTPGet.Port)
		path := p.HTTPGet.Path
		if !strings.HasPrefix(path, "/") {
			path = "/" + path
		}
		if port == 0 {
			return ""
		}
		scheme := "http"
		if p.HTTPGet.Scheme == "HTTPS" {
			scheme = "https"
		}
		return fmt.Sprintf("%s://:%d%s", scheme, port, path)
	case p.TCPSocket != nil && own(p.TCPSocket.Host):
		if port := c.port(p.TCPSocket.Port); port != 0 {
			return fmt.Sprintf("tcp://:%d", port)
		}
	case p.GRPC != nil && p.GRPC.Port > 0:
		return fmt.Sprintf("grpc://:%d/%s", p.GRPC.Port, url.PathEscape(p.GRPC.Service))
	}
	return ""
}

// own says that a probe asks its own pod.
func own(host string) bool { return host == "" }

// port gives the number of a port by number or name; 0 for one that there is not.
func (c *application) port(p any) int {
	switch v := p.(type) {
	case int:
		return v
	case string:
		if n, err := strconv.Atoi(v); err == nil {
			return n
		}
		for _, named := range c.Ports {
			if named.Name == v {
				return named.Number
			}
		}
	}
	return 0
}
