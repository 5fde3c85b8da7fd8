package bisect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/meshc/meshc/reconciler/source"
)

// random is a history of n commits, some of which are merges, children first.
func random(rng *rand.Rand, n int) []source.Entry {
	name := func(i int) string { return fmt.Sprintf("%040d", i) }
	var list []source.Entry
	for i := range n {
		e := source.Entry{Hash: name(i), Tree: fmt.Sprint(i)}
		if i > 0 {
			e.Parents = []string{name(i - 1 - rng.IntN(min(i, 3)))}
			if rng.IntN(4) == 0 {
				if other := name(rng.IntN(i)); other != e.Parents[0] {
					e.Parents = append(e.Parents, other)
				}
			}
		}
		list = append(list, e)
	}
	slices.Reverse(list)
	return reachable(list)
}

// reachable leaves out what is no ancestor of the first commit.
func reachable(list []source.Entry) []source.Entry {
	keep := map[string]bool{list[0].Hash: true}
	var out []source.Entry
	for _, e := range list {
		if keep[e.Hash] {
			out = append(out, e)
			for _, p := range e.Parents {
				keep[p] = true
			}
		}
	}
	return out
}

// TestFindsAChange: on random histories with random answers, what is found is
// bad, and none of its parents is; with skipped commits it is among the
// candidates.
func TestFindsAChange(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	found, several := 0, 0
	for round := range 3000 {
		history := random(rng, 2+rng.IntN(30))
		verdicts := map[string]Verdict{}
		skip := rng.IntN(3) == 0
		for _, e := range history {
			verdicts[e.Tree] = []Verdict{Good, Bad}[rng.IntN(2)]
			if skip && rng.IntN(4) == 0 {
				verdicts[e.Tree] = Skipped
			}
		}
		got, err := Find(t.Context(), history, "", func(_ context.Context, e *source.Entry) (Verdict, error) { return verdicts[e.Tree], nil })
		switch first := verdicts[history[0].Tree]; {
		case first == Good:
			if !errors.Is(err, ErrBadIsGood) {
				t.Fatal(round, err)
			}
			continue
		case first == Skipped:
			if !errors.Is(err, ErrNoAnswer) {
				t.Fatal(round, err)
			}
			continue
		case errors.Is(err, ErrNoGood):
			continue
		case err != nil:
			t.Fatal(round, err)
		}
		byHash := map[string]source.Entry{}
		for _, e := range history {
			byHash[e.Hash] = e
		}
		if verdicts[got.First.Tree] != Bad {
			t.Fatalf("round %d: %s is %s", round, got.First.Hash, verdicts[got.First.Tree])
		}
		if len(got.Candidates) > 0 {
			several++
			for _, c := range got.Candidates[1:] {
				if verdicts[c.Tree] != Skipped {
					t.Fatalf("round %d: %s is %s", round, c.Hash, verdicts[c.Tree])
				}
			}
			continue
		}
		found++
		for _, p := range got.First.Parents {
			if verdicts[byHash[p].Tree] == Bad {
				t.Fatalf("round %d: the parent of %s is bad", round, got.First.Hash)
			}
		}
	}
	if found < 500 || several < 50 {
		t.Errorf("%d found, %d not told apart", found, several)
	}
}

func TestFewAreJudged(t *testing.T) {
	const n = 1000
	var history []source.Entry
	for i := range n {
		e := source.Entry{Hash: fmt.Sprintf("%040d", n-i), Tree: fmt.Sprint((n - i) / 2)}
		if i < n-1 {
			e.Parents = []string{fmt.Sprintf("%040d", n-i-1)}
		}
		history = append(history, e)
	}
	for _, change := range []int{3, 400, 777, 999} {
		got, err := Find(t.Context(), history, history[n-1].Hash, func(_ context.Context, e *source.Entry) (Verdict, error) {
			var tree int
			_, err := fmt.Sscan(e.Tree, &tree)
			return map[bool]Verdict{true: Bad, false: Good}[tree >= change/2], err
		})
		if err != nil || got.Tested > 14 || got.First.Tree != fmt.Sprint(change/2) {
			t.Errorf("%d: %v, %+v", change, err, got)
		}
	}
}

func TestLines(t *testing.T) {
	before := source.FromFiles(map[string][]byte{"a": []byte("1\n2\n3\n4\n5\n"), "b": []byte("x\n"), "gone": []byte("g\n")})
	after := source.FromFiles(map[string][]byte{"a": []byte("1\ntwo\n3\n4\n5\n6"), "b": []byte("y\n"), "new": nil})
	for name, c := range map[string]struct {
		bad  func(map[string]string) bool
		want string
	}{
		"one line":        {func(m map[string]string) bool { return strings.Contains(m["a"], "two") }, "a:2"},
		"an added line":   {func(m map[string]string) bool { return strings.Contains(m["a"], "6") }, "a:6"},
		"a file":          {func(m map[string]string) bool { return m["b"] == "y\n" }, "b:1"},
		"a file is gone":  {func(m map[string]string) bool { _, ok := m["gone"]; return !ok }, "gone:1"},
		"a file is new":   {func(m map[string]string) bool { _, ok := m["new"]; return ok }, "new:1"},
		"two lines":       {func(m map[string]string) bool { return strings.Contains(m["a"], "two") && m["b"] == "y\n" }, "a:2 b:1"},
		"two in one file": {func(m map[string]string) bool { return m["a"] == "1\ntwo\n3\n4\n5\n6" }, "a:2 a:6"},
	} {
		hunks, sure, err := Lines(t.Context(), before, after, func(_ context.Context, fsys fs.FS) (Verdict, error) {
			tree, err := files(fsys)
			text := map[string]string{}
			for k, v := range tree {
				text[k] = string(v)
			}
			return map[bool]Verdict{true: Bad, false: Good}[c.bad(text)], err
		})
		var got []string
		for _, h := range hunks {
			got = append(got, fmt.Sprintf("%s:%d", h.File, h.Line))
		}
		if err != nil || !sure || strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v %v %v", name, got, sure, err)
		}
	}
}
