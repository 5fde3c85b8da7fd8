// Package store keeps the state of a cluster: the Mesh (specification and
// status) and one ServiceConfig per service, gateway and set of externals,
// which is what serves. Here it is a local directory; what the reconciler asks
// of a store is the interface that it declares itself.
//
// Layout of the directory, mode 0700, files 0600:
//
//	lock             held by the one process that writes
//	root.json        which objects make up the generation that serves
//	root.prev.json   the generation before it
//	objects/<sha256>.json  Mesh and ServiceConfig objects, named by content
//	status.json      the status, replaced as a whole
//
// Every file is an envelope with a checksum. A generation becomes visible by
// one rename of root.json after everything it names has reached the disk, so a
// crash at any point leaves the old generation or the new one.
package store

import (
	"errors"

	"github.com/meshc/meshc/compiler/model"
)

// Errors that callers tell apart with errors.Is.
var (
	// ErrNothing says that no generation (or status) was ever saved.
	ErrNothing = errors.New("nothing was saved yet")
	// ErrDamaged says that a file is not what was written.
	ErrDamaged = errors.New("damaged")
	// ErrLocked says that another process writes to the directory.
	ErrLocked = errors.New("in use by another process")
)

// Spec says where the mesh comes from.
type Spec struct {
	Repository string `json:"repository"`
	Ref        string `json:"ref"`
	Path       string `json:"path"`
}

// Generation is what one commit serves.
type Generation struct {
	Commit string
	Spec   Spec
	Mesh   *model.Mesh

	// Damage is set by Load when this is the generation before the newest one,
	// because the newest cannot be read.
	Damage error
}

// Kinds of envelopes.
const (
	kindRoot   = "Root"
	kindMesh   = "Mesh"
	kindConfig = "ServiceConfig"
	kindStatus = "MeshStatus"
)

// root is the content of root.json: the objects of one generation by their
// checksums.
type root struct {
	Commit  string   `json:"commit"`
	Mesh    string   `json:"mesh"`
	Configs []string `json:"configs"`
}

func (r *root) objects() []string { return append([]string{r.Mesh}, r.Configs...) }

// meshObject is the mesh as a whole, without its services and gateways.
type meshObject struct {
	Name        string            `json:"name"`
	TrustDomain string            `json:"trustDomain"`
	Aliases     []string          `json:"trustDomainAliases,omitempty"`
	Spec        Spec              `json:"spec"`
	Externals   []*model.External `json:"externals,omitempty"`
	Raw         []model.Raw       `json:"raw,omitempty"`
}

// configObject is one service or one gateway.
type configObject struct {
	Service *model.Service `json:"service,omitempty"`
	Gateway *model.Gateway `json:"gateway,omitempty"`
}

// split takes a generation apart into objects, in the order of root.
func split(g *Generation) (meshObject, []configObject) {
	head := meshObject{Name: g.Mesh.Name, TrustDomain: g.Mesh.TrustDomain, Aliases: g.Mesh.Aliases, Spec: g.Spec, Externals: g.Mesh.Externals, Raw: g.Mesh.Raw}
	configs := make([]configObject, 0, len(g.Mesh.Services)+len(g.Mesh.Gateways))
	for _, s := range g.Mesh.Services {
		configs = append(configs, configObject{Service: s})
	}
	for _, gw := range g.Mesh.Gateways {
		configs = append(configs, configObject{Gateway: gw})
	}
	return head, configs
}

// join is the inverse of split.
func join(commit string, head meshObject, configs []configObject) (*Generation, error) {
	m := &model.Mesh{Name: head.Name, TrustDomain: head.TrustDomain, Aliases: head.Aliases, Externals: head.Externals, Raw: head.Raw}
	for _, c := range configs {
		switch {
		case c.Service != nil && c.Gateway == nil:
			m.Services = append(m.Services, c.Service)
		case c.Gateway != nil && c.Service == nil:
			m.Gateways = append(m.Gateways, c.Gateway)
		default:
			return nil, errNeither
		}
	}
	return &Generation{Commit: commit, Spec: head.Spec, Mesh: m}, nil
}
