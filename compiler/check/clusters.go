package check

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/snapshot"
)

// overClusters is what the passes over a mesh and a snapshot share.
type overClusters struct {
	mesh     *model.Mesh
	now      time.Time
	clusters []*indexed
	diags    diag.List
	said     map[string]bool
}

// clusterPasses in the order in which they run.
var clusterPasses = []func(*overClusters){
	(*overClusters).services,        // services and their ports are there, and pods of their versions
	(*overClusters).pods,            // pods of services have a proxy and the right identity
	(*overClusters).targetPorts,     // one use of a port of a pod
	(*overClusters).namespaces,      // injection is asked for once
	(*overClusters).proxyImages,     // one proxy in a namespace
	(*overClusters).gateways,        // gateways have workloads, ports and certificates
	(*overClusters).externalSecrets, // what is shown to externals is there
	(*overClusters).certificates,    // certificates are, and stay, valid
	(*overClusters).sameEverywhere,  // a service is one in all clusters
	(*overClusters).definitions,     // CRDs serve what meshc writes
}

// Snapshot judges a lowered mesh beside a recorded state of clusters, at the
// time now. Places are in the mesh where it says something, and else in the
// snapshot.
func Snapshot(m *model.Mesh, s *snapshot.Snapshot, now time.Time) diag.List {
	c := &overClusters{mesh: m, now: now, said: map[string]bool{}}
	for i := range s.Clusters {
		c.clusters = append(c.clusters, newIndexed(&s.Clusters[i]))
	}
	for _, pass := range clusterPasses {
		pass(c)
	}
	c.diags.Sort()
	return c.diags
}

// report says one thing about one place once, however many clusters show it.
func (c *overClusters) report(code diag.Code, at diag.Range, format string, args ...any) *diag.Diagnostic {
	d := diag.New(code, at, format, args...)
	if key := string(code) + at.String(); !c.said[key] {
		c.said[key] = true
		c.diags.Add(d)
		return &c.diags[len(c.diags)-1]
	}
	return &d
}

// indexed is a cluster with its objects by name.
type indexed struct {
	*snapshot.Cluster
	services   map[model.Ref]*snapshot.Service
	secrets    map[model.Ref]*snapshot.Secret
	namespaces map[string]*snapshot.Namespace
	pods       map[string][]*snapshot.Pod // by namespace
	labelled   map[podLabel][]*snapshot.Pod
	chosen     map[*snapshot.Service][]*snapshot.Pod // what selected gave
}

// podLabel is one label of the pods of a namespace.
type podLabel struct{ namespace, key, value string }

func newIndexed(c *snapshot.Cluster) *indexed {
	x := &indexed{Cluster: c, services: map[model.Ref]*snapshot.Service{}, secrets: map[model.Ref]*snapshot.Secret{},
		namespaces: map[string]*snapshot.Namespace{}, pods: map[string][]*snapshot.Pod{},
		labelled: map[podLabel][]*snapshot.Pod{}, chosen: map[*snapshot.Service][]*snapshot.Pod{}}
	for i := range c.Services {
		s := &c.Services[i]
		x.services[model.Ref{Namespace: s.Namespace, Name: s.Name}] = s
	}
	for i := range c.Secrets {
		s := &c.Secrets[i]
		x.secrets[model.Ref{Namespace: s.Namespace, Name: s.Name}] = s
	}
	for i := range c.Namespaces {
		x.namespaces[c.Namespaces[i].Name] = &c.Namespaces[i]
	}
	for i := range c.Pods {
		p := &c.Pods[i]
		x.pods[p.Namespace] = append(x.pods[p.Namespace], p)
		for k, v := range p.Labels {
			label := podLabel{p.Namespace, k, v}
			x.labelled[label] = append(x.labelled[label], p)
		}
	}
	return x
}

// selected lists the pods of a service; one without selector has none. It looks
// only at those with the rarest of the labels.
func (x *indexed) selected(s *snapshot.Service) []*snapshot.Pod {
	if s == nil || len(s.Selector) == 0 {
		return nil
	}
	if out, done := x.chosen[s]; done {
		return out
	}
	var fewest []*snapshot.Pod
	first := true
	for k, v := range s.Selector {
		if pods := x.labelled[podLabel{s.Namespace, k, v}]; first || len(pods) < len(fewest) {
			fewest, first = pods, false
		}
	}
	var out []*snapshot.Pod
	for _, p := range fewest {
		if hasLabels(p, s.Selector) {
			out = append(out, p)
		}
	}
	x.chosen[s] = out
	return out
}

