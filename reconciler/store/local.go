package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Local is the directory store, open for writing. Its methods must not run at
// the same time; readers in other processes use Read and ReadStatus.
type Local struct {
	reader
	lock *os.File
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
	l := &Local{reader: reader{dir}, lock: lock}
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
// does. Objects that already exist are not written again.
func (l *Local) Save(g *Generation) error {
	next, err := l.saveObjects(g)
	if err != nil {
		return fmt.Errorf("save commit %.12s: %w", g.Commit, err)
	}
	data, _, err := seal(kindRoot, next)
	if err != nil {
		return err
	}
	if err := l.keepPrevious(); err != nil {
		return fmt.Errorf("save commit %.12s: keep the one before: %w", g.Commit, err)
	}
	if err := writeFile(l.path(rootFile), data); err != nil {
		return fmt.Errorf("save commit %.12s: %w", g.Commit, err)
	}
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
	var err error
	if next.Mesh, err = l.saveObject(kindMesh, head); err != nil {
		return nil, err
	}
	for _, c := range configs {
		sum, err := l.saveObject(kindConfig, c)
		if err != nil {
			return nil, err
		}
		next.Configs = append(next.Configs, sum)
	}
	return next, syncDir(l.path(objectsDir))
}

func (l *Local) saveObject(kind string, v any) (string, error) {
	data, sum, err := seal(kind, v)
	if err != nil {
		return "", err
	}
	file := l.object(sum)
	if old, err := readFile(file); err == nil && string(old) == string(data) {
		return sum, nil
	}
	return sum, replaceFile(file, data)
}

// keepPrevious gives the current root a second name, unless it is damaged: a
// good one before it is worth more.
func (l *Local) keepPrevious() error {
	if _, err := l.generation(rootFile); err != nil {
		return nil
	}
	temp := l.path(tempPrefix + "prev")
	if err := errors.Join(removeFile(temp), os.Link(l.path(rootFile), temp)); err != nil {
		return err
	}
	return os.Rename(temp, l.path(prevFile))
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
