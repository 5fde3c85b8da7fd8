package xds

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"

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
type EmitFunc func(m *model.Mesh, all []*model.Workload, o emitxds.Options) (emitOne, error)

// emitOne gives the resources of one workload.
type emitOne = func(w *model.Workload) (*emitxds.Resources, error)

// indexed is the EmitFunc that serves.
func indexed(m *model.Mesh, all []*model.Workload, o emitxds.Options) (emitOne, error) {
	ix, err := emitxds.NewIndexed(m, all, o)
	if err != nil {
		return nil, err
	}
	return ix.Emit, nil
}

// state is one desired state made ready to send. It is immutable.
type state struct {
	commit string
	nodes  map[string]*nodeSet // by node id
	intern *interner
}

// builder turns a Desired into a state. Content that the previous state held
// already keeps its bytes, and is shared between nodes.
type builder struct {
	emit    EmitFunc
	now     time.Time
	commit  string
	bundles map[string]*Resource // by secret name
	old     *interner
	fresh   *interner
}

// interner finds a resource by its exact bytes, which spares marshalling and
// hashing it twice, or by its version, which keeps the bytes first sent.
type interner struct {
	raw     map[rawKey]*Resource
	version map[versionKey]*Resource
}

type rawKey struct {
	Key
	sum [sha256.Size]byte
}

type versionKey struct {
	Key
	version string
}

func newInterner() *interner {
	return &interner{raw: map[rawKey]*Resource{}, version: map[versionKey]*Resource{}}
}

// build emits every node before anything is sent: one failure, and nothing
// changes.
func (b *builder) build(d *Desired) (*state, error) {
	if d == nil || d.Mesh == nil {
		return nil, errors.New("no mesh to serve")
	}
	ids := identities(d.Mesh)
	st := &state{commit: b.commit, nodes: make(map[string]*nodeSet, len(d.Workloads)), intern: b.fresh}
	known := slices.DeleteFunc(slices.Clone(d.Workloads), func(w *model.Workload) bool {
		// Discovery may know instances of what has left the mesh.
		return ids[ownerOf(w)] == "" || !hasVersion(d.Mesh, w)
	})
	emit, err := b.emit(d.Mesh, known, emitxds.Options{Now: b.now, Commit: b.commit})
	if err != nil {
		return nil, err
	}
	for _, w := range known {
		if st.nodes[w.NodeID()] != nil {
			return nil, fmt.Errorf("two workloads have the node id %q", w.NodeID())
		}
		set, err := b.node(emit, w)
		if err != nil {
			return nil, fmt.Errorf("node %s: %w", w.NodeID(), err)
		}
		set.spiffeID = ids[ownerOf(w)]
		st.nodes[set.node] = set
	}
	return st, nil
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

func (b *builder) node(emit emitOne, w *model.Workload) (*nodeSet, error) {
	out, err := emit(w)
	if err != nil {
		return nil, err
	}
	set := &nodeSet{node: w.NodeID(), commit: b.commit, unplaced: out.Unplaced}
	err = errors.Join(
		addAll(b, set, CDS, out.Clusters, (*clusterv3.Cluster).GetName),
		addAll(b, set, EDS, out.Endpoints, (*endpointv3.ClusterLoadAssignment).GetClusterName),
		addAll(b, set, LDS, out.Listeners, (*listenerv3.Listener).GetName),
		addAll(b, set, RDS, out.Routes, (*routev3.RouteConfiguration).GetName),
	)
	if err != nil {
		return nil, err
	}
	b.addBundles(set)
	set.index()
	if from, to, found := set.missing(); found {
		return nil, fmt.Errorf("%s refers to %s, which is not in the set", from, to)
	}
	return set, nil
}

// addBundles gives the node the trust bundles that its resources ask for, and
// no others.
func (b *builder) addBundles(set *nodeSet) {
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
func addAll[M proto.Message](b *builder, set *nodeSet, t Type, list []M, name func(M) string) error {
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
	rk := rawKey{Key{t, name}, sha256.Sum256(raw)}
	r := b.fresh.raw[rk]
	if r == nil && b.old != nil {
		r = b.old.raw[rk]
	}
	if r == nil {
		if r, err = newResource(t, name, m, raw); err != nil {
			return nil, err
		}
	}
	vk := versionKey{r.Key, r.Version}
	if b.old != nil && b.old.version[vk] != nil {
		r = b.old.version[vk]
	}
	if first := b.fresh.version[vk]; first != nil {
		r = first
	}
	b.fresh.raw[rk], b.fresh.version[vk] = r, r
	return r, nil
}