func hasLabels(p *snapshot.Pod, labels map[string]string) bool {
	for k, v := range labels {
		if have, ok := p.Labels[k]; !ok || have != v {
			return false
		}
	}
	return true
}

// targetOf is the port of pods that a port of a service leads to, by number; 0
// when it has a name that no pod declares.
func targetOf(p *snapshot.ServicePort, pods []*snapshot.Pod) int {
	if p.TargetName == "" {
		if p.TargetPort == 0 {
			return p.Port
		}
		return p.TargetPort
	}
	for _, pod := range pods {
		for _, declared := range pod.Ports {
			if declared.Name == p.TargetName {
				return declared.Port
			}
		}
	}
	return 0
}

func (c *overClusters) services() {
	for _, s := range c.mesh.Services {
		if len(s.Ports) == 0 {
			continue // nobody calls it, so it needs no Service
		}
		found := false
		for _, x := range c.clusters {
			if have := x.services[s.Ref]; have != nil {
				found = true
				c.ports(s, x, have)
			}
		}
		if !found {
			c.report(diag.NotInCluster, s.Origin, "no cluster has a service %q", s.Ref).Help = "create it, or write the `namespace` in which it is"
			continue
		}
		c.versions(s)
		c.judgedPods(s)
	}
}

// judgedPods finds detectors of outliers that need more endpoints than
// there are pods of the version.
func (c *overClusters) judgedPods(s *model.Service) {
	for i := range s.Versions {
		v := &s.Versions[i]
		if v.Traffic == nil || v.Traffic.Outliers == nil {
			continue
		}
		o, least, at := v.Traffic.Outliers, uint32(0), diag.Range{}
		if r := o.SuccessRate; r != nil {
			least, at = r.MinHosts, r.Origin
		}
		if f := o.FailurePercent; f != nil && (least == 0 || f.MinHosts > least) {
			least, at = f.MinHosts, f.Origin
		}
		if n := c.countPods(s, v); n > 0 && uint32(n) < least {
			c.report(diag.TooFewPods, at, "version %q of service %q has %d pods, and the judgement needs %d", v.Name, s.Ref, n, least).
				Help = "lower minHosts, or find outliers by consecutive failures"
		}
	}
}

// countPods counts the pods of a version in all clusters: endpoints of all may
// be given to a caller.
func (c *overClusters) countPods(s *model.Service, v *model.Version) int {
	n := 0
	for _, x := range c.clusters {
		for _, p := range x.selected(x.services[s.Ref]) {
			if hasLabels(p, v.Labels) {
				n++
			}
		}
	}
	return n
}

// ports holds the ports of the mesh against those of a cluster.
func (c *overClusters) ports(s *model.Service, x *indexed, have *snapshot.Service) {
	pods := x.selected(have)
	for _, p := range s.Ports {
		i := slices.IndexFunc(have.Ports, func(h snapshot.ServicePort) bool { return h.Port == int(p.Number) })
		if i < 0 {
			c.report(diag.PortNotInCluster, p.Origin, "service %q has no port %d in cluster %q", s.Ref, p.Number, x.Name)
			continue
		}
		h := &have.Ports[i]
		if spoken := protocolOf(h.AppProtocol); spoken != "" && spoken != p.Protocol {
			d := c.report(diag.ProtocolDiffers, h.At, "port %d of service %q has appProtocol %q in cluster %q, and the mesh says %s", h.Port, s.Ref, h.AppProtocol, x.Name, p.Protocol)
			d.Related = []diag.Related{{Range: p.Origin, Message: "the port in the mesh"}}
		}
		if t := targetOf(h, pods); !declared(pods, t) {
			c.report(diag.TargetPortMissing, h.At, "port %d of service %q leads to port %s, which none of its pods in cluster %q declares", h.Port, s.Ref, targetText(h), x.Name)
		}
	}
}

func targetText(p *snapshot.ServicePort) string {
	if p.TargetName != "" {
		return fmt.Sprintf("%q", p.TargetName)
	}
	return fmt.Sprint(targetOf(p, nil))
}

