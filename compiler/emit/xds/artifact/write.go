package artifact

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
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

	"github.com/meshc/meshc/compiler/parallel"
)

// Report says what Write did; every list is sorted.
type Report struct {
	Written   []string `json:"written"` // new or changed
	Unchanged []string `json:"unchanged"`
	Removed   []string `json:"removed"` // written before, and no longer made
	Kept      []string `json:"kept"`    // no longer made, and changed by others since
}

// Source gives files by their slash-separated paths; Render and Key may be called
// by several goroutines.
type Source interface {
	// Names are sorted.
	Names() ([]string, error)
	Render(out *bytes.Buffer, name string) error
	// Key names all that Render's answer depends on; "" for unknown.
	Key(name string) (string, error)
	// Reached are, sorted, the files that may not be as they were when all of them
	// had a basis. The others, which have the same names and keys as then, need not
	// be asked for. It is not ok when that is not known.
	Reached(*Basis) (names []string, ok bool)
	// Basis is that of all files, when Key was asked for those that Reached gave; nil
	// for what has none.
	Basis() *Basis
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
	last, left, err := readManifest(root)
	if err != nil {
		return nil, err
	}
	w := &writer{dir: dir, root: root, src: src, last: last.files}
	if w.journal, err = openJournal(root); err != nil {
		return nil, err
	}
	if err := errors.Join(w.all(last.basis), w.journal.Close()); err != nil {
		return nil, err
	}
	if err := w.prune(left); err != nil {
		return nil, err
	}
	if err := writeManifest(root, &manifest{src.Basis(), w.next}); err != nil {
		return nil, err
	}
	return &w.report, removeJournal(root)
}

// writer is one Write.
type writer struct {
	dir  string
	root *os.Root
	src  Source
	last []entry // what the last Write that came to its end left
	next []entry // by name

	written []bool // which of next

	mu      sync.Mutex
	journal *os.File
	report  Report
}

// all makes the files, but for those that are known to be there.
func (w *writer) all(basis *Basis) error {
	if basis != nil {
		if reached, ok := w.src.Reached(basis); ok {
			w.next = slices.Clone(w.last)
			return w.some(w.notThere(reached))
		}
	}
	names, err := w.src.Names()
	if err != nil {
		return err
	}
	w.next = make([]entry, len(names))
	all := make([]int, len(names))
	for i, name := range names {
		w.next[i].name, all[i] = name, i
	}
	return w.some(all)
}

// notThere are the numbers of the files that are reached, and of those that are not
// as the last Write left them.
func (w *writer) notThere(reached []string) []int {
	const inTurn = 256
	there := make([]bool, len(w.next))
	parallel.Each((len(w.next)+inTurn-1)/inTurn, func(turn int) {
		for i := turn * inTurn; i < min(len(w.next), (turn+1)*inTurn); i++ {
			// Only looked at: whatever links lie in dir, nothing outside is written.
			there[i] = w.next[i].untouched(os.Lstat(w.dir + "/" + w.next[i].name))
		}
	})
	var out []int
	for i := range w.next {
		if _, is := slices.BinarySearch(reached, w.next[i].name); is || !there[i] {
			out = append(out, i)
		}
	}
	return out
}

// some renders and writes files on every processor, and stops at the first error
// by name among those it has met. The files of one directory are one processor's.
func (w *writer) some(files []int) error {
	w.written = make([]bool, len(w.next))
	dirs := w.byDir(files)
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
	for i := range w.next {
		if w.written[i] {
			w.report.Written = append(w.report.Written, w.next[i].name)
		} else {
			w.report.Unchanged = append(w.report.Unchanged, w.next[i].name)
		}
	}
	if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
		return errs[i]
	}
	return nil
}

// byDir groups files by their directory, in the order of their names.
func (w *writer) byDir(files []int) [][]int {
	var out [][]int
	at := map[string]int{}
	for _, file := range files {
		dir := path.Dir(w.next[file].name)
		i, ok := at[dir]
		if !ok {
			i = len(out)
			at[dir] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], file)
	}
	return out
}

// folder is a directory of the output, which is opened once for all of its
// files. It is not there before something is written to it.
type folder struct {
	path string
	root *os.Root // nil when it is not there
}

