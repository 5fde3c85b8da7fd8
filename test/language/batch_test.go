package language

import (
	"errors"
	"fmt"
	"testing"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tracev3 "github.com/envoyproxy/go-control-plane/envoy/config/trace/v3"
	limitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/connection_limit/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/test/stock"
)

// batchProxies is how many proxies one Envoy validates at once.
const batchProxies = 400

// batch is one bootstrap made of those of many proxies: the names of listeners
// and clusters have a prefix, and each listener has an address of its own.
type batch struct {
	boot   *bootstrapv3.Bootstrap
	single map[string]*bootstrapv3.Bootstrap
	known  map[string]bool // clusters that all proxies have
	bound  uint32
}

func newBatch() *batch {
	return &batch{
		boot:   &bootstrapv3.Bootstrap{Node: &corev3.Node{Id: "batch", Cluster: "batch"}, StaticResources: &bootstrapv3.Bootstrap_StaticResources{}},
		single: map[string]*bootstrapv3.Bootstrap{},
		known:  map[string]bool{},
	}
}

func (b *batch) full() bool { return len(b.single) >= batchProxies }

func (b *batch) add(seed uint64, node string, boot *bootstrapv3.Bootstrap) error {
	name := fmt.Sprintf("seed %d: %s", seed, node)
	b.single[name] = proto.Clone(boot).(*bootstrapv3.Bootstrap)
	prefix := fmt.Sprintf("%d/%s/", seed, node)
	b.boot.LayeredRuntime = boot.LayeredRuntime
	to := b.boot.StaticResources
	for _, c := range boot.StaticResources.Clusters {
		if c.Name == xds.AgentCluster {
			if !b.known[c.Name] {
				to.Clusters = append(to.Clusters, c)
			}
			b.known[c.Name] = true
			continue
		}
		c.Name = prefix + c.Name
		c.LoadAssignment.ClusterName = c.Name
		to.Clusters = append(to.Clusters, c)
	}
	for _, l := range boot.StaticResources.Listeners {
		l.Name = prefix + l.Name
		b.bound++
		l.Address.GetSocketAddress().Address = fmt.Sprintf("127.%d.%d.%d", 1+b.bound>>16, b.bound>>8&255, b.bound&255)
		done := map[*listenerv3.Filter]bool{} // chains may share a filter
		for _, c := range l.FilterChains {
			for _, f := range c.Filters {
				if done[f] {
					continue
				}
				done[f] = true
				if err := prefixed(f.GetTypedConfig(), prefix); err != nil {
					return err
				}
			}
		}
		to.Listeners = append(to.Listeners, l)
	}
	return nil
}

// prefixed renames the clusters that a connection manager's routes lead to;
// filters that lead nowhere stay as they are.
func prefixed(packed *anypb.Any, prefix string) error {
	hcm, limit := &hcmv3.HttpConnectionManager{}, &limitv3.ConnectionLimit{}
	if packed.MessageIs(limit) {
		return nil
	}
	if err := packed.UnmarshalTo(hcm); err != nil {
		return err
	}
	for _, v := range hcm.GetRouteConfig().GetVirtualHosts() {
		for _, r := range v.Routes {
			if c, ok := r.GetRoute().GetClusterSpecifier().(*routev3.RouteAction_Cluster); ok {
				c.Cluster = prefix + c.Cluster
			}
			for _, w := range r.GetRoute().GetWeightedClusters().GetClusters() {
				w.Name = prefix + w.Name
			}
			for _, m := range r.GetRoute().GetRequestMirrorPolicies() {
				m.Cluster = prefix + m.Cluster
			}
		}
	}
	if err := prefixedTracer(hcm, prefix); err != nil {
		return err
	}
	return packed.MarshalFrom(hcm)
}

// prefixedTracer renames the cluster that a connection manager's spans go to, which
// Envoy looks for when it reads a Zipkin collector.
func prefixedTracer(hcm *hcmv3.HttpConnectionManager, prefix string) error {
	packed := hcm.GetTracing().GetProvider().GetTypedConfig()
	zipkin := &tracev3.ZipkinConfig{}
	if !packed.MessageIs(zipkin) {
		return nil
	}
	if err := packed.UnmarshalTo(zipkin); err != nil {
		return err
	}
	zipkin.CollectorCluster = prefix + zipkin.CollectorCluster
	return packed.MarshalFrom(zipkin)
}

func (b *batch) config(t *testing.T) []byte { return toJSON(t, b.boot) }

func toJSON(t *testing.T, m proto.Message) []byte {
	t.Helper()
	out, err := xds.JSON(m)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// envoyValidates is an error if Envoy refuses config or complains of it.
func envoyValidates(t *testing.T, envoy string, config []byte) ([]byte, error) {
	t.Helper()
	log, err := stock.Validate(t, envoy, config)
	if line := stock.Complaint(log); err == nil && line != "" {
		err = errors.New(line)
	}
	return log, err
}