// declared says that a pod declares a port, or that nothing is known: pods need
// not declare any.
func declared(pods []*snapshot.Pod, port int) bool {
	silent := true
	for _, p := range pods {
		silent = silent && len(p.Ports) == 0
		if slices.ContainsFunc(p.Ports, func(d snapshot.PodPort) bool { return d.Port == port }) {
			return true
		}
	}
	return silent
}

// protocolOf reads an appProtocol, where it says what the language knows.
func protocolOf(app string) model.Protocol {
	switch app {
	case "http":
		return model.HTTP
	case "grpc", "kubernetes.io/h2c", "http2":
		return model.GRPC
	case "tcp":
		return model.TCP
	}
	return ""
}

// versions looks for pods of each version that a route sends to.
func (c *overClusters) versions(s *model.Service) {
	for i := range s.Versions {
		v := &s.Versions[i]
		used := slices.ContainsFunc(s.Routes, func(r *model.Route) bool {
			return slices.ContainsFunc(r.Split, func(to model.Split) bool { return to.Version == v.Name })
		})
		if used && c.countPods(s, v) == 0 {
			d := c.report(diag.VersionSelectsNone, v.Origin, "no pod of service %q has the labels of version %q: %s", s.Ref, v.Name, labelsText(v.Labels))
			d.Help = "deploy it before a route sends to it, or write the `labels` that its pods have"
		}
	}
}

func labelsText(labels map[string]string) string {
	text := ""
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		if text != "" {
			text += ", "
		}
		text += k + "=" + labels[k]
	}
	return text
}

// targetPorts finds two services that lead to one port of one pod, and do not
// agree on what it is.
func (c *overClusters) targetPorts() {
	type use struct {
		service *model.Service
		port    model.Port
	}
	for _, x := range c.clusters {
		first := map[string]use{}
		for _, s := range c.mesh.Services {
			have := x.services[s.Ref]
			pods := x.selected(have)
			for _, pod := range pods {
				for i := range have.Ports {
					h := &have.Ports[i]
					p := s.Port(uint16(h.Port))
					if p == nil {
						continue
					}
					key := fmt.Sprintf("%s/%s:%d", pod.Namespace, pod.Name, targetOf(h, pods))
					other, taken := first[key]
					if !taken {
						first[key] = use{s, *p}
					} else if other.service != s && (other.port.Protocol != p.Protocol || other.port.Number != p.Number) {
						c.report(diag.TargetPortShared, h.At, "port %d (%s) of service %q and port %d (%s) of service %q lead to one port of pod %q in cluster %q",
							p.Number, p.Protocol, s.Ref, other.port.Number, other.port.Protocol, other.service.Ref, pod.Namespace+"/"+pod.Name, x.Name)
					}
				}
			}
		}
	}
}

// sameEverywhere compares the ports of a service between clusters.
func (c *overClusters) sameEverywhere() {
	for _, s := range c.mesh.Services {
		var first *snapshot.Service
		var in string
		for _, x := range c.clusters {
			have := x.services[s.Ref]
			switch {
			case have == nil:
			case first == nil:
				first, in = have, x.Name
			case portsText(first) != portsText(have):
				c.report(diag.ClustersDiffer, have.At, "service %q has ports %s in cluster %q, and %s in cluster %q", s.Ref, portsText(have), x.Name, portsText(first), in)
			}
		}
	}
}

func portsText(s *snapshot.Service) string {
	var out []string
	for _, p := range s.Ports {
		text := fmt.Sprint(p.Port)
		if p.AppProtocol != "" {
			text += " (" + p.AppProtocol + ")"
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return fmt.Sprint(out)
}

// definitions looks at the CRDs of meshc's own group.
func (c *overClusters) definitions() {
	const group, written = ".meshc.dev", "v1alpha1"
	for _, x := range c.clusters {
		for i := range x.CRDs {
			if d := &x.CRDs[i]; len(d.Name) > len(group) && d.Name[len(d.Name)-len(group):] == group && !slices.Contains(d.Served, written) {
				c.report(diag.CRDVersion, d.At, "%q serves %v in cluster %q, and meshc writes %s", d.Name, d.Served, x.Name, written)
			}
		}
	}
}
