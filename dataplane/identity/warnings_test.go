package identity

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
)

// firstWarnings keeps the first lines of a log that are warnings or worse: what explains
// a failure is said before it, and with hundreds of workloads much is said after it.
type firstWarnings struct {
	mu    sync.Mutex
	text  bytes.Buffer
	lines int
}

const maxWarnings = 40

func (f *firstWarnings) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn
}

func (f *firstWarnings) Handle(ctx context.Context, r slog.Record) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lines == maxWarnings {
		return nil
	}
	f.lines++
	return slog.NewTextHandler(&f.text, nil).Handle(ctx, r)
}

func (f *firstWarnings) WithAttrs([]slog.Attr) slog.Handler { return f }

func (f *firstWarnings) WithGroup(string) slog.Handler { return f }

func (f *firstWarnings) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.text.String()
}
