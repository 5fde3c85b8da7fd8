package load

import (
	"bytes"
	"context"
	"hash/fnv"
	"iter"
	"path"
	"reflect"
	"runtime"
	"slices"
	"sync"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/image"
	"github.com/meshc/meshc/compiler/intent"
)

// Cache keeps what evaluations gave. Its keys are made of all that the value
// depends on. It is safe for concurrent use; Get may forget.
type Cache interface {
	Key(stage string, content ...[]byte) string
	Get(key string) ([]byte, bool)
	Put(key string, value []byte)
	// PutParts keeps a value that is made part by part.
	PutParts(key string, parts iter.Seq[[]byte])
}

// shard is a part of an evaluation: some directories, with all above them.
type shard struct {
	homes map[string]bool // the directories whose entries count
	req   *request
}

// A shard holds the directories up to one whose name says so, and ends at a
// size that is far from every limit. Names decide, so that an edit leaves the
// other shards, and what the cache has of them, as they are.
const (
	shardEvery = 16
	shardBytes = 512 << 10
)

// shards splits what CUE has to see. Files of other packages, which any
// directory may import, keep it together.
func (p *plan) shards(req *request) []*shard {
	files := p.rest(req.Files)
	whole := &shard{req: &request{Dir: req.Dir, Files: files}}
	byDir := map[string][]file{}
	var frame []file
	for _, f := range files {
		switch {
		case inModuleDir(f.Path):
			frame = append(frame, f)
		case path.Ext(f.Path) == ".cue" && !bytes.Contains(f.Data, []byte("package mesh\n")):
			return []*shard{whole}
		default:
			byDir[path.Dir(f.Path)] = append(byDir[path.Dir(f.Path)], f)
		}
	}
	if !p.boundAll() {
		return []*shard{whole}
	}
	var out []*shard
	var dirs []string
	size := 0
	flush := func() {
		if len(dirs) > 0 {
			out = append(out, newShard(req.Dir, dirs, byDir, frame))
		}
		dirs, size = nil, 0
	}
	for _, d := range sortedKeys(byDir) {
		dirs = append(dirs, d)
		for _, f := range byDir[d] {
			size += len(f.Data)
		}
		h := fnv.New32a()
		_, _ = h.Write([]byte(d))
		if size > shardBytes || h.Sum32()%shardEvery == 0 {
			flush()
		}
	}
	flush()
	return out
}

func newShard(sel string, dirs []string, byDir map[string][]file, frame []file) *shard {
	s := &shard{homes: map[string]bool{}, req: &request{Dir: sel, Files: slices.Clone(frame)}}
	taken := map[string]bool{}
	for _, d := range dirs {
		s.homes[d] = true
		for ; !taken[d]; d = path.Dir(d) {
			taken[d] = true
			s.req.Files = append(s.req.Files, byDir[d]...)
			if d == "." {
				break
			}
		}
	}
	slices.SortFunc(s.req.Files, func(a, b file) int { return bytes.Compare([]byte(a.Path), []byte(b.Path)) })
	return s
}

// boundAll says that the root binds every kind.
func (p *plan) boundAll() bool {
	return !slices.ContainsFunc(kinds, func(kind string) bool {
		return !slices.ContainsFunc(p.above["."], func(f *plainFile) bool { return f.bound[kind] })
	})
}

// evaluateShards answers all shards, as many at a time as there are
// processors. The first that exceeds a limit ends the others.
func evaluateShards(ctx context.Context, all []*shard, opts Options) (*answer, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers, errs := make([]*answer, len(all)), make([]error, len(all))
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for i, s := range all {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if errs[i] = ctx.Err(); errs[i] != nil {
				return
			}
			if answers[i], errs[i] = s.answer(ctx, opts); errs[i] != nil || answers[i].isLimit() {
				cancel()
			}
		})
	}
	wg.Wait()
	for _, a := range answers {
		if a != nil && a.isLimit() {
			return a, nil
		}
	}
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return joinAnswers(all, answers), nil
}

// isLimit says that there is no answer because evaluation was ended.
func (a *answer) isLimit() bool {
	return hasCode(a.Diags, diag.EvaluationLimit) || hasCode(a.Diags, diag.EvaluationCrash)
}

