package artifact

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
)

// manifestName is the list of the files that Write wrote, by digest.
const manifestName = ".meshc-manifest.json"

type manifest struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Files      map[string]string `json:"files"` // path → SHA-256 of what was written
}

// Report says what Write did; every list is sorted.
type Report struct {
	Written   []string `json:"written"` // new or changed
	Unchanged []string `json:"unchanged"`
	Removed   []string `json:"removed"` // written before, and no longer made
	Kept      []string `json:"kept"`    // no longer made, and changed by others since
}

// Write makes dir hold files, by slash-separated path. What an earlier Write
// left and this one does not make is removed, unless somebody changed it since;
// files of others are not touched. Nothing outside dir is, whatever links lie
// in it. Each file is replaced whole.
func Write(dir string, files map[string][]byte) (*Report, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	old, err := readManifest(root)
	if err != nil {
		return nil, err
	}
	report, next := &Report{}, manifest{APIVersion: apiVersion, Kind: "Manifest", Files: make(map[string]string, len(files))}
	for name, content := range files {
		next.Files[name] = digest(content)
	}
	// First the union is recorded: were the rest cut short, the next Write
	// would still know every file that is ours.
	if err := writeManifest(root, union(old, next)); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := report.write(root, name, files[name]); err != nil {
			return nil, err
		}
	}
	if err := report.prune(root, old, next); err != nil {
		return nil, err
	}
	return report, writeManifest(root, next)
}

func union(old, next manifest) manifest {
	files := maps.Clone(old.Files)
	if files == nil {
		files = make(map[string]string)
	}
	maps.Copy(files, next.Files)
	next.Files = files
	return next
}

func (r *Report) write(root *os.Root, name string, content []byte) error {
	if was, err := root.ReadFile(name); err == nil && bytes.Equal(was, content) {
		r.Unchanged = append(r.Unchanged, name)
		return nil
	}
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	r.Written = append(r.Written, name)
	return replace(root, name, content)
}

// replace puts content in place in one step.
func replace(root *os.Root, name string, content []byte) error {
	temp := name + ".tmp"
	if err := root.WriteFile(temp, content, 0o644); err != nil {
		return err
	}
	if err := root.Rename(temp, name); err != nil {
		return errors.Join(err, root.Remove(temp))
	}
	return nil
}

func (r *Report) prune(root *os.Root, old, next manifest) error {
	for _, name := range slices.Sorted(maps.Keys(old.Files)) {
		if _, made := next.Files[name]; made {
			continue
		}
		content, err := root.ReadFile(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return err
		case digest(content) != old.Files[name]:
			r.Kept = append(r.Kept, name)
			continue
		}
		if err := root.Remove(name); err != nil {
			return err
		}
		r.Removed = append(r.Removed, name)
		removeEmpty(root, path.Dir(name))
	}
	return nil
}

// removeEmpty takes away a directory that nothing is in any more.
func removeEmpty(root *os.Root, dir string) {
	if dir != "." {
		// A directory that is not empty stays: Remove refuses it.
		_ = root.Remove(dir)
	}
}

func readManifest(root *os.Root) (manifest, error) {
	var m manifest
	raw, err := root.ReadFile(manifestName)
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return m, fmt.Errorf("%s: %w", manifestName, err)
	}
	for name := range m.Files {
		if !fs.ValidPath(name) || name == manifestName {
			return m, fmt.Errorf("%s: %q is not a file of the directory", manifestName, name)
		}
	}
	return m, nil
}

func writeManifest(root *os.Root, m manifest) error {
	raw, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return replace(root, manifestName, append(raw, '\n'))
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
