package check

import (
	"cmp"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/snapshot"
)

const (
	// proxyUser is the user of proxies, whose traffic is not captured.
	proxyUser = 1337
	// autoImage stands in a pod until injection puts the proxy's image there.
	autoImage = "auto"
	// injectLabel of a namespace asks for proxies, with the value "enabled".
	injectLabel = "meshc.dev/inject"
)

// otherInjection are labels by which other meshes ask for theirs.
var otherInjection = []string{"istio-injection", "istio.io/rev", "linkerd.io/inject"}

func (c *overClusters) pods() {
	for _, s := range c.mesh.Services {
		for _, x := range c.clusters {
			for _, p := range x.selected(x.services[s.Ref]) {
				c.pod(s, x, p)
			}
		}
	}
}

// pod judges one pod of a service. Where a service speaks gRPC only, its
// applications may read xDS themselves and need no proxy.
func (c *overClusters) pod(s *model.Service, x *indexed, p *snapshot.Pod) {
	name := p.Namespace + "/" + p.Name
	if (p.ProxyImage == "" || p.ProxyImage == autoImage) && !proxyless(s) {
		c.report(diag.PodWithoutProxy, p.At, "pod %q of service %q in cluster %q has no proxy", name, s.Ref, x.Name)
	}
	if p.RunAsUser != nil && *p.RunAsUser == proxyUser {
		c.report(diag.PodRunsAsProxy, p.At, "the application of pod %q in cluster %q runs as user %d, which is the proxy's", name, x.Name, proxyUser)
	}
	if account := cmp.Or(p.ServiceAccount, "default"); account != s.ServiceAccount {
		d := c.report(diag.AccountDiffers, p.At, "pod %q in cluster %q runs as account %q, and the mesh gives service %q the account %q", name, x.Name, account, s.Ref, s.ServiceAccount)
		d.Help = "write `serviceAccount: \"" + account + "\"`, or run the pod under its own account"
		d.Related = []diag.Related{{Range: s.Origin, Message: "the service"}}
	}
}

// proxyless says that a service may have applications that read xDS: all that
// it speaks is gRPC.
func proxyless(s *model.Service) bool {
	return len(s.Ports) > 0 && !slices.ContainsFunc(s.Ports, func(p model.Port) bool { return p.Protocol != model.GRPC })
}

// namespaces judges the labels of those in which the mesh has something.
func (c *overClusters) namespaces() {
	used := map[string]bool{}
	for _, s := range c.mesh.Services {
		used[s.Namespace] = true
	}
	for _, x := range c.clusters {
		for i := range x.Namespaces {
			n := &x.Namespaces[i]
			if !used[n.Name] {
				continue
			}
			own, asked := n.Labels[injectLabel]
			other := slices.IndexFunc(otherInjection, func(label string) bool { _, ok := n.Labels[label]; return ok })
			switch {
			case asked && other >= 0:
				c.report(diag.InjectionLabels, n.At, "namespace %q in cluster %q has the labels %s and %s", n.Name, x.Name, injectLabel, otherInjection[other])
			case own != "enabled":
				c.report(diag.NamespaceUninjected, n.At, "namespace %q in cluster %q does not ask for proxies", n.Name, x.Name).Help = "label it " + injectLabel + "=enabled"
			}
		}
	}
}

// proxyImages compares the proxies of a namespace, and reports the first pod
// with another one than most have.
func (c *overClusters) proxyImages() {
	for _, x := range c.clusters {
		done := map[string]bool{}
		for _, s := range c.mesh.Services {
			if done[s.Namespace] {
				continue
			}
			done[s.Namespace] = true
			count, usual := map[string]int{}, ""
			for _, p := range x.pods[s.Namespace] {
				if p.ProxyImage == "" || p.ProxyImage == autoImage {
					continue
				}
				if count[p.ProxyImage]++; usual == "" || count[p.ProxyImage] > count[usual] {
					usual = p.ProxyImage
				}
			}
			for _, p := range x.pods[s.Namespace] {
				if count[p.ProxyImage] > 0 && p.ProxyImage != usual {
					c.report(diag.ProxyImagesDiffer, p.At, "pod %q runs proxy %q, and %d others of namespace %q in cluster %q run %q", p.Namespace+"/"+p.Name, p.ProxyImage, count[usual], s.Namespace, x.Name, usual).
						Help = "restart it, so that it gets the proxy of today"
					break
				}
			}
		}
	}
}
