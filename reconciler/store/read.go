package store

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/reconciler/status"
)

const (
	rootFile     = "root.json"
	prevFile     = "root.prev.json"
	statusFile   = "status.json"
	objectsDir   = "objects"
	objectSuffix = ".json"
)

// reader reads a state directory, with or without its lock.
type reader struct{ dir string }

func (r reader) path(elem ...string) string {
	return filepath.Join(append([]string{r.dir}, elem...)...)
}

func (r reader) object(sum string) string { return r.path(objectsDir, sum+objectSuffix) }

func (r reader) root(name string) (*root, error) {
	data, err := readFile(r.path(name))
	if err != nil {
		return nil, err
	}
	var ro root
	if _, err := unseal(data, kindRoot, &ro); err != nil {
		return nil, fmt.Errorf("%s: %w", r.path(name), err)
	}
	return &ro, nil
}

func (r reader) generation(name string) (*Generation, error) {
	ro, err := r.root(name)
	if err != nil {
		return nil, err
	}
	var head meshObject
	if err := r.load(kindMesh, ro.Mesh, &head); err != nil {
		return nil, err
	}
	configs := make([]configObject, len(ro.Configs))
	for i, sum := range ro.Configs {
		if err := r.load(kindConfig, sum, &configs[i]); err != nil {
			return nil, err
		}
	}
	g, err := join(ro.Commit, head, configs)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", r.path(name), ErrDamaged, err)
	}
	return g, nil
}

// load reads one object and holds it to the name it has.
func (r reader) load(kind, sum string, v any) error {
	if !validSum(sum) {
		return fmt.Errorf("object name %q: %w", sum, ErrDamaged)
	}
	file := r.object(sum)
	data, err := readFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w: it is missing", file, ErrDamaged)
	}
	if err != nil {
		return err
	}
	got, err := unseal(data, kind, v)
	if err == nil && got != sum {
		err = fmt.Errorf("%w: content hashes to %.12s", ErrDamaged, got)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// validSum keeps a damaged root from naming files elsewhere.
func validSum(sum string) bool {
	if len(sum) != 64 {
		return false
	}
	for _, c := range sum {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// readTries is how often Read starts again when the writer switched
// generations twice meanwhile and cleared objects that were still to be read.
const readTries = 5

// Read gives the generation that serves, in any process and without the lock.
func Read(dir string) (g *Generation, err error) {
	r := reader{dir}
	for range readTries {
		if g, err = r.generation(rootFile); err == nil || errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("state directory %s: %w", dir, ErrNothing)
	}
	return g, err
}

// Serving gives the model that serves and its commit, or ErrNothing.
func Serving(dir string) (m *model.Mesh, commit string, err error) {
	g, err := Read(dir)
	if err != nil {
		return nil, "", err
	}
	return g.Mesh, g.Commit, nil
}

// Fingerprint changes whenever another generation serves; ErrNothing while there
// is none. It costs one file, however large the mesh is.
func Fingerprint(dir string) (string, error) {
	r := reader{dir}
	data, err := readFile(r.path(rootFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("state directory %s: %w", dir, ErrNothing)
	}
	if err != nil {
		return "", err
	}
	return checksum(data), nil
}

// ReadStatus gives the last status that a controller wrote, or ErrNothing.
func ReadStatus(dir string) (*status.Status, error) {
	r := reader{dir}
	data, err := readFile(r.path(statusFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("state directory %s: %w", dir, ErrNothing)
	}
	if err != nil {
		return nil, err
	}
	var s status.Status
	if _, err := unseal(data, kindStatus, &s); err != nil {
		return nil, fmt.Errorf("%s: %w", r.path(statusFile), err)
	}
	return &s, nil
}

// SaveStatus replaces the status.
func (l *Local) SaveStatus(s *status.Status) error {
	data, _, err := seal(kindStatus, s)
	if err != nil {
		return err
	}
	return writeFile(l.path(statusFile), data)
}

// LoadStatus gives the last status, or ErrNothing.
func (l *Local) LoadStatus() (*status.Status, error) { return ReadStatus(l.dir) }
