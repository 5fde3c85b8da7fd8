package fielddiff

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
)

// Change is one field that differs. Before or After is "" where the field is
// not there; BeforeAt and AfterAt say where it is written ("file:line:col",
// "" for a built-in default).
type Change struct {
	Object   string `json:"object"`
	Field    string `json:"field"`
	Before   string `json:"before,omitempty"`
	After    string `json:"after,omitempty"`
	BeforeAt string `json:"beforeAt,omitempty"`
	AfterAt  string `json:"afterAt,omitempty"`
}

// Diff is what differs between two meshes, sorted by object and field.
type Diff struct {
	Changes []Change `json:"changes"`
	Added   []string `json:"added,omitempty"`   // objects that only the second has
	Removed []string `json:"removed,omitempty"` // objects that only the first has
	Changed []string `json:"changed,omitempty"` // objects of both with changes
}

// Same says that nothing differs.
func (d *Diff) Same() bool { return len(d.Changes) == 0 }

// key finds a field in another mesh.
type key struct{ object, path string }

// Compute compares two meshes. Where something is written does not count.
func Compute(before, after *model.Mesh) *Diff {
	was, is := fields(before), fields(after)
	old, seen := byKey(was), map[key]bool{}
	d := &Diff{Changes: []Change{}}
	for _, f := range is {
		k := key{f.object, f.path}
		seen[k] = true
		prior, existed := old[k]
		if existed && prior.value == f.value {
			continue
		}
		c := Change{Object: f.object, Field: f.path, After: f.value, AfterAt: place(f.at)}
		if existed {
			c.Before, c.BeforeAt = prior.value, place(prior.at)
		}
		d.Changes = append(d.Changes, c)
	}
	for _, f := range was {
		if !seen[key{f.object, f.path}] {
			d.Changes = append(d.Changes, Change{Object: f.object, Field: f.path, Before: f.value, BeforeAt: place(f.at)})
		}
	}
	slices.SortFunc(d.Changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(a.Object, b.Object), cmp.Compare(a.Field, b.Field))
	})
	d.classify(objects(was), objects(is))
	return d
}

func byKey(fs []field) map[key]field {
	m := make(map[key]field, len(fs))
	for _, f := range fs {
		m[key{f.object, f.path}] = f
	}
	return m
}

func objects(fs []field) map[string]bool {
	m := map[string]bool{}
	for _, f := range fs {
		m[f.object] = true
	}
	return m
}

func (d *Diff) classify(was, is map[string]bool) {
	for _, c := range d.Changes {
		list := &d.Changed
		switch {
		case !was[c.Object]:
			list = &d.Added
		case !is[c.Object]:
			list = &d.Removed
		}
		// Changes are sorted, so an object's come together.
		if n := len(*list); n == 0 || (*list)[n-1] != c.Object {
			*list = append(*list, c.Object)
		}
	}
}

func place(r diag.Range) string { return r.String() }

// Text writes the diff for a reader: objects with their fields, then counts.
func (d *Diff) Text(w io.Writer) error {
	var b strings.Builder
	object := ""
	for _, c := range d.Changes {
		if c.Object != object {
			object = c.Object
			fmt.Fprintf(&b, "%s %s\n", d.symbol(object), object)
		}
		fmt.Fprintf(&b, "  %s\n", c.text())
	}
	if d.Same() {
		b.WriteString("no differences\n")
	} else {
		fmt.Fprintf(&b, "%d added, %d changed, %d removed; %d fields differ\n", len(d.Added), len(d.Changed), len(d.Removed), len(d.Changes))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (d *Diff) symbol(object string) string {
	if _, ok := slices.BinarySearch(d.Added, object); ok {
		return "+"
	}
	if _, ok := slices.BinarySearch(d.Removed, object); ok {
		return "-"
	}
	return "~"
}

func (c Change) text() string {
	switch {
	case c.Before == "":
		return fmt.Sprintf("+ %s: %s%s", c.Field, c.After, bracket(c.AfterAt))
	case c.After == "":
		return fmt.Sprintf("- %s: %s%s", c.Field, c.Before, bracket(c.BeforeAt))
	}
	return fmt.Sprintf("~ %s: %s → %s%s", c.Field, c.Before, c.After, bracket(cmp.Or(c.AfterAt, c.BeforeAt)))
}

func bracket(at string) string {
	if at == "" {
		return ""
	}
	return "  [" + at + "]"
}
