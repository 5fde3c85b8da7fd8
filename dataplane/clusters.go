package dataplane

import (
	"bufio"
	"fmt"
	"io"

	"github.com/meshc/meshc/dataplane/cluster"
	"github.com/meshc/meshc/dataplane/engine"
	"github.com/meshc/meshc/dataplane/snapshot"
)

// WriteClusters implements admin.Proxy.
func (p page) WriteClusters(w io.Writer) error {
	p.mu.Lock()
	e := p.engine
	p.mu.Unlock()
	if e == nil {
		return nil
	}
	out := bufio.NewWriter(w)
	for _, c := range e.Clusters() {
		writeCluster(out, c)
	}
	return out.Flush()
}

// writeCluster writes lines of Envoy's form: the cluster, the endpoint, what, and
// the value, with "::" between them.
func writeCluster(w io.Writer, c engine.ClusterStatus) {
	limit := func(name string, said, otherwise uint32) {
		if said == 0 {
			said = otherwise
		}
		fmt.Fprintf(w, "%s::default_priority::%s::%d\n", c.Name, name, said)
	}
	fmt.Fprintf(w, "%s::observability_name::%s\n", c.Name, c.Name)
	limit("max_connections", c.MaxConnections, cluster.DefaultMaxConnections)
	limit("max_pending_requests", c.MaxPending, cluster.DefaultMaxPending)
	limit("max_requests", c.MaxRequests, cluster.DefaultMaxRequests)
	limit("max_retries", c.MaxRetries, cluster.DefaultMaxRetries)
	for _, ep := range c.Endpoints {
		known, watched := c.Known[ep.Addr]
		say := func(name string, value any) { fmt.Fprintf(w, "%s::%s::%s::%v\n", c.Name, ep.Addr, name, value) }
		if watched {
			say("rq_active", known.Active)
			say("ejections", known.Ejections)
		}
		say("health_flags", healthFlags(ep, known))
		say("weight", ep.Weight)
		say("region", ep.Locality.Region)
		say("zone", ep.Locality.Zone)
		say("sub_zone", ep.Locality.SubZone)
		say("priority", ep.Priority)
	}
}

func healthFlags(ep snapshot.Endpoint, known cluster.HostStatus) string {
	flags := ""
	for _, f := range []struct {
		set  bool
		name string
	}{{known.Unwell, "/failed_active_hc"}, {known.Ejected, "/failed_outlier_check"}, {!ep.Healthy, "/failed_eds_health"}} {
		if f.set {
			flags += f.name
		}
	}
	if flags == "" {
		return "healthy"
	}
	return flags
}
