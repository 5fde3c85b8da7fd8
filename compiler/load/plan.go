package load

import (
	"bytes"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"

	"cuelang.org/go/cue"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
)

// plan divides the directories of a mesh: those whose entries are literals
// that the rules accept are decoded here, and CUE evaluates the rest. See
// docs/decisions/0005-plain-intent-is-decoded.md.
type plan struct {
	files map[string][]*plainFile // by directory, in the order of the source
	hard  map[string]bool         // directories that CUE evaluates, and all above them
	mesh  *intent.Mesh            // the entries of the others
	stray diag.List               // data files that are none of ours
}

// newPlan reads the files and decides. It gives nil when CUE has to see the
// whole mesh.
func newPlan(files []file, sel string) *plan {
	p := &plan{files: map[string][]*plainFile{}, hard: map[string]bool{".": true}, mesh: &intent.Mesh{}}
	unreadable := p.parse(files)
	if !p.isBound(sel) {
		return nil
	}
	dirs := sortedKeys(p.files)
	meshes := make([]*intent.Mesh, len(dirs))
	inParallel(len(dirs), func(i int) {
		if d := dirs[i]; !within(d, sel) && !within(sel, d) {
			meshes[i] = &intent.Mesh{}
		} else if !belowAny(d, unreadable) {
			meshes[i] = p.directory(d)
		}
	})
	for d := range unreadable {
		p.harden(d)
	}
	for i, d := range dirs {
		if meshes[i] == nil {
			p.harden(d)
		}
	}
	for i, d := range dirs {
		if !p.hard[d] {
			addEntries(p.mesh, meshes[i], everywhere)
		}
	}
	return p
}

// inParallel calls f for 0 to n-1 on every processor.
func inParallel(n int, f func(i int)) {
	const chunk = 16
	var wg sync.WaitGroup
	var mu sync.Mutex
	next := 0
	for range min(runtime.GOMAXPROCS(0), n) {
		wg.Go(func() {
			for {
				mu.Lock()
				from := next
				next += chunk
				mu.Unlock()
				if from >= n {
					return
				}
				for i := from; i < min(from+chunk, n); i++ {
					f(i)
				}
			}
		})
	}
	wg.Wait()
}

// parse reads every file, and gives the directories with one that only CUE can
// read.
func (p *plan) parse(files []file) map[string]bool {
	parsed := make([]*plainFile, len(files))
	inParallel(len(files), func(i int) {
		if path.Ext(files[i].Path) == ".cue" && !inModuleDir(files[i].Path) {
			parsed[i] = parsePlain(files[i])
		}
	})
	unreadable := map[string]bool{}
	for i, f := range files {
		switch {
		case inModuleDir(f.Path):
		case parsed[i] != nil:
			p.files[parsed[i].dir] = append(p.files[parsed[i].dir], parsed[i])
		case isStray(f):
			p.stray.Add(notIntent(f.Path))
		default:
			unreadable[path.Dir(f.Path)] = true
		}
	}
	return unreadable
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
func (p *plan) isBound(sel string) bool {
	bound := map[string]bool{}
	for _, f := range p.files["."] {
		for name := range f.bound {
			bound[name] = true
		}
	}
	for d, files := range p.files {
		if !within(d, sel) && !within(sel, d) {
			continue
		}
		for _, f := range files {
			for _, kind := range kinds {
				if !bound[kind] && (f.top[kind] != nil || f.patterns[kind] != nil || f.bound[kind]) {
					return false
				}
			}
		}
	}
	return true
}

// directory decodes the entries of one directory; nil when CUE has to.
func (p *plan) directory(d string) *intent.Mesh {
	own := p.files[d]
	if d == "." || slices.ContainsFunc(own, (*plainFile).needsCUE) {
		return nil
	}
	chain := p.chain(d)
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

// chain gives the files that a directory is made of, root first.
func (p *plan) chain(d string) []*plainFile {
	var dirs []string
	for at := d; ; at = path.Dir(at) {
		dirs = append(dirs, at)
		if at == "." {
			break
		}
	}
	var out []*plainFile
	for _, at := range slices.Backward(dirs) {
		out = append(out, p.files[at]...)
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
		if inModuleDir(f.Path) || p.hard[path.Dir(f.Path)] && !isStray(f) {
			out = append(out, f)
		}
	}
	return out
}

// join adds what was decoded here to what CUE found.
func (p *plan) join(ans *answer) {
	addEntries(ans.Mesh, p.mesh, everywhere)
	sortMesh(ans.Mesh)
	ans.Diags = unique(append(ans.Diags, p.stray...))
}
