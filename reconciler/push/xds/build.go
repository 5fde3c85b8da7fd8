package xds

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"

	"github.com/meshc/meshc/compiler/digest"
	emitxds "github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/model"
)

// Desired is what the mesh should be: the resolved model of a commit, and the
// workloads that run it. Neither may be changed once handed over.
type Desired struct {
	Mesh      *model.Mesh
	Workloads []*model.Workload
}

// EmitFunc looks at a mesh and all workloads that run it, and gives what emits
// the resources of each of them.
type EmitFunc func(m *model.Mesh, all []*model.Workload, o emitxds.Options) (emission, error)

// emission gives the resources of one workload. inputs names all that they depend on
// but the commit: resources of equal inputs are equal but for provenance. nil: nobody
// knows, and every workload is emitted each time.
type emission struct {
	emit   func(w *model.Workload) (*emitxds.Resources, error)
	inputs func(w *model.Workload) digest.Sum
}

// indexed is the EmitFunc that serves.
func indexed(m *model.Mesh, all []*model.Workload, o emitxds.Options) (emission, error) {
	ix, err := emitxds.NewIndexed(m, all, o)
	if err != nil {
		return emission{}, err
	}
	return emission{ix.Emit, ix.Inputs}, nil
}

// state is one desired state made ready to send. It is immutable.
type state struct {
	commit  string
	nodes   map[string]*nodeSet  // by node id
	bundles map[string]*Resource // by secret name
	epoch   uint64               // of the trust bundles
}

// builder turns a Desired into a state. A node whose inputs are those that it had in
// the state before keeps what it had. Content that is known already keeps its bytes,
// and is shared between nodes.
type builder struct {
	emit    EmitFunc
	now     time.Time
	commit  string
	bundles map[string]*Resource // by secret name
	epoch   uint64               // of the trust bundles
	old     *state               // nil: none
	known   *interner
}

// build emits every node before anything is sent: one failure, and nothing
// changes.
func (b *builder) build(d *Desired) (*state, error) {
	if d == nil || d.Mesh == nil {
		return nil, errors.New("no mesh to serve")
	}
	ids := identities(d.Mesh)
	st := &state{commit: b.commit, nodes: make(map[string]*nodeSet, len(d.Workloads)), bundles: b.bundles, epoch: b.epoch}
	known := slices.DeleteFunc(slices.Clone(d.Workloads), func(w *model.Workload) bool {
		// Discovery may know instances of what has left the mesh.
		return ids[ownerOf(w)] == "" || !hasVersion(d.Mesh, w)
	})
	all, err := b.emit(d.Mesh, known, emitxds.Options{Now: b.now, Commit: b.commit})
	if err != nil {
		return nil, err
	}
	for _, w := range known {
		if st.nodes[w.NodeID()] != nil {
			return nil, fmt.Errorf("two workloads have the node id %q", w.NodeID())
		}
		held, err := b.content(all, w)
		if err != nil {
			return nil, fmt.Errorf("node %s: %w", w.NodeID(), err)
		}
		st.nodes[w.NodeID()] = &nodeSet{node: w.NodeID(), spiffeID: ids[ownerOf(w)], commit: b.commit, content: held}
	}
	b.known.sweep(st)
	return st, nil
}

// content gives what a workload may see: as it was, where nothing that it depends on
// is different.
func (b *builder) content(all emission, w *model.Workload) (*content, error) {
	if all.inputs == nil {
		return b.emitted(all, w)
	}
	inputs := all.inputs(w)
	if b.old != nil {
		if was := b.old.nodes[w.NodeID()]; was != nil && was.inputs == inputs {
			return b.bundled(was.content)
		}
	}
	out, err := b.emitted(all, w)
	if err == nil {
		out.inputs = inputs
	}
	return out, err
}

// bundled gives a content with the trust bundles of now.
func (b *builder) bundled(c *content) (*content, error) {
	same := maps.EqualFunc(b.old.bundles, b.bundles, func(x, y *Resource) bool { return x == y })
	if same {
		return c, nil
	}
	out := &content{inputs: c.inputs, unplaced: c.unplaced, res: c.res}
	return out, b.finish(out)
}

// owner says whose identity a workload bears: a gateway's or a service's.
type owner struct {
	gateway bool
	ref     model.Ref
}

func ownerOf(w *model.Workload) owner { return owner{w.Role == model.RoleGateway, w.Service} }

// hasVersion says whether the version of a service's instance is in the mesh.
func hasVersion(m *model.Mesh, w *model.Workload) bool {
	s := m.Service(w.Service)
	return w.Role == model.RoleGateway || s == nil || s.Version(w.Version) != nil
}

func identities(m *model.Mesh) map[owner]string {
	ids := make(map[owner]string, len(m.Services)+len(m.Gateways))
	for _, s := range m.Services {
		ids[owner{false, s.Ref}] = s.SPIFFEID
	}
	for _, g := range m.Gateways {
		ids[owner{true, g.Ref}] = g.SPIFFEID
	}
	return ids
}

// emitted makes the content of a node.
func (b *builder) emitted(all emission, w *model.Workload) (*content, error) {
	out, err := all.emit(w)
	if err != nil {
		return nil, err
	}
	b.known.emitted++
	c := &content{unplaced: out.Unplaced}
	err = errors.Join(
		addAll(b, c, CDS, out.Clusters, (*clusterv3.Cluster).GetName),
		addAll(b, c, EDS, out.Endpoints, (*endpointv3.ClusterLoadAssignment).GetClusterName),
		addAll(b, c, LDS, out.Listeners, (*listenerv3.Listener).GetName),
		addAll(b, c, RDS, out.Routes, (*routev3.RouteConfiguration).GetName),
	)
	if err != nil {
		return nil, err
	}
	return c, b.finish(c)
}

// finish adds the trust bundles, and holds the whole together.
func (b *builder) finish(c *content) error {
	b.addBundles(c)
	c.index()
	if from, to, found := c.missing(); found {
		return fmt.Errorf("%s refers to %s, which is not in the set", from, to)
	}
	return nil
}

// addBundles gives the node the trust bundles that its resources ask for, and
// no others.
func (b *builder) addBundles(set *content) {
	set.res[SDS] = map[string]*Resource{}
	for _, t := range set.res {
		for _, r := range t {
			for _, need := range r.Needs {
				if secret := b.bundles[need.Name]; need.Type == SDS && secret != nil {
					set.res[SDS][need.Name] = secret
				}
			}
		}
	}
}

// addAll adds the messages of one type. A name that stands twice is a bug of
// the emitter, and is refused because one of the two would be lost.
func addAll[M proto.Message](b *builder, set *content, t Type, list []M, name func(M) string) error {
	set.res[t] = make(map[string]*Resource, len(list))
	for _, m := range list {
		n := name(m)
		if n == "" || set.res[t][n] != nil {
			return fmt.Errorf("%s %q stands twice or has no name", t, n)
		}
		r, err := b.resource(t, n, m)
		if err != nil {
			return err
		}
		set.res[t][n] = r
	}
	return nil
}

func (b *builder) resource(t Type, name string, m proto.Message) (*Resource, error) {
	raw, err := deterministic.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("%s %q: %w", t, name, err)
	}
	return b.known.resource(t, name, m, raw)
}
