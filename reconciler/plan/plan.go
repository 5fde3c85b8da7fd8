// Package plan is the pure diff of two meshes: what is desired, what is live,
// and what changes between them, per service, gateway and external. It reads
// nothing and touches nothing.
package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/digest"
	"github.com/meshc/meshc/compiler/model"
)

// Kind of a thing that changes.
type Kind string

// Kinds.
const (
	Mesh     Kind = "mesh" // the settings of the mesh as a whole
	Service  Kind = "service"
	Gateway  Kind = "gateway"
	External Kind = "external"
)

// Action on a thing.
type Action string

// Actions, and how text shows them.
const (
	Added   Action = "added"
	Changed Action = "changed"
	Removed Action = "removed"
)

var symbols = map[Action]string{Added: "+", Changed: "~", Removed: "-"}

// Change is one thing that differs. A hash is empty where the thing does not
// exist.
type Change struct {
	Kind    Kind   `json:"kind"`
	Name    string `json:"name"` // "namespace/name", or the mesh's name
	Action  Action `json:"action"`
	Live    string `json:"live,omitempty"`
	Desired string `json:"desired,omitempty"`
}

// Plan is every change, sorted by kind and name. Services counts the desired
// ones.
type Plan struct {
	Changes  []Change `json:"changes"`
	Services int      `json:"services"`
}

// Empty says that nothing changes.
func (p *Plan) Empty() bool { return len(p.Changes) == 0 }

// Compute compares desired with live; live may be nil. Where a thing was
// written does not count: moving a service to another line changes nothing.
func Compute(desired, live *model.Mesh) (*Plan, error) {
	wanted, had := parts(desired), map[item]any{}
	if live != nil {
		had = parts(live)
	}
	want, err := hashes(wanted, had)
	if err != nil {
		return nil, fmt.Errorf("hash the desired mesh: %w", err)
	}
	have, err := hashes(had, wanted)
	if err != nil {
		return nil, fmt.Errorf("hash the live mesh: %w", err)
	}
	p := &Plan{Changes: []Change{}, Services: len(desired.Services)}
	for _, it := range items(want, have) {
		c := Change{Kind: it.kind, Name: it.name, Live: have[it], Desired: want[it]}
		switch {
		case c.Live == c.Desired:
			continue
		case c.Live == "":
			c.Action = Added
		case c.Desired == "":
			c.Action = Removed
		default:
			c.Action = Changed
		}
		p.Changes = append(p.Changes, c)
	}
	return p, nil
}

type item struct {
	kind Kind
	name string
}

var kinds = []Kind{Mesh, Service, Gateway, External}

func items(a, b map[item]string) []item {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return slices.SortedFunc(maps.Keys(all), func(x, y item) int {
		if d := slices.Index(kinds, x.kind) - slices.Index(kinds, y.kind); d != 0 {
			return d
		}
		return strings.Compare(x.name, y.name)
	})
}

// parts of a mesh that change by themselves.
func parts(m *model.Mesh) map[item]any {
	out := make(map[item]any, 1+len(m.Services)+len(m.Gateways)+len(m.Externals))
	out[item{Mesh, m.Name}] = append([]string{m.TrustDomain}, m.Aliases...)
	for _, s := range m.Services {
		out[item{Service, s.String()}] = s
	}
	for _, g := range m.Gateways {
		out[item{Gateway, g.String()}] = g
	}
	for _, e := range m.Externals {
		out[item{External, e.String()}] = e
	}
	return out
}

// placeless digests leave out what Hash does.
var placeless = digest.Without[model.Origin]()

// hashes of what is not the same in others. Most is, and most of that are the same
// pointers; a digest of a value is a small part of the work of its JSON.
func hashes(of, others map[item]any) (map[item]string, error) {
	out := make(map[item]string)
	for it, v := range of {
		if other, ok := others[it]; ok && (same(v, other) || placeless.Of(v) == placeless.Of(other)) {
			continue
		}
		h, err := Hash(v)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", it.kind, it.name, err)
		}
		out[it] = h
	}
	return out, nil
}

// same compares pointers.
func same(a, b any) bool {
	_, list := a.([]string)
	return !list && a == b
}

// Hash is the content hash of a part of the model: SHA-256 in hex over its
// JSON without the places it was written at.
func Hash(v any) (string, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	var tree any
	if err := json.Unmarshal(raw, &tree); err != nil {
		return "", err
	}
	dropOrigins(tree)
	if raw, err = json.Marshal(tree); err != nil {
		return "", err
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:]), nil
}

// dropOrigins removes the fields of type model.Origin, whose names all end so.
func dropOrigins(v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, child := range v {
			if strings.HasSuffix(key, "Origin") {
				delete(v, key)
				continue
			}
			dropOrigins(child)
		}
	case []any:
		for _, child := range v {
			dropOrigins(child)
		}
	}
}
