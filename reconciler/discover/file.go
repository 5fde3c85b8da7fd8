package discover

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/meshc/meshc/compiler/model"
)

// DefaultInterval is how often a File is looked at.
const DefaultInterval = 200 * time.Millisecond

// maxFile bounds what is read: about 100,000 workloads.
const maxFile = 64 << 20

// File is the static adapter: a JSON file that is read again when it changes.
// It may be replaced by rename or written in place; a half-written file is an
// error that lasts until the next look.
type File struct {
	// Path of the file. Symbolic links are followed.
	Path string
	// Interval between looks; 0: DefaultInterval.
	Interval time.Duration
	// Ticks replaces the clock: each value is one look. nil: a timer.
	Ticks <-chan time.Time
	// Now tells how old a time stamp is; nil: time.Now.
	Now func() time.Time
}

var _ Source = (*File)(nil)

// Watch implements Source.
func (f *File) Watch(ctx context.Context) <-chan Update {
	out := make(chan Update, 1)
	go func() {
		defer close(out)
		ticks, stop := f.ticks()
		defer stop()
		r := reader{path: f.Path, now: f.Now}
		if r.now == nil {
			r.now = time.Now
		}
		for {
			if u, fresh := r.look(); fresh {
				Offer(out, u)
			}
			select {
			case <-ticks:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

func (f *File) ticks() (<-chan time.Time, func()) {
	if f.Ticks != nil {
		return f.Ticks, func() {}
	}
	interval := f.Interval
	if interval <= 0 {
		interval = DefaultInterval
	}
	t := time.NewTicker(interval)
	return t.C, t.Stop
}

// reader remembers what was read last.
type reader struct {
	path    string
	now     func() time.Time
	good    []*model.Workload
	err     error
	looked  bool
	info    fs.FileInfo
	read    time.Time
	content [sha256.Size]byte
	known   bool // content is that of the last read
}

// racy is the age below which a file's time stamp is not trusted: it may be
// written again within the same tick of the file system's clock.
const racy = 2 * time.Second

// look gives an update when there is something new to say.
func (r *reader) look() (Update, bool) {
	list, changed, err := r.refresh()
	first := !r.looked
	r.looked = true
	if err != nil {
		news := first || r.err == nil || r.err.Error() != err.Error()
		r.err = err
		return Update{Workloads: r.good, Err: err}, news
	}
	if !changed {
		return Update{}, false
	}
	r.good, r.err = list, nil
	return Update{Workloads: r.good}, true
}

// refresh reads the file if it may have changed. An unchanged file that was
// bad stays bad, without being parsed again.
func (r *reader) refresh() (list []*model.Workload, changed bool, err error) {
	info, err := os.Stat(r.path)
	if err != nil {
		r.known = false
		return nil, false, fmt.Errorf("workloads: %w", err)
	}
	if r.known && r.same(info) {
		return nil, false, r.err
	}
	data, err := readBounded(r.path)
	if err != nil {
		r.known = false
		return nil, false, err
	}
	sum := sha256.Sum256(data)
	same := r.known && sum == r.content
	r.info, r.read, r.content, r.known = info, r.now(), sum, true
	if same {
		return nil, false, r.err
	}
	list, err = Decode(data)
	if err != nil {
		return nil, false, fmt.Errorf("%s: %w", r.path, err)
	}
	return list, true, nil
}

func (r *reader) same(info fs.FileInfo) bool {
	return os.SameFile(info, r.info) &&
		info.ModTime().Equal(r.info.ModTime()) &&
		info.Size() == r.info.Size() &&
		r.read.Sub(info.ModTime()) > racy
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("workloads: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(fmt.Errorf("workloads: %s is not a regular file", path), err)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("workloads: %w", err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("workloads: %s is larger than %d bytes", path, maxFile)
	}
	return data, nil
}
