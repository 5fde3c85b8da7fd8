package xds

import (
	"sort"

	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshc/meshc/compiler/digest"
)

// Type is one of the resource types that are served, in the order in which
// additions are sent: what is referred to goes before what refers to it.
type Type uint8

// Types. Additions go out in this order; a removal goes out only when nothing
// that the client holds needs the resource any more, which is the reverse.
const (
	SDS Type = iota
	CDS
	EDS
	LDS
	RDS
	typeCount
)

var typeNames = [typeCount]string{"SDS", "CDS", "EDS", "LDS", "RDS"}

var typeURLs = [typeCount]string{
	"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
	"type.googleapis.com/envoy.config.cluster.v3.Cluster",
	"type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
	"type.googleapis.com/envoy.config.listener.v3.Listener",
	"type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
}

// removalOrder puts a resource before what it refers to.
var removalOrder = [typeCount]Type{LDS, RDS, CDS, EDS, SDS}

// String gives the discovery service's short name, such as "CDS".
func (t Type) String() string { return typeNames[t] }

// URL gives the type URL of the resources of t.
func (t Type) URL() string { return typeURLs[t] }

// typeOf finds the type with a type URL.
func typeOf(url string) (Type, bool) {
	for t, u := range typeURLs {
		if u == url {
			return Type(t), true
		}
	}
	return 0, false
}

// Key names one resource of a node.
type Key struct {
	Type Type
	Name string
}

// String gives "CDS outbound|80||example.com".
func (k Key) String() string { return k.Type.String() + " " + k.Name }

// Resource is one marshalled resource. It is immutable and shared between all
// nodes that see the same content.
type Resource struct {
	Key
	Version string // content hash, blind to the provenance metadata
	Body    *anypb.Any
	Needs   []Key // what it refers to over ADS, sorted

	edges     []edge // where it sends requests, sorted
	endpoints int    // of an assignment: those that get requests

	// opaque marks a resource that a reconnecting client reports and that this
	// server does not hold: its needs are unknown and it cannot be sent again.
	opaque bool
}

func sortKeys(ks []Key) {
	sort.Slice(ks, func(i, j int) bool {
		if ks[i].Type != ks[j].Type {
			return ks[i].Type < ks[j].Type
		}
		return ks[i].Name < ks[j].Name
	})
}

// nodeSet is everything one node may see under one desired state. It is
// immutable once built: a resource outside of it does not exist for the node.
type nodeSet struct {
	node     string // node id
	spiffeID string // who may read it
	commit   string
	*content // shared by the states that leave the node as it is
}

// content is what a nodeSet holds.
type content struct {
	inputs   digest.Sum // of what it was emitted; zero: not known
	unplaced []string   // listeners that discovery gives no address
	res      [typeCount]map[string]*Resource
	users    map[Key][]Key // who needs a key, within the set
}

func (n *content) get(k Key) *Resource { return n.res[k.Type][k.Name] }

// index fills users; the last step of building a set.
func (n *content) index() {
	n.users = map[Key][]Key{}
	for _, t := range n.res {
		for _, r := range t {
			for _, need := range r.Needs {
				n.users[need] = append(n.users[need], r.Key)
			}
		}
	}
}

// missing gives the first reference, in a stable order, that leads out of the
// set. A set refers only to what it contains.
func (n *content) missing() (from, to Key, found bool) {
	var open []Key
	for need := range n.users {
		if n.get(need) == nil {
			open = append(open, need)
		}
	}
	if len(open) == 0 {
		return Key{}, Key{}, false
	}
	sortKeys(open)
	users := append([]Key(nil), n.users[open[0]]...)
	sortKeys(users)
	return users[0], open[0], true
}

// rollback gives the last good set with the endpoints and bundles of a newer
// one: refusing a configuration must not freeze where its instances are.
func rollback(good, fresh *nodeSet) *nodeSet {
	set := &nodeSet{node: good.node, spiffeID: fresh.spiffeID, commit: good.commit, content: &content{res: good.res}}
	for _, t := range []Type{EDS, SDS} {
		set.res[t] = make(map[string]*Resource, len(good.res[t]))
		for name, r := range good.res[t] {
			if newer := fresh.res[t][name]; newer != nil {
				r = newer
			}
			set.res[t][name] = r
		}
	}
	set.index()
	return set
}
