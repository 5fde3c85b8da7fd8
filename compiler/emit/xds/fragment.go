package xds

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/meshc/meshc/compiler/emit/xds/asjson"
	"github.com/meshc/meshc/compiler/model"
)

// fragment is one resource as JSON, indented for its place in a document. One
// that binds an address of the client's own has a hole for it.
type fragment struct {
	name       string
	head, tail []byte
	hole       *hole // between head and tail; nil without one
	cut, end   int   // lengths of the head, and of both, while the bytes are away
}

// fragments are the resources of one proxy, or of a part of it.
type fragments struct {
	listeners, routes, clusters, endpoints []fragment
	bundles, unplaced                      []string
}

func (f *fragments) add(o *fragments) {
	f.listeners = append(f.listeners, o.listeners...)
	f.routes = append(f.routes, o.routes...)
	f.clusters = append(f.clusters, o.clusters...)
	f.endpoints = append(f.endpoints, o.endpoints...)
	f.bundles = append(f.bundles, o.bundles...)
	f.unplaced = append(f.unplaced, o.unplaced...)
}

// lists are all fragments, by kind.
func (f *fragments) lists() [4][]fragment {
	return [4][]fragment{f.listeners, f.routes, f.clusters, f.endpoints}
}

// bytes is the size of the JSON.
func (f *fragments) bytes() int {
	size := 0
	for _, list := range f.lists() {
		for _, one := range list {
			size += len(one.head) + len(one.tail)
		}
	}
	return size
}

// joined gives the JSON of all fragments, one after the other.
func (f *fragments) joined() []byte {
	out := make([]byte, 0, f.bytes())
	for _, list := range f.lists() {
		for _, one := range list {
			out = append(append(out, one.head...), one.tail...)
		}
	}
	return out
}

// strip forgets the bytes that joined has given, and keeps their lengths.
func (f *fragments) strip() {
	for _, list := range f.lists() {
		for i := range list {
			one := &list[i]
			one.cut, one.end = len(one.head), len(one.head)+len(one.tail)
			one.head, one.tail = nil, nil
		}
	}
}

// filled gives stripped fragments with their bytes, those of joined.
func (f *fragments) filled(data []byte) *fragments {
	out := &fragments{bundles: f.bundles, unplaced: f.unplaced}
	for i, to := range []*[]fragment{&out.listeners, &out.routes, &out.clusters, &out.endpoints} {
		*to = slices.Clone(f.lists()[i])
		for k := range *to {
			one := &(*to)[k]
			one.head, one.tail = data[:one.cut], data[one.cut:one.end]
			data = data[one.end:]
		}
	}
	return out
}

// fragments renders the resources; the holes are the addresses to leave out.
func (r *Resources) fragments(h *holes) (*fragments, error) {
	out := &fragments{bundles: r.Bundles, unplaced: r.Unplaced}
	var err error
	if out.listeners, err = rendered(r.Listeners); err != nil {
		return nil, err
	}
	if out.routes, err = rendered(r.Routes); err != nil {
		return nil, err
	}
	if out.clusters, err = rendered(r.Clusters); err != nil {
		return nil, err
	}
	if out.endpoints, err = rendered(r.Endpoints); err != nil {
		return nil, err
	}
	for i := range out.listeners {
		h.cut(&out.listeners[i], outboundHole, inboundHole)
	}
	for i := range out.clusters {
		h.cut(&out.clusters[i], appHole)
	}
	return out, nil
}

// scratches are for resources while they are written.
var scratches = sync.Pool{New: func() any { return new([]byte) }}

type named interface {
	proto.Message
	comparable
}

func rendered[T named](list []T) ([]fragment, error) {
	out := make([]fragment, 0, len(list))
	scratch := scratches.Get().(*[]byte)
	defer scratches.Put(scratch)
	for _, m := range list {
		var err error
		if *scratch, err = asjson.Append((*scratch)[:0], m, len(elementPrefix)); err != nil {
			return nil, err
		}
		body := bytes.Clone(*scratch) // no larger than it has to be: it may be kept
		out = append(out, fragment{name: nameOf(m), head: body})
	}
	return out, nil
}

func nameOf(m proto.Message) string {
	switch m := m.(type) {
	case interface{ GetClusterName() string }:
		return m.GetClusterName()
	case interface{ GetName() string }:
		return m.GetName()
	}
	return ""
}

// elementPrefix stands before every line of a resource in a document.
const elementPrefix = "      "

// write puts the resources together as MarshalJSON and json.Indent would.
func (f *fragments) write(out *bytes.Buffer, w *model.Workload) {
	out.WriteString("{")
	for i, list := range []struct {
		key string
		all []fragment
	}{{"listeners", f.listeners}, {"routes", f.routes}, {"clusters", f.clusters}, {"endpoints", f.endpoints}} {
		if i > 0 {
			out.WriteString(",")
		}
		out.WriteString("\n    \"" + list.key + "\": [")
		slices.SortFunc(list.all, func(a, b fragment) int { return strings.Compare(a.name, b.name) })
		for i, one := range list.all {
			separate(out, i)
			one.write(out, w)
		}
		closeList(out, len(list.all))
	}
	f.writeBundles(out)
	out.WriteString("\n  }")
}

func separate(out *bytes.Buffer, i int) {
	if i > 0 {
		out.WriteString(",")
	}
	out.WriteString("\n" + elementPrefix)
}

func closeList(out *bytes.Buffer, n int) {
	if n > 0 {
		out.WriteString("\n    ")
	}
	out.WriteString("]")
}

func (f fragment) write(out *bytes.Buffer, w *model.Workload) {
	out.Write(f.head)
	if f.hole != nil {
		host, _, _ := strings.Cut(f.hole.address(w), ":")
		out.WriteString(host)
	}
	out.Write(f.tail)
}

func (f *fragments) writeBundles(out *bytes.Buffer) {
	slices.Sort(f.bundles)
	names := slices.Compact(f.bundles)
	if len(names) == 0 {
		return
	}
	out.WriteString(",\n    \"bundles\": [")
	for i, name := range names {
		separate(out, i)
		quoted, _ := json.Marshal(name) // a string always has a form in JSON
		out.Write(quoted)
	}
	closeList(out, len(names))
}