// answer is from the cache, or from an evaluation that goes there.
func (s *shard) answer(ctx context.Context, opts Options) (*answer, error) {
	if ans := opts.Memo.answer(s.req); ans != nil {
		return ans, nil
	}
	ans, err := s.fresh(ctx, opts)
	if err == nil && !ans.isLimit() {
		ans = opts.Memo.remember(s.req, ans)
	}
	return ans, err
}

func (s *shard) fresh(ctx context.Context, opts Options) (*answer, error) {
	if opts.Cache == nil {
		return answerTo(ctx, s.req, opts)
	}
	content := [][]byte{[]byte(s.req.Dir)}
	for _, f := range s.req.Files {
		content = append(content, []byte(f.Path), f.Data)
	}
	key := opts.Cache.Key("evaluate", content...)
	if body, ok := opts.Cache.Get(key); ok {
		if ans := pictured(body); ans != nil {
			return ans, nil
		}
	}
	ans, err := answerTo(ctx, s.req, opts)
	if err == nil && !ans.isLimit() {
		var w image.Writer
		w.Add(&keptAnswer{ans.Mesh, ans.Diags, ans.Whole})
		opts.Cache.Put(key, w.Bytes())
	}
	return ans, err
}

// keptAnswer is what a cache has of an answer to a request for a mesh.
type keptAnswer struct {
	Mesh  *intent.Mesh
	Diags diag.List
	Whole bool
}

// pictured reads an answer of a cache; nil when it is damaged.
func pictured(body []byte) *answer {
	var kept keptAnswer
	r := image.NewReader(body)
	if r.Get(&kept) != nil || r.End() != nil || kept.Mesh == nil {
		return nil
	}
	return &answer{Mesh: kept.Mesh, Diags: kept.Diags, Whole: kept.Whole}
}

// joinAnswers takes from each shard what has its home there.
func joinAnswers(all []*shard, answers []*answer) *answer {
	if len(all) == 1 {
		return answers[0]
	}
	out := &answer{Mesh: &intent.Mesh{}}
	for i, a := range answers {
		homes := all[i].homes
		if homes["."] {
			out.Mesh.Config = a.Mesh.Config
		}
		addEntries(out.Mesh, a.Mesh, func(home string) bool { return homes[home] })
		for _, s := range a.Mesh.Suppressions {
			if homes[path.Dir(s.At.File)] {
				out.Mesh.Suppressions = append(out.Mesh.Suppressions, s)
			}
		}
		out.Diags = append(out.Diags, a.Diags...)
		out.Whole = out.Whole || a.Whole
		out.Spent = max(out.Spent, a.Spent)
	}
	sortMesh(out.Mesh)
	slices.SortStableFunc(out.Mesh.Suppressions, func(a, b diag.Suppression) int { return a.At.Compare(b.At) })
	out.Diags = unique(out.Diags)
	return out
}

// addEntries adds the entries of from whose home is wanted to every list of
// such that a mesh has; nil wants every home.
func addEntries(to, from *intent.Mesh, wanted func(home string) bool) {
	dst, src := reflect.ValueOf(to).Elem(), reflect.ValueOf(from).Elem()
	for _, i := range entryLists() {
		list := src.Field(i)
		if wanted == nil {
			dst.Field(i).Set(reflect.AppendSlice(dst.Field(i), list))
			continue
		}
		for k := range list.Len() {
			if e := list.Index(k); wanted(e.Elem().FieldByName("Home").String()) {
				dst.Field(i).Set(reflect.Append(dst.Field(i), e))
			}
		}
	}
}

// entryLists are the fields of a mesh that list things that have a home.
var entryLists = sync.OnceValue(func() []int {
	var out []int
	for i, t := 0, reflect.TypeFor[intent.Mesh](); i < t.NumField(); i++ {
		if isEntries(t.Field(i).Type) {
			out = append(out, i)
		}
	}
	return out
})

// isEntries says that a field of a mesh lists things that have a home.
func isEntries(t reflect.Type) bool {
	if t.Kind() != reflect.Slice || t.Elem().Kind() != reflect.Pointer || t.Elem().Elem().Kind() != reflect.Struct {
		return false
	}
	_, ok := t.Elem().Elem().FieldByName("Home")
	return ok
}
