package load

import (
	"io/fs"
	"maps"
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
	round int // the last load that met it
}

// listed is a directory as it was read.
type listed struct {
	stamp   stamp
	entries []entry
	round   int
}

// entry is what a directory holds.
type entry struct {
	path string
	kind fs.FileMode
}

// states are files and directories by path, as they were read. What a load meets
// again stays where it is, so that ten thousand files that are as they were cost
// no memory.
type states struct {
	mu    sync.Mutex
	round int // counts loads
	files map[string]*seen
	dirs  map[string]*listed
}

// begin is for the next load.
func (s *states) begin() {
	if s.files == nil {
		s.files, s.dirs = map[string]*seen{}, map[string]*listed{}
	}
	s.round++
}

// end forgets what the load did not meet.
func (s *states) end() {
	maps.DeleteFunc(s.files, func(_ string, was *seen) bool { return was.round != s.round })
	maps.DeleteFunc(s.dirs, func(_ string, was *listed) bool { return was.round != s.round })
}

func (s *states) keep(p string, at stamp, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[p] = &seen{at, data, s.round}
}

// unread gives the content of a file that is as it was when it was read last.
func (c *collector) unread(p string) ([]byte, bool) {
	was := c.known.files[p]
	if was == nil || int64(len(was.data)) > c.limits.FileSize { // of which there may be more
		return nil, false
	}
	if now, ok := c.stampAt(p); !ok || now != was.stamp {
		return nil, false
	}
	was.round = c.known.round
	return was.data, true
}

// list gives the entries of a directory, sorted by name.
func (c *collector) list(dir string) ([]entry, error) {
	if c.known == nil {
		return c.readList(dir)
	}
	now, ok := c.stampAt(dir)
	if was := c.known.dirs[dir]; was != nil && ok && was.stamp == now {
		was.round = c.known.round
		return was.entries, nil
	}
	entries, err := c.readList(dir)
	if ok && err == nil {
		c.known.dirs[dir] = &listed{now, entries, c.known.round}
	}
	return entries, err
}

func (c *collector) readList(dir string) ([]entry, error) {
	found, err := fs.ReadDir(c.fsys, dir)
	entries := make([]entry, len(found))
	for i, d := range found {
		entries[i] = entry{d.Name(), d.Type()}
		if dir != "." {
			entries[i].path = dir + "/" + d.Name()
		}
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
	if c.known == nil {
		return stamp{}, false
	}
	info, err := f.Stat()
	if err != nil {
		return stamp{}, false
	}
	return stampOf(info, c.now)
}
