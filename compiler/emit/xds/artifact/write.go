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
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// manifestName is the list of the files that Write wrote, by digest.
const manifestName = ".meshc-manifest.json"

type manifest struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Files      map[string]string `json:"files"` // path → SHA-256 of what was written
	// Made says what the files were made of, and how they looked then.
	Made map[string]made `json:"made,omitempty"`
}

// made is one file as it was left.
type made struct {
	Key  string `json:"key"`
	Size int64  `json:"size"`
	Time int64  `json:"time"` // of its last change, in nanoseconds
}

// Report says what Write did; every list is sorted.
type Report struct {
	Written   []string `json:"written"` // new or changed
	Unchanged []string `json:"unchanged"`
	Removed   []string `json:"removed"` // written before, and no longer made
	Kept      []string `json:"kept"`    // no longer made, and changed by others since
}

// Source gives files by their slash-separated paths; Render may be called by
// several goroutines.
type Source interface {
	Names() []string
	Render(out *bytes.Buffer, name string) error
	// Key names all that Render's answer depends on; "" for unknown.
	Key(name string) (string, error)
}

// Write makes dir hold the files of src. What an earlier Write left and this
// one does not make is removed, unless somebody changed it since; files of
// others are not touched. Nothing outside dir is, whatever links lie in it.
// Each file is replaced whole, and few are in memory at a time.
func Write(dir string, src Source) (*Report, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	old, last, err := readManifest(root)
	if err != nil {
		return nil, err
	}
	w := &writer{root: root, src: src, last: last, next: manifest{
		APIVersion: apiVersion, Kind: "Manifest", Files: make(map[string]string), Made: make(map[string]made),
	}}
	if w.journal, err = openJournal(root); err != nil {
		return nil, err
	}
	if err := errors.Join(w.all(), w.journal.Close()); err != nil {
		return nil, err
	}
	if err := w.prune(old); err != nil {
		return nil, err
	}
	if err := writeManifest(root, w.next); err != nil {
		return nil, err
	}
	return &w.report, removeJournal(root)
}

// writer is one Write.
type writer struct {
	root *os.Root
	src  Source
	last manifest // what the last Write that came to its end left

	mu      sync.Mutex
	journal *os.File
	next    manifest
	report  Report
}

// all renders and writes on every processor, and stops at the first error by
// name among those it has met. The files of one directory are one processor's.
func (w *writer) all() error {
	dirs := byDir(w.src.Names())
	errs := make([]error, len(dirs))
	var next atomic.Int64
	var failed atomic.Bool
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			var content bytes.Buffer // of one file after the other
			for !failed.Load() {
				i := int(next.Add(1)) - 1
				if i >= len(dirs) {
					return
				}
				if errs[i] = w.directory(&content, dirs[i]); errs[i] != nil {
					failed.Store(true)
				}
			}
		})
	}
	wg.Wait()
	slices.Sort(w.report.Written)
	slices.Sort(w.report.Unchanged)
	i := slices.IndexFunc(errs, func(err error) bool { return err != nil })
	if i < 0 {
		return nil
	}
	return errs[i]
}

// byDir groups names, which are sorted, by their directory.
func byDir(names []string) [][]string {
	var out [][]string
	at := map[string]int{}
	for _, name := range names {
		dir := path.Dir(name)
		i, ok := at[dir]
		if !ok {
			i = len(out)
			at[dir] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], name)
	}
	return out
}

// folder is a directory of the output, which is opened once for all of its
// files. It is not there before something is written to it.
type folder struct {
	path string
	root *os.Root // nil when it is not there
}

func (w *writer) directory(content *bytes.Buffer, names []string) error {
	f := &folder{path: path.Dir(names[0])}
	if err := f.open(w.root); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	defer f.close()
	for _, name := range names {
		if err := w.one(f, content, name); err != nil {
			return err
		}
	}
	return nil
}

func (f *folder) open(root *os.Root) (err error) {
	f.root, err = root.OpenRoot(f.path)
	return err
}

func (f *folder) close() {
	if f.root != nil {
		_ = f.root.Close() // it is read from and written to by others' handles
	}
}

// make makes the directory when it is not there.
func (f *folder) make(root *os.Root) error {
	if f.root != nil {
		return nil
	}
	if err := root.MkdirAll(f.path, 0o755); err != nil {
		return err
	}
	return f.open(root)
}

