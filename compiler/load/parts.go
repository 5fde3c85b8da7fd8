package load

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/digest"
	"github.com/meshc/meshc/compiler/intent"
)

// Parts are the entries that were decoded from the directories of a mesh, by all
// text that they were decoded from: the files of the directory and of those
// above it. A load that is given Parts decodes what is not there, and leaves what
// there is in the end. The zero value knows nothing; one load uses it at a time.
type Parts struct {
	known map[string]*keptPart // by directory
	next  []SavedPart
}

type keptPart struct {
	key  digest.Sum
	part *part
}

// SavedPart is what Parts know of a directory, but for the entries.
type SavedPart struct {
	Dir    string
	Key    digest.Sum
	Speaks []string // kinds
	Stray  diag.List
}

// Save gives what the last load has left.
func (p *Parts) Save() []SavedPart { return p.next }

// NewParts gives Parts of what was saved, and the entries of the mesh that was
// loaded then.
func NewParts(saved []SavedPart, m *intent.Mesh) *Parts {
	byHome := map[string]*intent.Mesh{}
	for _, s := range saved {
		byHome[s.Dir] = &intent.Mesh{}
	}
	giveHome(byHome, m.Services, func(e *intent.Service) string { return e.Home }, func(m *intent.Mesh) *[]*intent.Service { return &m.Services })
	giveHome(byHome, m.Gateways, func(e *intent.Gateway) string { return e.Home }, func(m *intent.Mesh) *[]*intent.Gateway { return &m.Gateways })
	giveHome(byHome, m.Externals, func(e *intent.External) string { return e.Home }, func(m *intent.Mesh) *[]*intent.External { return &m.Externals })
	p := &Parts{known: make(map[string]*keptPart, len(saved))}
	for _, s := range saved {
		speaks := make(map[string]bool, len(s.Speaks))
		for _, kind := range s.Speaks {
			speaks[kind] = true
		}
		p.known[s.Dir] = &keptPart{s.Key, &part{mesh: byHome[s.Dir], stray: s.Stray, speaks: speaks}}
	}
	return p
}

func giveHome[E any](byHome map[string]*intent.Mesh, all []*E, home func(*E) string, list func(*intent.Mesh) *[]*E) {
	for _, e := range all {
		if m := byHome[home(e)]; m != nil {
			to := list(m)
			*to = append(*to, e)
		}
	}
}

// at gives the part of a directory whose text has a key; nil when it is not known.
func (p *Parts) at(dir string, key digest.Sum) *part {
	if p == nil || p.known[dir] == nil || p.known[dir].key != key {
		return nil
	}
	return p.known[dir].part
}

// keep remembers the directories of a plan that were decoded.
func (p *Parts) keep(from *plan) {
	if p == nil {
		return
	}
	p.next = nil
	for i, d := range from.dirs {
		made := from.parts[i]
		if made.mesh != nil && !made.unreadable && !from.hard[d] {
			p.next = append(p.next, SavedPart{
				Dir: d, Key: from.keys[i], Speaks: slices.Sorted(maps.Keys(made.speaks)), Stray: made.stray,
			})
		}
	}
}

// sources names what directories are decoded from.
type sources struct {
	byDir map[string][]file
	above map[string]digest.Sum // of a directory and all above it
}

// newSources names the text of the directories that are above others.
func newSources(byDir map[string][]file, above map[string]bool) *sources {
	s := &sources{byDir: byDir, above: make(map[string]digest.Sum, len(above))}
	for d := range above {
		s.chain(d)
	}
	return s
}

func (s *sources) chain(d string) digest.Sum {
	sum, known := s.above[d]
	if !known {
		var higher digest.Sum
		if d != "." {
			higher = s.chain(path.Dir(d))
		}
		sum = nameOf(higher, d, s.byDir[d])
		s.above[d] = sum
	}
	return sum
}

// of names all that the entries of a directory are decoded from.
func (s *sources) of(d string) digest.Sum {
	if d == "." {
		return s.above[d]
	}
	return nameOf(s.above[path.Dir(d)], d, s.byDir[d])
}

// nameOf names the files of a directory, and what is above it.
func nameOf(above digest.Sum, dir string, files []file) (sum digest.Sum) {
	h := sha256.New()
	fmt.Fprintf(h, "%x %q", above, dir)
	for _, f := range files {
		fmt.Fprintf(h, " %q %d ", f.Path, len(f.Data))
		h.Write(f.Data)
	}
	h.Sum(sum[:0])
	return sum
}
