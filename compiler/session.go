package compiler

import (
	"context"
	"io/fs"
	"sync"

	"github.com/meshc/meshc/compiler/load"
)

// Session compiles one state of a mesh after the other, and makes again only
// what is not as it was in the last one: directories whose files, and those
// above, are the same are not read again, evaluated again or decoded again, and
// what passes say of services that an edit does not reach is known. The results
// are those of Compile.
//
// What it keeps is text and plain data of one state, so it is bounded by the
// limits of a load. CUE is evaluated in children that live for one evaluation,
// as always. The zero value is ready, and safe for concurrent use.
type Session struct {
	mu    sync.Mutex
	memo  load.Memo
	known known
}

// Compile is the function Compile for the next state of the mesh. When another
// call is under way it does without what is known. What the results share with
// those of other calls must not be changed.
func (s *Session) Compile(ctx context.Context, fsys fs.FS, opts Options) (*Result, error) {
	if !s.mu.TryLock() {
		return Compile(ctx, fsys, opts)
	}
	defer s.mu.Unlock()
	opts.Load.Memo, opts.known = &s.memo, &s.known
	res, err := Compile(ctx, fsys, opts)
	if err != nil || res.crashed() {
		s.memo, s.known = load.Memo{}, known{}
	}
	return res, err
}