func (w *writer) directory(content *bytes.Buffer, files []int) error {
	f := &folder{path: path.Dir(w.next[files[0]].name)}
	if err := f.open(w.root); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	defer f.close()
	for _, file := range files {
		if err := w.one(f, content, file); err != nil {
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

func (w *writer) one(f *folder, content *bytes.Buffer, file int) error {
	e := &w.next[file]
	key, err := w.src.Key(e.name)
	if err != nil {
		return err
	}
	if was := w.lastOf(e.name); key != "" && was.made.Key == key && was.untouched(f.lstat(e.name)) {
		*e = was
		return nil
	}
	e.made = made{}
	if err := w.fresh(f, content, file); err != nil || key == "" {
		return err
	}
	info, err := f.lstat(e.name)
	if err == nil {
		e.made = made{Key: key, Size: info.Size(), Time: info.ModTime().UnixNano()}
	}
	return err
}

// lastOf gives a file as the last Write left it.
func (w *writer) lastOf(name string) entry {
	if i, ok := slices.BinarySearchFunc(w.last, name, func(e entry, name string) int { return strings.Compare(e.name, name) }); ok {
		return w.last[i]
	}
	return entry{}
}

func (f *folder) lstat(name string) (fs.FileInfo, error) {
	if f.root == nil {
		return nil, fs.ErrNotExist
	}
	return f.root.Lstat(path.Base(name))
}

// untouched says that a file looks as the last Write left it.
func (e *entry) untouched(now fs.FileInfo, err error) bool {
	return err == nil && e.sum != "" && e.made.Key != "" &&
		now.Mode().IsRegular() && now.Size() == e.made.Size && now.ModTime().UnixNano() == e.made.Time
}

// fresh renders a file and writes it, unless it is there.
func (w *writer) fresh(f *folder, content *bytes.Buffer, file int) error {
	e := &w.next[file]
	content.Reset()
	if err := w.src.Render(content, e.name); err != nil {
		return err
	}
	e.sum = digest(content.Bytes())
	if f.holds(path.Base(e.name), content.Bytes()) {
		return nil
	}
	w.written[file] = true
	if err := w.announce(e); err != nil {
		return err
	}
	if err := f.make(w.root); err != nil {
		return err
	}
	return replace(f.root, path.Base(e.name), content.Bytes())
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

// announce puts what a file is going to be into the journal before the file is
// there: were the rest cut short, the next Write would still know every file that
// is ours.
func (w *writer) announce(e *entry) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err := fmt.Fprintf(w.journal, "%s %s\n", e.sum, e.name)
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

// prune removes what earlier writes left, the last one and those that were cut
// short, and this one has not made.
func (w *writer) prune(left ownFiles) error {
	kept := make(map[string]bool, len(w.next))
	for i := range w.next {
		kept[w.next[i].name] = true
	}
	old := make(ownFiles)
	for _, e := range w.last {
		if !kept[e.name] {
			old[e.name] = append(left[e.name], e.sum)
		}
	}
	for name, sums := range left {
		if !kept[name] && old[name] == nil {
			old[name] = sums
		}
	}
	for _, name := range slices.Sorted(maps.Keys(old)) {
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

// readManifest gives what the last Write left that came to its end, and what those
// have written since that were cut short.
func readManifest(root *os.Root) (last manifest, left ownFiles, err error) {
	raw, err := root.ReadFile(manifestName)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return last, nil, err
	}
	if err == nil {
		if last, err = decodeManifest(raw); err != nil {
			return last, nil, fmt.Errorf("%s: %w", manifestName, err)
		}
	}
	if left, err = readJournal(root); err != nil {
		return last, nil, err
	}
	for i := range last.files {
		if err := ours(last.files[i].name); err != nil {
			return last, nil, err
		}
	}
	for name := range left {
		if err := ours(name); err != nil {
			return last, nil, err
		}
	}
	return last, left, nil
}

// ours refuses what cannot be a file that Write has written.
func ours(name string) error {
	if !fs.ValidPath(name) || name == manifestName || name == journalName {
		return fmt.Errorf("%s: %q is not a file of the directory", manifestName, name)
	}
	return nil
}

// journalName is the list of files that a Write is about to write, one digest
// and name a line. It is gone when the manifest says the same.
const journalName = ".meshc-manifest.journal"

func openJournal(root *os.Root) (*os.File, error) {
	return root.OpenFile(journalName, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
}

func removeJournal(root *os.Root) error { return root.Remove(journalName) }

// readJournal reads a journal that was left. Its last line may be cut short.
func readJournal(root *os.Root) (ownFiles, error) {
	raw, err := root.ReadFile(journalName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := make(ownFiles)
	for line := range strings.Lines(string(raw)) {
		sum, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if ok && strings.HasSuffix(line, "\n") && !slices.Contains(out[name], sum) {
			out[name] = append(out[name], sum)
		}
	}
	return out, nil
}

func writeManifest(root *os.Root, m *manifest) error {
	raw, err := m.encode()
	if err != nil {
		return err
	}
	return replace(root, manifestName, raw)
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
