package load

import (
	"bytes"
	"path"
	"slices"
	"strings"

	"cuelang.org/go/cue"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/digest"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/parallel"
)

// plan divides the directories of a mesh: those whose entries are literals
// that the rules accept are decoded here, and CUE evaluates the rest. See
// docs/decisions/0005-plain-intent-is-decoded.md.
type plan struct {
	above map[string][]*plainFile // the files of directories that others are below, in the order of the source
	hard  map[string]bool         // directories that CUE evaluates, and all above them
	mesh  *intent.Mesh            // the entries of the others
	stray diag.List               // data files that are none of ours

	dirs  []string
	parts []*part      // of dirs
	keys  []digest.Sum // of what these were decoded from, for Parts
}

// newPlan reads the files and decides. It gives nil when CUE has to see the
// whole mesh. What known has of directories that are the same is not made
// again; nil knows nothing. Nor is what kept has, which another process may have made.
func newPlan(files []file, sel string, known *Memo, kept *Parts) *plan {
	p := &plan{above: map[string][]*plainFile{}, hard: map[string]bool{".": true}, mesh: &intent.Mesh{}}
	byDir := byFolder(files)
	dirs := sortedKeys(byDir)
	read := map[string]*reading{}
	above := parents(dirs)
	for d := range above {
		r := known.read(byDir[d])
		read[d], p.above[d] = r, r.files
	}
	parts := make([]*part, len(dirs))
	p.dirs, p.parts = dirs, parts
	var named *sources
	if kept != nil {
		named, p.keys = newSources(byDir, above), make([]digest.Sum, len(dirs))
	}
	parallel.Each(len(dirs), func(i int) {
		d := dirs[i]
		if named != nil && isWanted(d, sel) {
			p.keys[i] = named.of(d)
			if parts[i] = kept.at(d, p.keys[i]); parts[i] != nil {
				return
			}
		}
		if isWanted(d, sel) {
			parts[i] = known.part(p, d, byDir[d], read[d])
		} else {
			parts[i] = &part{}
			parts[i].take(readDir(byDir[d]))
		}
	})
	known.keep(dirs, parts, read)
	return p.decided(dirs, parts, sel)
}

// byFolder gives the files of each directory, but for those of the module itself.
func byFolder(files []file) map[string][]file {
	size := map[string]int{}
	for _, f := range files {
		size[folderOf(f.Path)]++
	}
	out := make(map[string][]file, len(size))
	for _, f := range files {
		if inModuleDir(f.Path) {
			continue
		}
		d := folderOf(f.Path)
		if out[d] == nil {
			out[d] = make([]file, 0, size[d]) // for itself: a Memo keeps some of them
		}
		out[d] = append(out[d], f)
	}
	return out
}

// parents gives the directories above others, and the root.
func parents(dirs []string) map[string]bool {
	out := map[string]bool{".": true}
	for _, d := range dirs {
		for d != "." {
			d = path.Dir(d)
			if out[d] && d != "." {
				break
			}
			out[d] = true
		}
	}
	return out
}

// reading is what the files of one directory hold.
type reading struct {
	data       []file
	files      []*plainFile
	stray      diag.List
	unreadable bool // CUE reads it
}

func readDir(data []file) *reading {
	r := &reading{data: data}
	for _, f := range data {
		var parsed *plainFile
		if path.Ext(f.Path) == ".cue" {
			parsed = parsePlain(f)
		}
		switch {
		case parsed != nil:
			r.files = append(r.files, parsed)
		case isStray(f):
			r.stray.Add(notIntent(f.Path))
		default:
			r.unreadable = true
		}
	}
	return r
}

// part is what came of one directory: its text is not needed any more.
type part struct {
	mesh       *intent.Mesh // nil: CUE evaluates it
	stray      diag.List
	unreadable bool
	speaks     map[string]bool // kinds that the files speak of
	// Of a directory with none below, what the part was made of.
	data  []file
	chain []*plainFile // above it
}

