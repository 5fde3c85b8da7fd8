package xds

import (
	"bytes"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/meshc/meshc/compiler/emit/xds/asjson"
	"github.com/meshc/meshc/compiler/emit/xds/valid"
)

// slip is one resource of a sheet: where its JSON begins and ends. Between cut
// and resume stands an address of the client's own, for which hole is.
type slip struct {
	name                   string
	from, cut, resume, end int
	hole                   *hole // nil without one: cut is then the end
}

// sheet is the JSON of some resources, one after the other, each indented for
// its place in a document.
type sheet struct {
	data              []byte
	lists             [kinds][]slip
	bundles, unplaced []string
}

// Kinds of resources, in the order in which a document has them.
const (
	listeners = iota
	routeTables
	clusters
	assignments
	kinds
)

// sheets are used again and again for what is rendered and then copied.
var sheets = sync.Pool{New: func() any { return new(sheet) }}

// fill renders resources; the holes are the addresses to leave out. What the sheet
// held before is gone.
func (s *sheet) fill(r *Resources, h *holes) error {
	s.data, s.bundles, s.unplaced = s.data[:0], r.Bundles, r.Unplaced
	if err := fillList(s, listeners, r.Listeners); err != nil {
		return err
	}
	if err := fillList(s, routeTables, r.Routes); err != nil {
		return err
	}
	if err := fillList(s, clusters, r.Clusters); err != nil {
		return err
	}
	if err := fillList(s, assignments, r.Endpoints); err != nil {
		return err
	}
	if h == nil {
		return nil
	}
	for i := range s.lists[listeners] {
		h.cut(s.data, &s.lists[listeners][i], outboundHole, inboundHole)
	}
	for i := range s.lists[clusters] {
		h.cut(s.data, &s.lists[clusters][i], appHole)
	}
	return nil
}

func fillList[T proto.Message](s *sheet, kind int, list []T) error {
	s.lists[kind] = s.lists[kind][:0]
	for _, m := range list {
		from := len(s.data)
		var err error
		if s.data, err = asjson.Append(s.data, m, len(elementPrefix)); err != nil {
			return err
		}
		end := len(s.data)
		s.lists[kind] = append(s.lists[kind], slip{valid.Name(m), from, end, end, end, nil})
	}
	return nil
}

// kept is a copy of all but the bytes, no larger than it has to be.
func (s *sheet) kept() sheet {
	out := sheet{bundles: s.bundles, unplaced: s.unplaced}
	n := 0
	for _, list := range s.lists {
		n += len(list)
	}
	all := make([]slip, 0, n)
	for kind, list := range s.lists {
		from := len(all)
		all = append(all, list...)
		out.lists[kind] = all[from:len(all):len(all)]
	}
	return out
}

// cut makes the hole of a resource: the first place where its mark is an
// address. What users wrote comes later in listeners and clusters.
func (h *holes) cut(data []byte, s *slip, kinds ...holeKind) {
	const before = `"address": "`
	var room [64]byte
	for i := range h.list {
		one := &h.list[i]
		for _, kind := range kinds {
			if one.kind != kind {
				continue
			}
			mark := append(one.mark.Addr().AppendTo(append(room[:0], before...)), '"')
			at := bytes.Index(data[s.from:s.end], mark)
			if at < 0 {
				continue
			}
			s.cut = s.from + at + len(before)
			s.resume = s.from + at + len(mark) - 1
			s.hole = one
			return
		}
	}
}
