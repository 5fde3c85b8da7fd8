package load

import (
	"bytes"
	"path"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/meshc/meshc/compiler/intent"
)

// Memo keeps what the last load of a mesh made of its parts, so that the next
// one in the same process makes what has changed. It holds text, and data that
// was decoded from it, within the limits of one load; values of CUE never leave
// the child that evaluated them, and each child lives for one evaluation. The
// zero value knows nothing. One load uses it at a time.
type Memo struct {
	states
	above map[string]*reading // by directory
	parts map[string]*part
	mu    sync.Mutex
	last  map[string]remembered // answers, by the paths of their request
	next  map[string]remembered
}

// remembered is an answer to a request.
type remembered struct {
	req *request
	ans *answer
}

// read gives what the files of a directory hold that is above others.
func (m *Memo) read(data []file) *reading {
	if m != nil && len(data) > 0 {
		if r := m.above[path.Dir(data[0].Path)]; r != nil && sameFiles(r.data, data) {
			return r
		}
	}
	return readDir(data)
}

// part gives what comes of a directory; r is what its files hold, where that was
// read already.
func (m *Memo) part(p *plan, d string, data []file, r *reading) *part {
	chain := p.aboveOf(d)
	if m != nil {
		if was := m.parts[d]; was != nil && slices.Equal(was.chain, chain) && sameFiles(was.data, data) {
			return was
		}
	}
	if r == nil {
		r = readDir(data)
	}
	out := p.part(d, r)
	if m != nil {
		out.data, out.chain = data, chain
	}
	return out
}

// keep forgets everything but what this load has used.
func (m *Memo) keep(dirs []string, parts []*part, read map[string]*reading) {
	if m == nil {
		return
	}
	m.above, m.parts = read, make(map[string]*part, len(dirs))
	for i, d := range dirs {
		m.parts[d] = parts[i]
	}
	m.last, m.next = m.next, map[string]remembered{}
}

// sameFiles says that two lists hold the same text at the same places.
func sameFiles(a, b []file) bool {
	return slices.EqualFunc(a, b, func(a, b file) bool { return a.Path == b.Path && bytes.Equal(a.Data, b.Data) })
}

// answer gives what an evaluation of the same request gave; nil when there was
// none. It may be changed without a trace in what is kept.
func (m *Memo) answer(req *request) *answer {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	key := requestKey(req)
	was, ok := m.last[key]
	if !ok || !sameFiles(was.req.Files, req.Files) {
		return nil
	}
	m.next[key] = was
	return was.ans.copied()
}

// remember keeps an answer and gives one that may be changed.
func (m *Memo) remember(req *request, ans *answer) *answer {
	if m == nil {
		return ans
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.next == nil {
		m.next = map[string]remembered{}
	}
	kept := *ans
	kept.Spent = 0
	m.next[requestKey(req)] = remembered{req, &kept}
	return ans.copied()
}

func requestKey(req *request) string {
	names := append([]string{req.Dir}, req.Field...)
	for _, f := range req.Files {
		names = append(names, f.Path)
	}
	return strings.Join(names, "\x00")
}

// copied gives an answer whose lists are its own. The entries, which nobody
// changes, are shared.
func (a *answer) copied() *answer {
	out := *a
	if a.Mesh != nil {
		mesh := *a.Mesh
		out.Mesh = &mesh
		addEntries(clearEntries(&mesh), a.Mesh, nil)
		mesh.Suppressions = slices.Clone(mesh.Suppressions)
	}
	out.Diags = slices.Clone(a.Diags)
	for i := range out.Diags {
		out.Diags[i].Related = slices.Clip(out.Diags[i].Related)
	}
	return &out
}

// clearEntries empties the lists of entries.
func clearEntries(m *intent.Mesh) *intent.Mesh {
	v := reflect.ValueOf(m).Elem()
	for i := range v.NumField() {
		if isEntries(v.Field(i).Type()) {
			v.Field(i).SetZero()
		}
	}
	return m
}