// part reads and decodes one directory. Those above it are read already.
func (p *plan) part(d string, r *reading) *part {
	out := &part{}
	out.take(r)
	if !r.unreadable {
		out.mesh = p.directory(d, r.files)
	}
	return out
}

// take notes what the files are, but for their entries.
func (p *part) take(r *reading) {
	p.stray, p.unreadable, p.speaks = r.stray, r.unreadable, map[string]bool{}
	for _, f := range r.files {
		for _, kind := range kinds {
			if f.top[kind] != nil || f.patterns[kind] != nil || f.bound[kind] {
				p.speaks[kind] = true
			}
		}
	}
}

// isWanted says that a directory is of the selected subtree, or above it.
func isWanted(d, sel string) bool { return within(d, sel) || within(sel, d) }

// decided joins the parts of the directories, which are sorted.
func (p *plan) decided(dirs []string, parts []*part, sel string) *plan {
	unreadable := map[string]bool{}
	for i, d := range dirs {
		p.stray = append(p.stray, parts[i].stray...)
		if parts[i].unreadable {
			unreadable[d] = true
		}
	}
	if !p.isBound(dirs, parts, sel) {
		return nil
	}
	for i, d := range dirs {
		if isWanted(d, sel) && (parts[i].mesh == nil || belowAny(d, unreadable)) || unreadable[d] {
			p.harden(d)
		}
	}
	for i, d := range dirs {
		if !p.hard[d] && isWanted(d, sel) {
			addEntries(p.mesh, parts[i].mesh, nil)
		}
	}
	return p
}

// folderOf is path.Dir for paths of files of a mesh, which are clean.
func folderOf(p string) string {
	if i := strings.LastIndexByte(p, '/'); i >= 0 {
		return p[:i]
	}
	return "."
}

func inModuleDir(p string) bool { return p == "cue.mod" || strings.HasPrefix(p, "cue.mod/") }

// isStray says that a data file cannot name anything of a mesh: its text has
// neither a top-level name nor an escape that could hide one.
func isStray(f file) bool {
	return path.Ext(f.Path) != ".cue" && !bytes.ContainsAny(f.Data, `\&*<`) &&
		!slices.ContainsFunc(topLevel, func(name string) bool { return bytes.Contains(f.Data, []byte(name)) })
}

// belowAny says that d or a directory above it is one of dirs.
func belowAny(d string, dirs map[string]bool) bool {
	for ; ; d = path.Dir(d) {
		if dirs[d] {
			return true
		}
		if d == "." {
			return false
		}
	}
}

// harden leaves a directory, and all above it, to CUE.
func (p *plan) harden(d string) {
	for ; !p.hard[d]; d = path.Dir(d) {
		p.hard[d] = true
	}
}

// isBound says that the root binds every kind that plain files speak of, so
// that nothing has to be said about a schema that is not bound.
func (p *plan) isBound(dirs []string, parts []*part, sel string) bool {
	bound := map[string]bool{}
	for _, f := range p.above["."] {
		for name := range f.bound {
			bound[name] = true
		}
	}
	for i, d := range dirs {
		if !isWanted(d, sel) {
			continue
		}
		for kind := range parts[i].speaks {
			if !bound[kind] {
				return false
			}
		}
	}
	return true
}

// directory decodes the entries of one directory; nil when CUE has to.
func (p *plan) directory(d string, own []*plainFile) *intent.Mesh {
	if d == "." || slices.ContainsFunc(own, (*plainFile).needsCUE) {
		return nil
	}
	chain := slices.Concat(p.aboveOf(d), own)
	for _, f := range chain {
		if !f.hasMaps() {
			return nil
		}
	}
	namespace, ok := directoryNamespace(chain, d)
	if !ok {
		return nil
	}
	out := &intent.Mesh{}
	for _, kind := range kinds {
		if !p.entries(out, kind, d, chain, namespace) {
			return nil
		}
	}
	return out
}

