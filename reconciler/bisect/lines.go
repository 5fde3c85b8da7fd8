package bisect

import (
	"bytes"
	"context"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/utils/diff"

	"github.com/meshc/meshc/reconciler/source"
)

// maxTrials bounds how often a mixture of two trees is judged.
const maxTrials = 60

// Hunk is a change of lines that stand together in one file.
type Hunk struct {
	File    string   `json:"file"`
	Line    int      `json:"line"` // of the first new line, or of where old ones were
	Removed []string `json:"removed,omitempty"`
	Added   []string `json:"added,omitempty"`

	whole bool // the file itself is new, or gone
	old   int  // line of the file before, from 0
}

// Lines are as few changes as are found that make a tree bad by themselves, all
// others left out, each of which is needed. sure is false where the search gave
// up before. Trees are as small as the mesh of one commit.
func Lines(ctx context.Context, before, after fs.FS, judge func(context.Context, fs.FS) (Verdict, error)) (hunks []Hunk, sure bool, err error) {
	l := &lines{judge: judge, left: maxTrials}
	if l.before, err = files(before); err != nil {
		return nil, false, err
	}
	if l.after, err = files(after); err != nil {
		return nil, false, err
	}
	all := l.hunks()
	for i := range all { // mostly it is one
		if len(all) == 1 {
			break
		}
		bad, err := l.bad(ctx, all[i:i+1])
		if err != nil || bad {
			return all[i : i+1], true, err
		}
		if l.left <= len(all) {
			break
		}
	}
	for i := 0; i < len(all) && len(all) > 1; {
		if l.left == 0 {
			return all, false, nil
		}
		rest := slices.Delete(slices.Clone(all), i, i+1)
		bad, err := l.bad(ctx, rest)
		if err != nil {
			return nil, false, err
		}
		if bad {
			all = rest
		} else {
			i++
		}
	}
	return all, true, nil
}

// lines is one search.
type lines struct {
	before, after map[string][]byte
	judge         func(context.Context, fs.FS) (Verdict, error)
	left          int // trials
}

func files(fsys fs.FS) (map[string][]byte, error) {
	out := map[string][]byte{}
	err := fs.WalkDir(fsys, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		out[name], err = fs.ReadFile(fsys, name)
		return err
	})
	return out, err
}

// bad says that the tree before is bad with some changes.
func (l *lines) bad(ctx context.Context, some []Hunk) (bool, error) {
	l.left--
	v, err := l.judge(ctx, source.FromFiles(l.mixed(some)))
	return v == Bad, err
}

// mixed is the tree before with some changes, which are in order.
func (l *lines) mixed(some []Hunk) map[string][]byte {
	out := maps.Clone(l.before)
	for i := len(some) - 1; i >= 0; i-- { // the last one first: the lines before it keep their places
		h := some[i]
		switch {
		case h.whole:
			delete(out, h.File)
			if text, ok := l.after[h.File]; ok {
				out[h.File] = text
			}
		default:
			was := strings.SplitAfter(string(out[h.File]), "\n")
			now := slices.Replace(was, h.old, h.old+len(h.Removed), h.Added...)
			out[h.File] = []byte(strings.Join(now, ""))
		}
	}
	return out
}

// hunks are all changes from one tree to the other, by file and line.
func (l *lines) hunks() []Hunk {
	var out []Hunk
	names := maps.Clone(l.before)
	maps.Copy(names, l.after)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		was, old := l.before[name]
		is, now := l.after[name]
		switch {
		case old && now && bytes.Equal(was, is):
		case old && now:
			out = append(out, hunksOf(name, string(was), string(is))...)
		default:
			out = append(out, Hunk{File: name, Line: 1, Removed: split(string(was)), Added: split(string(is)), whole: true})
		}
	}
	return out
}

func hunksOf(name, was, is string) []Hunk {
	var out []Hunk
	open := false
	old, now := 0, 0
	for _, d := range diff.Do(was, is) {
		text := split(d.Text)
		if d.Type == 0 { // equal; -1 is removed, 1 is added
			old, now, open = old+len(text), now+len(text), false
			continue
		}
		if !open {
			out = append(out, Hunk{File: name, Line: now + 1, old: old})
			open = true
		}
		h := &out[len(out)-1]
		if d.Type < 0 {
			h.Removed = append(h.Removed, text...)
			old += len(text)
		} else {
			h.Added = append(h.Added, text...)
			now += len(text)
		}
	}
	return out
}

// split gives lines with their ends.
func split(text string) []string {
	out := strings.SplitAfter(text, "\n")
	if out[len(out)-1] == "" {
		out = out[:len(out)-1]
	}
	return out
}
