package load

import (
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// differ tells how two outcomes differ, "" for not at all; what is empty and
// what is nil are the same. cmp, which can say where, takes ten times as long to
// find that nothing does.
func differ(was, is outcome) string {
	if same(reflect.ValueOf(was), reflect.ValueOf(is)) {
		return ""
	}
	return cmp.Diff(was, is, cmpopts.EquateEmpty())
}

// same is for trees: it follows pointers, and would not end in a circle.
func same(a, b reflect.Value) bool {
	if a.IsValid() != b.IsValid() || a.IsValid() && a.Type() != b.Type() {
		return false
	}
	switch a.Kind() {
	case reflect.Invalid:
		return true
	case reflect.Pointer:
		return a.Pointer() == b.Pointer() || same(a.Elem(), b.Elem())
	case reflect.Interface:
		return same(a.Elem(), b.Elem())
	case reflect.Struct:
		for i := range a.NumField() {
			if !same(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Slice, reflect.Array:
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !same(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	case reflect.Map:
		if a.Len() != b.Len() {
			return false
		}
		for _, k := range a.MapKeys() {
			if !same(a.MapIndex(k), b.MapIndex(k)) {
				return false
			}
		}
		return true
	}
	return a.Equal(b)
}

// TestDifferIsDiff: each of the differences that cmp finds is found.
func TestDifferIsDiff(t *testing.T) {
	for seed := range uint64(40) {
		fsys := edited(t, seed)
		was := outcomeOf(t, fsys, false)
		is := outcomeOf(t, edited(t, seed+1), false)
		if d := differ(was, outcomeOf(t, fsys, false)); d != "" {
			t.Errorf("seed %d is not itself: %s", seed, d)
		}
		if got, want := differ(was, is) == "", cmp.Equal(was, is, cmpopts.EquateEmpty()); got != want {
			t.Errorf("seed %d: the same is %t, want %t", seed, got, want)
		}
	}
}
