package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// Local is the directory store, open for writing. Its methods must not run at
// the same time; readers in other processes use Read and ReadStatus.
type Local struct {
	reader
	lock  *os.File
	known map[string]stamp // objects that this process has written or read whole
	good  []byte           // content of root.json when it was last known to be whole
}

// Open makes the directory when it is missing, takes its lock and clears what
// a crash left behind. ErrLocked says that another controller writes to it.
func Open(dir string) (*Local, error) {
	if err := os.MkdirAll(filepath.Join(dir, objectsDir), 0o700); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	if err := checkMode(dir); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrLocked
		}
		return nil, fmt.Errorf("state directory %s: %w", dir, err)
	}
	l := &Local{reader: reader{dir}, lock: lock, known: map[string]stamp{}}
	if err := errors.Join(sweep(dir), sweep(filepath.Join(dir, objectsDir))); err != nil {
		return nil, errors.Join(fmt.Errorf("state directory: %w", err), lock.Close())
	}
	return l, nil
}

// checkMode refuses a directory into which others could write: what is in it
// serves. A directory that only others can read is closed to them.
func checkMode(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("state directory %s is writable by others (mode %v)", dir, info.Mode().Perm())
	}
	if info.Mode().Perm()&0o055 != 0 {
		return os.Chmod(dir, 0o700)
	}
	return nil
}

// Close releases the lock.
func (l *Local) Close() error { return l.lock.Close() }

// Save makes g the generation that serves. On an error the one before it still
// does. Objects that already exist are not written again, and a generation that
// serves already leaves everything as it is.
func (l *Local) Save(g *Generation) error {
	next, err := l.saveObjects(g)
	if err != nil {
		return fmt.Errorf("save commit %.12s: %w", g.Commit, err)
	}
	data, _, err := seal(kindRoot, next)
	if err != nil {
		return err
	}
	current, err := readFile(l.path(rootFile))
	if err == nil && bytes.Equal(current, data) {
		l.good = data
		return syncDir(l.dir) // a writer that was killed may not have come to it
	}
	if err := l.keepPrevious(current); err != nil {
		return fmt.Errorf("save commit %.12s: keep the one before: %w", g.Commit, err)
	}
	if err := writeFile(l.path(rootFile), data); err != nil {
		return fmt.Errorf("save commit %.12s: %w", g.Commit, err)
	}
	l.good = data
	// The generation serves; what is no longer named is only wasted space.
	if err := l.collect(next); err != nil {
		return fmt.Errorf("clear old objects: %w", err)
	}
	return nil
}

// saveObjects returns when every object has reached the disk under its name.
func (l *Local) saveObjects(g *Generation) (*root, error) {
	head, configs := split(g)
	next := &root{Commit: g.Commit, Configs: make([]string, 0, len(configs))}
	var fresh []string // sums of what may not have reached the disk
	save := func(kind string, v any) (string, error) {
		sum, unsettled, err := l.saveObject(kind, v)
		if unsettled {
			fresh = append(fresh, sum)
		}
		return sum, err
	}
	var err error
	if next.Mesh, err = save(kindMesh, head); err != nil {
		return nil, err
	}
	for _, c := range configs {
		sum, err := save(kindConfig, c)
		if err != nil {
			return nil, err
		}
		next.Configs = append(next.Configs, sum)
	}
	return next, l.settle(fresh)
}

// settle brings new objects to the disk.
func (l *Local) settle(fresh []string) error {
	paths := make([]string, len(fresh))
	for i, sum := range fresh {
		paths[i] = l.object(sum)
	}
	if err := syncFiles(l.path(objectsDir), paths); err != nil {
		return err
	}
	for _, sum := range fresh {
		if err := l.note(sum); err != nil {
			return err
		}
	}
	return nil
}

// saveObject writes an object that is not there yet. When it is not known to have
// reached the disk, settle has to follow.
func (l *Local) saveObject(kind string, v any) (sum string, unsettled bool, err error) {
	spec, err := encode(kind, v)
	if err != nil {
		return "", false, err
	}
	if sum = checksum(spec); l.unchanged(sum) {
		return sum, false, nil
	}
	data, err := enclose(kind, sum, spec)
	if err != nil {
		return "", false, err
	}
	file := l.object(sum)
	if old, err := readFile(file); err == nil && bytes.Equal(old, data) {
		return sum, true, nil // a writer that was killed may not have come to settle it
	}
	return sum, true, replaceFile(file, data, later)
}

// stamp tells whether a file is the one that was looked at before.
type stamp struct {
	size, inode int64
	modified    time.Time
}

func stampOf(path string) (stamp, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return stamp{}, err
	}
	s := stamp{size: info.Size(), modified: info.ModTime()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.inode = int64(sys.Ino)
	}
	return s, nil
}

// note remembers that an object is whole.
func (l *Local) note(sum string) error {
	s, err := stampOf(l.object(sum))
	if err == nil {
		l.known[sum] = s
	}
	return err
}

// unchanged says whether an object that was whole has not been touched since.
func (l *Local) unchanged(sum string) bool {
	was, known := l.known[sum]
	if !known {
		return false
	}
	is, err := stampOf(l.object(sum))
	return err == nil && is == was
}

// keepPrevious gives the root whose content is current a second name, unless it
// is damaged: a good one before it is worth more.
func (l *Local) keepPrevious(current []byte) error {
	if !l.whole(current) {
		return nil
	}
	temp := l.path(tempPrefix + "prev")
	if err := errors.Join(removeFile(temp), os.Link(l.path(rootFile), temp)); err != nil {
		return err
	}
	return os.Rename(temp, l.path(prevFile))
}

// whole says whether the generation of root.json, whose content is current, can
// be read. What this process wrote itself and nobody touched is not read again.
func (l *Local) whole(current []byte) bool {
	var ro root
	if _, err := unseal(current, kindRoot, &ro); err != nil {
		return false
	}
	touched := func(sum string) bool { return !l.unchanged(sum) }
	if bytes.Equal(current, l.good) && !slices.ContainsFunc(ro.objects(), touched) {
		return true
	}
	_, err := l.generation(rootFile)
	return err == nil
}

// collect removes objects that neither generation names.
func (l *Local) collect(current *root) error {
	keep := map[string]bool{}
	for _, sum := range current.objects() {
		keep[sum+objectSuffix] = true
	}
	if prev, err := l.root(prevFile); err == nil {
		for _, sum := range prev.objects() {
			keep[sum+objectSuffix] = true
		}
	}
	entries, err := os.ReadDir(l.path(objectsDir))
	if err != nil {
		return err
	}
	for sum := range l.known {
		if !keep[sum+objectSuffix] {
			delete(l.known, sum)
		}
	}
	for _, e := range entries {
		if !keep[e.Name()] {
			err = errors.Join(err, removeFile(l.path(objectsDir, e.Name())))
		}
	}
	return err
}

// Load gives the newest generation that can be read whole, or ErrNothing.
func (l *Local) Load() (*Generation, error) {
	g, err := l.generation(rootFile)
	if err == nil {
		return g, nil
	}
	prev, prevErr := l.generation(prevFile)
	switch {
	case prevErr == nil:
		prev.Damage = err
		return prev, nil
	case errors.Is(err, fs.ErrNotExist) && errors.Is(prevErr, fs.ErrNotExist):
		return nil, ErrNothing
	}
	return nil, errors.Join(err, prevErr)
}
