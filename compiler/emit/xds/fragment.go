package xds

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"github.com/meshc/meshc/compiler/model"
)

// fragment is one resource as JSON. One that binds an address of the client's own
// has a hole for it, between head and tail.
type fragment struct {
	name       string
	head, tail []byte
	hole       *hole // nil without one
}

// page is what one proxy gets, put together from sheets.
type page struct {
	lists             [kinds][]fragment
	bundles, unplaced []string
	own               sheet  // what no other proxy has
	room              []byte // for what comes from the spill
}

var pages = sync.Pool{New: func() any { return new(page) }}

// clear makes an empty page; what is in it may be gone.
func (p *page) clear() {
	for i := range p.lists {
		clear(p.lists[i])
		p.lists[i] = p.lists[i][:0]
	}
	p.bundles, p.unplaced, p.room = p.bundles[:0], p.unplaced[:0], p.room[:0]
}

// add takes in the resources of a sheet, whose bytes are data.
func (p *page) add(s *sheet, data []byte) {
	for i, list := range s.lists {
		for _, one := range list {
			p.lists[i] = append(p.lists[i], fragment{one.name, data[one.from:one.cut], data[one.resume:one.end], one.hole})
		}
	}
	p.bundles = append(p.bundles, s.bundles...)
	p.unplaced = append(p.unplaced, s.unplaced...)
}

// hasCluster says that a sheet has brought a cluster of this name.
func (p *page) hasCluster(name string) bool {
	return slices.ContainsFunc(p.lists[clusters], func(f fragment) bool { return f.name == name })
}

// elementPrefix stands before every line of a resource in a document.
const elementPrefix = "      "

// write puts the resources together as MarshalJSON and json.Indent would.
func (p *page) write(out *bytes.Buffer, w *model.Workload) {
	out.WriteString("{")
	for i, key := range [kinds]string{"listeners", "routes", "clusters", "endpoints"} {
		if i > 0 {
			out.WriteString(",")
		}
		out.WriteString("\n    \"")
		out.WriteString(key)
		out.WriteString("\": [")
		slices.SortFunc(p.lists[i], func(a, b fragment) int { return strings.Compare(a.name, b.name) })
		for k, one := range p.lists[i] {
			separate(out, k)
			one.write(out, w)
		}
		closeList(out, len(p.lists[i]))
	}
	p.writeBundles(out)
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

func (p *page) writeBundles(out *bytes.Buffer) {
	slices.Sort(p.bundles)
	names := slices.Compact(p.bundles)
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
