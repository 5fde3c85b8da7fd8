// Package xds turns the model of a mesh and the workloads that run it into the
// Envoy v3 resources of one proxy: listeners, route configurations, clusters
// and endpoints. Same input, same bytes: every list is sorted, every message
// inside an Any is marshalled deterministically.
package xds

import (
	"fmt"
	"slices"
	"strings"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/meshc/meshc/compiler/digest"
	"github.com/meshc/meshc/compiler/emit/xds/valid"
	"github.com/meshc/meshc/compiler/model"
)

// Options say what a set of resources is for.
type Options struct {
	// Now decides which faults are still on: those whose Until is after it.
	Now time.Time
	// Commit goes to the route metadata meshc.dev; empty is left out.
	Commit string
	// Static makes resources for a bootstrap that has no ADS: routes and
	// endpoints are inline, the trust bundle comes from meshc-agent.
	Static bool
	// Patched, unless nil, is told of the raw patches as they are merged.
	Patched Patched
}

// Resources of one proxy, each list sorted by name.
type Resources struct {
	Listeners []*listenerv3.Listener
	Routes    []*routev3.RouteConfiguration
	Clusters  []*clusterv3.Cluster
	Endpoints []*endpointv3.ClusterLoadAssignment
	// Bundles names the trust bundle secrets that the resources refer to; the
	// server that pushes them fills these in.
	Bundles []string
	// Unplaced names what was left out because the workload says no address
	// for it: discovery is behind the model. The rest stands on its own.
	Unplaced []string
}

// Emit gives the resources of w, a workload of m; all lists every workload of
// the mesh, for endpoints. An error names the workload, service or route that
// cannot be said in xDS, or that no proxy of this version serves, and the
// resource and field that Envoy or grpc-go would refuse (package valid). A listener
// without an address is left out and named in Unplaced.
func Emit(m *model.Mesh, w *model.Workload, all []*model.Workload, o Options) (*Resources, error) {
	ix, err := newIndex(m, w, all)
	if err != nil {
		return nil, err
	}
	return emit(ix, w, o)
}

// emitter collects the resources of one proxy.
type emitter struct {
	*index
	self *model.Workload
	opts Options
	out  *Resources

	shared *Renderer   // what proxies have in common; nil when this is about one
	page   *page       // what came from there
	traits *digest.Sum // of self; nil before they are asked for
	holes  holes       // of the unit that is asked for
	bare   bool        // raw patches are left out

	names  map[uint16]*byName            // what a captured pod calls by name, by port
	inline []*routev3.RouteConfiguration // what a static bootstrap has inside of its listeners
}

// run collects what the role of the proxy asks for.
func (e *emitter) run() error {
	w := e.self
	var err error
	switch w.Role {
	case model.RoleSidecar:
		err = e.sidecar()
	case model.RoleGateway:
		err = e.gateway()
	case model.RoleGRPC:
		err = e.grpc()
	default:
		err = fmt.Errorf("unknown role %q", w.Role)
	}
	if err == nil {
		err = e.patchAll()
	}
	if err == nil && w.Capture != nil {
		err = e.capture()
	}
	if err == nil {
		e.count()
		err = e.validate()
	}
	if err != nil {
		return fmt.Errorf("workload %s/%s: %w", w.Service.Namespace, w.ID, err)
	}
	return nil
}

// validate holds what was collected against the rules of those that read it.
func (e *emitter) validate() error {
	return valid.Set(&valid.Resources{
		Listeners: e.out.Listeners,
		Routes:    append(e.inline, e.out.Routes...),
		Clusters:  e.out.Clusters,
		Endpoints: e.out.Endpoints,
		Beside:    e.beside(),
	})
}

// addRoutes hands rc over to RDS; a static bootstrap has it inline instead.
func (e *emitter) addRoutes(rc *routev3.RouteConfiguration) {
	if e.opts.Static {
		e.inline = append(e.inline, rc)
		return
	}
	e.out.Routes = append(e.out.Routes, rc)
}

// unplaced notes that there is no address for what.
func (e *emitter) unplaced(format string, args ...any) {
	e.out.Unplaced = append(e.out.Unplaced, fmt.Sprintf(format, args...))
}

func (e *emitter) addListener(l *listenerv3.Listener) {
	e.out.Listeners = append(e.out.Listeners, l)
}

// useBundle notes that a resource refers to the trust bundle over ADS.
func (e *emitter) useBundle(name string) {
	if !slices.Contains(e.out.Bundles, name) {
		e.out.Bundles = append(e.out.Bundles, name)
	}
}

// Complete is an error that names what is Unplaced, for those who write files
// and cannot wait for discovery.
func (r *Resources) Complete() error {
	if len(r.Unplaced) == 0 {
		return nil
	}
	return fmt.Errorf("no address for %s", strings.Join(r.Unplaced, ", "))
}

func (r *Resources) sort() {
	sortByName(r.Listeners, (*listenerv3.Listener).GetName)
	sortByName(r.Routes, (*routev3.RouteConfiguration).GetName)
	sortByName(r.Clusters, (*clusterv3.Cluster).GetName)
	sortByName(r.Endpoints, (*endpointv3.ClusterLoadAssignment).GetClusterName)
	slices.Sort(r.Bundles)
	slices.Sort(r.Unplaced)
}

func sortByName[T any](list []T, name func(T) string) {
	slices.SortFunc(list, func(a, b T) int { return strings.Compare(name(a), name(b)) })
}