func (w *writer) one(f *folder, content *bytes.Buffer, name string) error {
	key, err := w.src.Key(name)
	if err != nil {
		return err
	}
	if key != "" && w.last.Made[name].Key == key && w.untouched(f, name) {
		return w.note(name, w.last.Files[name], true)
	}
	if err := w.fresh(f, content, name); err != nil || key == "" {
		return err
	}
	return w.remember(f, name, key)
}

// untouched says that a file looks as the last Write left it, and remembers it
// again.
func (w *writer) untouched(f *folder, name string) bool {
	if f.root == nil {
		return false
	}
	info, err := f.root.Lstat(path.Base(name))
	was := w.last.Made[name]
	if err != nil || !info.Mode().IsRegular() || info.Size() != was.Size || info.ModTime().UnixNano() != was.Time || w.last.Files[name] == "" {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next.Made[name] = was
	return true
}

func (w *writer) remember(f *folder, name, key string) error {
	info, err := f.root.Lstat(path.Base(name))
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next.Made[name] = made{Key: key, Size: info.Size(), Time: info.ModTime().UnixNano()}
	return nil
}

// fresh renders a file and writes it, unless it is there.
func (w *writer) fresh(f *folder, content *bytes.Buffer, name string) error {
	content.Reset()
	if err := w.src.Render(content, name); err != nil {
		return err
	}
	same := f.holds(path.Base(name), content.Bytes())
	if err := w.note(name, digest(content.Bytes()), same); err != nil || same {
		return err
	}
	if err := f.make(w.root); err != nil {
		return err
	}
	return replace(f.root, path.Base(name), content.Bytes())
}

// holds says that a file has this content.
func (f *folder) holds(base string, content []byte) bool {
	if f.root == nil {
		return false
	}
	info, err := f.root.Stat(base)
	if err != nil || info.Size() != int64(len(content)) {
		return false
	}
	was, err := f.root.ReadFile(base)
	return err == nil && bytes.Equal(was, content)
}

// note keeps what a file is going to be. It is in the journal before the file
// is there: were the rest cut short, the next Write would still know every file
// that is ours.
func (w *writer) note(name, sum string, same bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next.Files[name] = sum
	if same {
		w.report.Unchanged = append(w.report.Unchanged, name)
		return nil
	}
	w.report.Written = append(w.report.Written, name)
	_, err := fmt.Fprintf(w.journal, "%s %s\n", sum, name)
	return err
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

func (w *writer) prune(old ownFiles) error {
	for _, name := range slices.Sorted(maps.Keys(old)) {
		if _, made := w.next.Files[name]; made {
			continue
		}
		content, err := w.root.ReadFile(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return err
		case !slices.Contains(old[name], digest(content)):
			w.report.Kept = append(w.report.Kept, name)
			continue
		}
		if err := w.root.Remove(name); err != nil {
			return err
		}
		w.report.Removed = append(w.report.Removed, name)
		removeEmpty(w.root, path.Dir(name))
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

// ownFiles are the digests that files of an earlier Write may have.
type ownFiles map[string][]string

// readManifest gives the files of earlier writes, also of one that was cut
// short.
func readManifest(root *os.Root) (ownFiles, manifest, error) {
	out := ownFiles{}
	var m manifest
	raw, err := root.ReadFile(manifestName)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, m, err
	}
	if err == nil {
		if err := json.Unmarshal(raw, &m); err != nil {
			return nil, m, fmt.Errorf("%s: %w", manifestName, err)
		}
		for name, sum := range m.Files {
			out[name] = []string{sum}
		}
	}
	if err := out.readJournal(root); err != nil {
		return nil, m, err
	}
	for name := range out {
		if !fs.ValidPath(name) || name == manifestName || name == journalName {
			return nil, m, fmt.Errorf("%s: %q is not a file of the directory", manifestName, name)
		}
	}
	return out, m, nil
}

// journalName is the list of files that a Write is about to write, one digest
// and name a line. It is gone when the manifest says the same.
const journalName = ".meshc-manifest.journal"

func openJournal(root *os.Root) (*os.File, error) {
	return root.OpenFile(journalName, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
}

func removeJournal(root *os.Root) error { return root.Remove(journalName) }

// readJournal takes in a journal that was left. Its last line may be cut short.
func (o ownFiles) readJournal(root *os.Root) error {
	raw, err := root.ReadFile(journalName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(raw)) {
		sum, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if ok && strings.HasSuffix(line, "\n") && !slices.Contains(o[name], sum) {
			o[name] = append(o[name], sum)
		}
	}
	return nil
}

func writeManifest(root *os.Root, m manifest) error {
	raw, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return replace(root, manifestName, append(raw, '\n'))
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
