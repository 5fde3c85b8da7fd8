package xds

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/meshc/meshc/compiler/emit/xds/raw"
	"github.com/meshc/meshc/compiler/emit/xds/valid"
	"github.com/meshc/meshc/compiler/model"
)

// Patched is told of every resource that a raw patch is merged into, as it was
// before the first.
type Patched func(r *model.Raw, before proto.Message)

// RawError says that a patch cannot be merged, or that Envoy would refuse what
// comes of it.
type RawError struct {
	Raw *model.Raw
	Err error
}

func (e *RawError) Error() string {
	return fmt.Sprintf("raw %q: %s %q: %v", e.Raw.Name, e.Raw.Kind, e.Raw.Target, e.Err)
}

// Unwrap gives the cause.
func (e *RawError) Unwrap() error { return e.Err }

// rawTypes are the messages that patches are of.
var rawTypes = map[model.RawKind]func() proto.Message{
	model.RawListener: func() proto.Message { return new(listenerv3.Listener) },
	model.RawRoutes:   func() proto.Message { return new(routev3.RouteConfiguration) },
	model.RawCluster:  func() proto.Message { return new(clusterv3.Cluster) },
}

// patched merges the raw patches for a resource of this proxy into it.
func (e *emitter) patched(kind model.RawKind, m proto.Message) error {
	if e.bare {
		return nil
	}
	var before proto.Message
	for i := range e.mesh.Raw {
		r := &e.mesh.Raw[i]
		if r.Kind != kind || r.Target != valid.Name(m) || !r.For(e.self.Service) {
			continue
		}
		if before == nil {
			before = proto.Clone(m)
		}
		if e.opts.Patched != nil {
			e.opts.Patched(r, before)
		}
		patch, err := ParseRaw(r)
		if err == nil {
			err = raw.Merge(m, patch)
		}
		if err == nil {
			err = valid.Deep(m)
		}
		if err != nil {
			return &RawError{r, err}
		}
	}
	return nil
}

// patchAll patches what is not patched where it is made: routes are, because
// listeners of a static bootstrap hold them.
func (e *emitter) patchAll() error {
	if len(e.mesh.Raw) == 0 {
		return nil
	}
	for _, l := range e.out.Listeners {
		if err := e.patched(model.RawListener, l); err != nil {
			return err
		}
	}
	for _, c := range e.out.Clusters {
		if err := e.patched(model.RawCluster, c); err != nil {
			return err
		}
	}
	return nil
}

// rawLists are where sheets have the resources of each kind.
var rawLists = map[model.RawKind]int{model.RawListener: listeners, model.RawRoutes: routeTables, model.RawCluster: clusters}

// patches says that a patch for this proxy is of something in a unit, or may be:
// of one that cannot be made nothing is known.
func (e *emitter) patches(u *unit) bool {
	return slices.ContainsFunc(e.mesh.Raw, func(r model.Raw) bool {
		return r.For(e.self.Service) &&
			(u.err != nil || slices.ContainsFunc(u.lists[rawLists[r.Kind]], func(s slip) bool { return s.name == r.Target }))
	})
}

// ParseRaw reads a patch. It is an error that names the field if the message
// has none of that name, or if it is set to what it is without.
func ParseRaw(r *model.Raw) (proto.Message, error) {
	make, ok := rawTypes[r.Kind]
	if !ok {
		return nil, fmt.Errorf("there is no resource of kind %q", r.Kind)
	}
	m := make()
	return m, raw.Parse(r.Patch, m)
}

// RawHash is what a patch of m is pinned to: a digest of m without what differs
// from proxy to proxy or place to place, which is the address of a listener,
// those of fixed endpoints, and the metadata that says where a route is written.
func RawHash(m proto.Message) string {
	m = proto.Clone(m)
	switch m := m.(type) {
	case *listenerv3.Listener:
		m.Address = nil
	case *clusterv3.Cluster:
		m.LoadAssignment = nil
	case *routev3.RouteConfiguration:
		for _, v := range m.GetVirtualHosts() {
			for _, r := range v.GetRoutes() {
				r.Metadata = nil
			}
		}
	}
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic("xds: a resource that was made here cannot be written: " + err.Error())
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:8]) + parts(m)
}

// parts are digests of the fields, so that of two hashes it can be said what
// differs.
func parts(m proto.Message) string {
	type part struct {
		number protoreflect.FieldNumber
		digest string
	}
	var all []part
	m.ProtoReflect().Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		only := m.ProtoReflect().New()
		only.Set(fd, v)
		raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(only.Interface())
		if err != nil {
			panic("xds: a field that was made here cannot be written: " + err.Error())
		}
		sum := sha256.Sum256(raw)
		all = append(all, part{fd.Number(), hex.EncodeToString(sum[:2])})
		return true
	})
	slices.SortFunc(all, func(a, b part) int { return cmp.Compare(a.number, b.number) })
	out := ""
	for _, p := range all {
		out += fmt.Sprintf(".%d-%s", p.number, p.digest)
	}
	return out
}

// RawDifference names the fields of m, in the resource that a hash was taken
// of, that are not as they are now; none where the hash does not tell.
func RawDifference(m proto.Message, old string) []string {
	was, is := fieldsOf(old), fieldsOf(RawHash(m))
	if len(was) == 0 {
		return nil
	}
	var out []string
	fields := m.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		if n := fmt.Sprint(fd.Number()); was[n] != is[n] {
			out = append(out, string(fd.Name()))
		}
	}
	return out
}

func fieldsOf(hash string) map[string]string {
	out := map[string]string{}
	for i, part := range strings.Split(hash, ".") {
		if number, digest, ok := strings.Cut(part, "-"); ok && i > 0 {
			out[number] = digest
		}
	}
	return out
}
