package load

import (
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func stampIn(t *testing.T, file string, now time.Time) (stamp, bool) {
	t.Helper()
	info, err := os.Lstat(file)
	if err != nil {
		t.Fatal(err)
	}
	return stampOf(info, now)
}

// A file that changed a moment ago may change again without a trace in its times.
func TestStampsOfRestlessFilesTellNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.cue")
	if err := os.WriteFile(file, []byte("a"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, ok := stampIn(t, file, time.Now()); ok {
		t.Error("a file that was just written has a stamp")
	}
	past := time.Now().Add(-time.Hour)
	if err := os.Chtimes(file, past, past); err != nil {
		t.Fatal(err)
	}
	if _, ok := stampIn(t, file, time.Now()); ok {
		t.Error("who sets the time of a file back makes it look untouched")
	}
	if _, ok := stampIn(t, file, time.Now().Add(3*restless)); !ok {
		t.Error("a file that rests has no stamp")
	}
	info, err := fstest.MapFS{"a": {}}.Stat("a")
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := stampOf(info, time.Now()); ok {
		t.Error("a file of which nothing is known has a stamp")
	}
}

// Whatever becomes of a file, its stamp is another one: also when its size and
// the time of its text are as before.
func TestStampsTellStatesApart(t *testing.T) {
	dir, later := t.TempDir(), time.Now().Add(3*restless)
	file, past := filepath.Join(dir, "a.cue"), time.Now().Add(-time.Hour)
	write := func(name, text string) {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, past, past); err != nil {
			t.Fatal(err)
		}
	}
	write(file, "one")
	before, _ := stampIn(t, file, later)
	if again, _ := stampIn(t, file, later); again != before {
		t.Error("nothing happened, and the stamp is another one")
	}
	write(filepath.Join(dir, "b.cue"), "two")
	if err := os.Rename(filepath.Join(dir, "b.cue"), file); err != nil {
		t.Fatal(err)
	}
	if after, _ := stampIn(t, file, later); after == before {
		t.Error("another file has the stamp of the one that it replaced")
	}
	write(file, "1234")
	if after, _ := stampIn(t, file, later); after == before {
		t.Error("another text has the stamp of the one before")
	}
}

// What rests is not read again, and what is new, changed or gone is seen.
func TestMemoReadsWhatChanged(t *testing.T) {
	root, memo := t.TempDir(), new(Memo)
	clock := time.Now().Add(-time.Hour)
	// The kernel's clock may be too coarse for a test: every change has a time of its own.
	changedAt := func(file string) {
		clock = clock.Add(time.Second)
		for ; len(file) >= len(root); file = filepath.Dir(file) {
			if err := os.Chtimes(file, clock, clock); err != nil {
				t.Fatal(err)
			}
		}
	}
	write := func(name, text string) {
		file := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		changedAt(file)
	}
	later := time.Now()
	read := func() map[string]string {
		later = later.Add(3 * restless)
		c := &collector{ctx: t.Context(), fsys: os.DirFS(root), limits: Limits{}.withDefaults(), now: later}
		files, diags, err := c.collect(memo)
		if err != nil || len(diags) > 0 {
			t.Fatal(diags, err)
		}
		out := map[string]string{}
		for _, f := range files {
			out[f.Path] = string(f.Data)
		}
		return out
	}
	write("a.cue", "a")
	write("dir/b.cue", "b")
	for _, step := range []struct {
		name string
		do   func()
		want map[string]string
	}{
		{"first", func() {}, map[string]string{"a.cue": "a", "dir/b.cue": "b"}},
		{"same", func() {}, map[string]string{"a.cue": "a", "dir/b.cue": "b"}},
		{"changed", func() { write("dir/b.cue", "c") }, map[string]string{"a.cue": "a", "dir/b.cue": "c"}},
		{"added", func() { write("dir/d.cue", "d") }, map[string]string{"a.cue": "a", "dir/b.cue": "c", "dir/d.cue": "d"}},
		{"gone", func() {
			if err := os.Remove(filepath.Join(root, "a.cue")); err != nil {
				t.Error(err)
			}
			changedAt(root)
		}, map[string]string{"dir/b.cue": "c", "dir/d.cue": "d"}},
		{"a directory", func() { write("new/deep/e.cue", "e") }, map[string]string{"dir/b.cue": "c", "dir/d.cue": "d", "new/deep/e.cue": "e"}},
	} {
		step.do()
		if d := cmp.Diff(step.want, read()); d != "" {
			t.Errorf("%s: %s", step.name, d)
		}
	}
}
