package xds

import (
	"cmp"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tcpproxyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	"google.golang.org/protobuf/proto"
)

// edge says that a route sends requests to a cluster and answers with what
// comes back. A mirror and a share of nothing are no edges: nobody notices when
// they fail.
type edge struct{ route, cluster string }

func (e edge) compare(o edge) int {
	return cmp.Or(strings.Compare(e.route, o.route), strings.Compare(e.cluster, o.cluster))
}

// leads says whether e is among the edges of r.
func (r *Resource) leads(e edge) bool {
	_, found := slices.BinarySearchFunc(r.edges, e, edge.compare)
	return found
}

// collectEdges adds the edges of one message.
func collectEdges(m proto.Message, edges map[edge]bool) {
	switch m := m.(type) {
	case *routev3.Route:
		action := m.GetRoute()
		addEdge(edges, m.GetName(), action.GetCluster())
		for _, c := range action.GetWeightedClusters().GetClusters() {
			if c.GetWeight().GetValue() > 0 {
				addEdge(edges, m.GetName(), c.GetName())
			}
		}
	case *tcpproxyv3.TcpProxy:
		addEdge(edges, m.GetStatPrefix(), m.GetCluster())
		for _, c := range m.GetWeightedClusters().GetClusters() {
			if c.GetWeight() > 0 {
				addEdge(edges, m.GetStatPrefix(), c.GetName())
			}
		}
	}
}

func addEdge(edges map[edge]bool, route, cluster string) {
	if cluster != "" {
		edges[edge{route, cluster}] = true
	}
}

// usable counts the endpoints of an assignment that get requests: those that
// are not known to be unfit (envoy.config.core.v3.HealthStatus).
func usable(m proto.Message) int {
	n := 0
	if cla, ok := m.(*endpointv3.ClusterLoadAssignment); ok {
		for _, zone := range cla.GetEndpoints() {
			for _, e := range zone.GetLbEndpoints() {
				switch e.GetHealthStatus() {
				case corev3.HealthStatus_UNKNOWN, corev3.HealthStatus_HEALTHY, corev3.HealthStatus_DEGRADED:
					n++
				}
			}
		}
	}
	return n
}

// filled says whether every cluster that r newly sends requests to has an
// endpoint, or was waited for long enough: one that never gets an instance must
// not hold up the rest of a commit for ever. Each cluster has a wait of its own,
// and they run at the same time.
func (p *planner) filled(r *Resource) bool {
	open := true
	for _, c := range p.hollow(r) {
		if !p.lapsed(waitKey{r.Key, c, true}) {
			open = false
		}
	}
	return open
}

// hollow gives the clusters without an endpoint that a listener or route
// configuration would newly send requests to, once each. Where the client holds
// nothing of that name no request can be lost by sending it; where it refused a
// response it may hold what it confirmed before or a part of that.
func (p *planner) hollow(r *Resource) []Key {
	if r.Type != LDS && r.Type != RDS {
		return nil
	}
	ts := &p.types[r.Type]
	var held []*Resource
	for _, h := range []*Resource{ts.acked[r.Name], ts.maybe[r.Name]} {
		if h != nil {
			held = append(held, h)
		}
	}
	if len(held) == 0 && !ts.strange {
		return nil
	}
	var out []Key
	seen := map[string]bool{}
	for e := range p.newEdges(r, held) {
		if c := (Key{CDS, e.cluster}); !seen[e.cluster] && p.empty(c) {
			seen[e.cluster] = true
			out = append(out, c)
		}
	}
	return out
}

// newEdges gives the edges of r that not all of held have, and those of the route
// configurations that r brings in. A route configuration that the client has
// already is judged by itself.
func (p *planner) newEdges(r *Resource, held []*Resource) map[edge]bool {
	out := map[edge]bool{}
	for _, e := range r.edges {
		out[e] = true
	}
	for _, k := range r.Needs {
		if rc := p.goal(k); k.Type == RDS && rc != nil && p.types[RDS].acked[k.Name] == nil {
			for _, e := range rc.edges {
				out[e] = true
			}
		}
	}
	for e := range out {
		without := func(h *Resource) bool { return !h.leads(e) }
		if len(held) > 0 && !slices.ContainsFunc(held, without) {
			delete(out, e)
		}
	}
	return out
}

// empty says whether a cluster has no endpoint in the client's hands. A cluster
// that names its own addresses is never empty. Of a client that has not asked
// for the endpoints yet, what it will get counts.
func (p *planner) empty(cluster Key) bool {
	c := p.goal(cluster)
	if c == nil {
		return false
	}
	for _, k := range c.Needs {
		if k.Type != EDS {
			continue
		}
		ends := p.types[EDS].acked[k.Name]
		if ends == nil {
			ends = p.goal(k)
		}
		if ends == nil || ends.endpoints == 0 {
			return true
		}
	}
	return false
}