// needsCUE says that a file holds more than entries.
func (f *plainFile) needsCUE() bool {
	if f.more {
		return true
	}
	for name := range f.top {
		if name != "namespace" && !slices.Contains(kinds, name) {
			return true
		}
	}
	for name := range f.patterns {
		if !slices.Contains(kinds, name) {
			return true
		}
	}
	return false
}

// hasMaps says that what a file writes under a kind is a map.
func (f *plainFile) hasMaps() bool {
	return !slices.ContainsFunc(kinds, func(kind string) bool {
		return f.top[kind] != nil && !f.top[kind].is(cue.StructKind)
	})
}

// aboveOf gives the files of the directories above d, root first.
func (p *plan) aboveOf(d string) []*plainFile {
	var dirs []string
	for d != "." {
		d = path.Dir(d)
		dirs = append(dirs, d)
	}
	var out []*plainFile
	for _, at := range slices.Backward(dirs) {
		out = append(out, p.above[at]...)
	}
	return out
}

// directoryNamespace gives the namespace that the chain agrees on.
func directoryNamespace(chain []*plainFile, d string) (*intent.Value[string], bool) {
	var found *plain
	for _, f := range chain {
		n := f.top["namespace"]
		if n == nil {
			continue
		}
		if f.dir != d {
			n = n.foreign()
		}
		if found == nil {
			found = n.clone()
		} else if !found.unify(n) {
			return nil, false
		}
	}
	if found == nil {
		return nil, true
	}
	if !entryRules()["namespace"].accepts(found, language().fields["namespace"]) {
		return nil, false
	}
	return &intent.Value[string]{V: found.text, At: found.place()}, true
}

// entries decodes what the own files name under a kind, met with the patterns
// of the chain.
func (p *plan) entries(out *intent.Mesh, kind, d string, chain []*plainFile, namespace *intent.Value[string]) bool {
	named := &plain{kind: cue.StructKind}
	inherited := map[string]bool{}
	var patterns []*plain
	for _, f := range chain {
		for _, pattern := range f.patterns[kind] {
			if f.dir != d {
				pattern = pattern.foreign()
			}
			patterns = append(patterns, pattern)
		}
		if f.top[kind] == nil {
			continue
		}
		for _, entry := range f.top[kind].kids {
			if f.dir != d {
				inherited[entry.key] = true
			} else if !named.add(entry.clone()) {
				return false
			}
		}
	}
	shape := language().fields[kind]
	for _, entry := range named.kids {
		if inherited[entry.key] || !entry.meets(patterns) || shape.child(entry.key) == nil {
			return false
		}
	}
	if !entryRules()[kind].accepts(named, shape) {
		return false
	}
	return named.decode(out, shape.entry, kind, d, namespace)
}

// meets unifies an entry with patterns.
func (p *plain) meets(patterns []*plain) bool {
	for _, pattern := range patterns {
		if !p.unify(pattern) {
			return false
		}
	}
	return true
}

// decode reads the entries of a kind, sorted by name as evaluation has them.
func (p *plain) decode(out *intent.Mesh, s *shape, kind, home string, namespace *intent.Value[string]) bool {
	slices.SortFunc(p.kids, func(a, b *plain) int { return strings.Compare(a.key, b.key) })
	for _, entry := range p.kids {
		r := &reader{}
		cursor{r: r, v: entry, s: s}.decodeEntry(out, kind, home, namespace)
		if r.err != nil {
			return false
		}
	}
	return true
}

// rest gives the files that CUE has to see.
func (p *plan) rest(files []file) []file {
	var out []file
	for _, f := range files {
		if inModuleDir(f.Path) || p.hard[folderOf(f.Path)] && !isStray(f) {
			out = append(out, f)
		}
	}
	return out
}

// join adds what was decoded here to what CUE found.
func (p *plan) join(ans *answer) {
	addEntries(ans.Mesh, p.mesh, nil)
	sortMesh(ans.Mesh)
	ans.Diags = unique(append(ans.Diags, p.stray...))
}
