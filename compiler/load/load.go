// Package load turns a directory of CUE (and YAML and JSON) into intent: it
// takes an fs.FS rooted at the module root and gives an *intent.Mesh and what
// is wrong with its shape. It is the only package that imports CUE, and it
// evaluates it in a child process with limits on time, memory and output.
package load

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"time"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
)

// Options of Mesh. The zero value loads the whole module in a child process
// with the default limits.
type Options struct {
	// Dir selects the subtree to load, slash-separated and relative to the
	// module root; "" and "." mean all. Directories above it are loaded as well.
	Dir string
	// InProcess evaluates in this process, without limits: for tests, and for
	// input that is known to be harmless.
	InProcess bool
	// AllCUE evaluates every directory, also those that say what they say in
	// literals: for tests and measurements, which compare the two.
	AllCUE bool
	// Cache keeps what was evaluated; nil for none.
	Cache Cache
	// Memo keeps what this process needs again when it loads the next state of
	// the same mesh; nil for nothing.
	Memo *Memo
	// Parts are what is known of the mesh from another process; nil for nothing,
	// and when nobody wants to know.
	Parts  *Parts
	Limits Limits
}

// Limits bound what one load may take. A zero field means its default.
type Limits struct {
	CPU       time.Duration // of the child; default 9 s
	Wall      time.Duration // from start to answer, for a machine that has other work; default 60 s
	Memory    int64         // resident bytes of the child; default 1 GiB
	Output    int64         // bytes of the answer; default 16 MiB
	Files     int           // number of files; default 20,000
	FileSize  int64         // bytes of one file; default 1 MiB
	TotalSize int64         // bytes of all files; default 64 MiB
}

func (l Limits) withDefaults() Limits {
	or(&l.CPU, 9*time.Second)
	or(&l.Wall, time.Minute)
	or(&l.Memory, 1<<30)
	or(&l.Output, 16<<20)
	or(&l.Files, 20_000)
	or(&l.FileSize, 1<<20)
	or(&l.TotalSize, 64<<20)
	return l
}

func or[T comparable](field *T, fallback T) {
	var zero T
	if *field == zero {
		*field = fallback
	}
}

// Mesh loads the mesh in fsys, whose root is the root of the CUE module. The
// list holds what is wrong with what the user wrote, sorted; the mesh holds
// the entries that are sound in shape. The error is about reading fsys or
// about running the evaluation, never about the mesh.
func Mesh(ctx context.Context, fsys fs.FS, opts Options) (*intent.Mesh, diag.List, error) {
	req, diags, err := newRequest(ctx, fsys, &opts)
	if err != nil {
		return nil, nil, fmt.Errorf("load: %w", err)
	}
	if diags.HasErrors() {
		return &intent.Mesh{}, diags, nil
	}
	var rules []intent.RuleFile
	req.Files, rules = withoutRules(req.Files)
	ans, err := answerFor(ctx, req, opts)
	if err != nil {
		return nil, nil, fmt.Errorf("load: %w", err)
	}
	ans.Mesh.Rules = rules
	diags = append(diags, ans.Diags...)
	diags.Sort()
	return ans.Mesh, diags, nil
}

// answerFor decodes what is plain and has the rest evaluated.
func answerFor(ctx context.Context, req *request, opts Options) (*answer, error) {
	whole := &shard{req: req}
	if opts.AllCUE {
		return whole.answer(ctx, opts)
	}
	started := time.Now()
	p := newPlan(req.Files, req.Dir, opts.Memo, opts.Parts)
	if p == nil {
		return whole.answer(ctx, opts)
	}
	ans, err := evaluateShards(ctx, p.shards(req), opts)
	if err != nil {
		return nil, err
	}
	if ans.Whole {
		opts.Limits.Wall -= time.Since(started)
		opts.Limits.CPU -= ans.Spent
		return whole.answer(ctx, opts)
	}
	p.join(ans)
	opts.Parts.keep(p)
	return ans, nil
}

// newRequest reads the files, within the limits, whose defaults it fills in.
// What it refuses to read is in the list.
func newRequest(ctx context.Context, fsys fs.FS, opts *Options) (*request, diag.List, error) {
	opts.Limits = opts.Limits.withDefaults()
	dir := path.Clean(opts.Dir)
	if !fs.ValidPath(dir) {
		return nil, nil, fmt.Errorf("directory %q is not inside the module", opts.Dir)
	}
	found, diags, err := collect(ctx, fsys, opts.Limits, opts.Memo)
	if err != nil {
		return nil, nil, err
	}
	if info, err := fs.Stat(fsys, dir); err != nil {
		return nil, nil, err
	} else if !info.IsDir() {
		return nil, nil, fmt.Errorf("%q is not a directory", opts.Dir)
	}
	return &request{Dir: dir, Files: found}, diags, nil
}

// answerTo evaluates in a child, or in this process.
func answerTo(ctx context.Context, req *request, opts Options) (*answer, error) {
	if opts.InProcess {
		return evaluate(req, func(string) {}), nil
	}
	return runChild(ctx, req, opts.Limits)
}
