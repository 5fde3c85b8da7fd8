package load

import (
	"io/fs"
	"sync"
	"syscall"
	"time"
)

// stamp tells a state of a file from every other without its content: two files
// of one path and stamp hold the same.
type stamp struct {
	content         string // a name of the content; "" where the kernel tells
	device, inode   uint64
	size            int64
	modified, moved int64 // nanoseconds; moved is when the inode changed, which nobody can set
}

// Named is what Sys of a FileInfo may give: a name of the file's content, such as
// the hash of an object of Git. Files of one path with one name are read once by
// loads that share a Memo.
type Named interface{ ContentName() string }

// restless is how long ago an inode must have changed for its times to tell: one
// that is changed twice within a tick of the kernel's clock looks the same.
const restless = 2 * time.Second

// stampOf gives the stamp of a file; ok is false where nothing is known, or what
// is known at now may be true of the next state as well.
func stampOf(info fs.FileInfo, now time.Time) (s stamp, ok bool) {
	switch sys := info.Sys().(type) {
	case Named:
		return stamp{content: sys.ContentName()}, sys.ContentName() != ""
	case *syscall.Stat_t:
		s = stamp{
			device: uint64(sys.Dev), inode: sys.Ino, size: info.Size(),
			modified: info.ModTime().UnixNano(), moved: sys.Ctim.Nano(),
		}
		latest := max(s.modified, s.moved)
		return s, now.Sub(time.Unix(0, latest)) > restless
	}
	return stamp{}, false
}

// seen is a file as it was read.
type seen struct {
	stamp stamp
	data  []byte
}

// listed is a directory as it was read.
type listed struct {
	stamp   stamp
	entries []fs.DirEntry
}

// states are files and directories by path, as they were read.
type states struct {
	mu    *sync.Mutex
	files map[string]seen
	dirs  map[string]listed
}

func newStates() states {
	return states{new(sync.Mutex), map[string]seen{}, map[string]listed{}}
}

func (s states) keep(p string, was seen) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[p] = was
}

// unread gives the content of a file that is as it was when it was read last.
func (c *collector) unread(p string) ([]byte, bool) {
	was, known := c.last.files[p]
	if !known || int64(len(was.data)) > c.limits.FileSize { // of which there may be more
		return nil, false
	}
	if now, ok := c.stampAt(p); !ok || now != was.stamp {
		return nil, false
	}
	c.next.keep(p, was)
	return was.data, true
}

// list gives the entries of a directory, sorted by name.
func (c *collector) list(dir string) ([]fs.DirEntry, error) {
	if c.next.dirs == nil {
		return fs.ReadDir(c.fsys, dir)
	}
	now, ok := c.stampAt(dir)
	if was, known := c.last.dirs[dir]; known && ok && was.stamp == now {
		c.next.dirs[dir] = was
		return was.entries, nil
	}
	entries, err := fs.ReadDir(c.fsys, dir)
	if ok && err == nil {
		c.next.dirs[dir] = listed{now, entries}
	}
	return entries, err
}

// stampAt gives the stamp of what is at a path now.
func (c *collector) stampAt(p string) (stamp, bool) {
	info, err := fs.Lstat(c.fsys, p)
	if err != nil {
		return stamp{}, false
	}
	return stampOf(info, c.now)
}

// stampFor gives the stamp of a file that is about to be read, for the next load.
func (c *collector) stampFor(f fs.File) (stamp, bool) {
	if c.next.files == nil {
		return stamp{}, false
	}
	info, err := f.Stat()
	if err != nil {
		return stamp{}, false
	}
	return stampOf(info, c.now)
}
