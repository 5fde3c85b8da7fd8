package load

import (
	"context"
	"path"
	"sync"
	"time"

	"github.com/meshc/meshc/compiler/diag"
)

// What finding the file to blame may take. The time is of processors, and that
// of all suspects together, so that a load ends within 12 s of a processor
// whatever it is given, and a machine with other work accuses nobody else.
const (
	blameCPU    = 2400 * time.Millisecond
	blameWall   = 30 * time.Second
	maxSuspects = 8
)

// blame finds which file of a directory exceeded a limit: the one that does not
// come to an end alone, while the others do. Where that leaves several, or
// none, all of them are named.
func blame(ctx context.Context, d *diag.Diagnostic, req *request, dir string, limits Limits) {
	suspects := intentFilesOf(req.Files, dir)
	if len(suspects) == 0 {
		return
	}
	if guilty := endless(ctx, suspects, req, limits); len(guilty) > 0 {
		suspects = guilty
	}
	d.Range.File = suspects[0].Path
	for _, f := range suspects {
		if len(suspects) > 1 {
			d.Related = append(d.Related, diag.Related{Range: diag.Range{File: f.Path}, Message: "one of these files"})
		}
	}
}

func intentFilesOf(files []file, dir string) []file {
	var out []file
	for _, f := range files {
		if path.Dir(f.Path) == dir && isIntentFile(f.Path) {
			out = append(out, f)
		}
	}
	return out
}

// endless evaluates each file alone, side by side, and gives those that found
// no answer. What a file refers to in others is an error then, and an answer.
func endless(ctx context.Context, suspects []file, req *request, limits Limits) []file {
	if len(suspects) > maxSuspects {
		return nil
	}
	limits.CPU = min(limits.CPU, blameCPU/time.Duration(len(suspects)))
	limits.Wall = blameWall
	limits.Memory /= maxSuspects
	answered := make([]bool, len(suspects))
	var wg sync.WaitGroup
	for i, f := range suspects {
		alone := &request{Dir: ".", Files: []file{{Path: path.Base(f.Path), Data: f.Data}}, Rules: req.Rules}
		for _, m := range req.Files {
			if inModuleDir(m.Path) {
				alone.Files = append(alone.Files, m)
			}
		}
		wg.Go(func() { answered[i] = answers(ctx, alone, limits) })
	}
	wg.Wait()
	var out []file
	for i, f := range suspects {
		if !answered[i] {
			out = append(out, f)
		}
	}
	return out
}

// answers says whether a request comes to an end within limits.
func answers(ctx context.Context, req *request, limits Limits) bool {
	c, err := startChild(limits)
	if err != nil {
		return false
	}
	ans, _, _ := c.converse(ctx, req)
	return ans != nil
}
