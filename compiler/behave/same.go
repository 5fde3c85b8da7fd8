package behave

import (
	"reflect"
	"time"

	"github.com/meshc/meshc/compiler/model"
)

var (
	originType = reflect.TypeFor[model.Origin]()
	timeType   = reflect.TypeFor[time.Time]()
)

// sameAsWritten says that two pieces of a model are equal but for the places
// where they are written. What is the same as written behaves the same, so that
// nothing has to be compared.
func sameAsWritten(a, b any) bool { return equal(reflect.ValueOf(a), reflect.ValueOf(b)) }

func equal(a, b reflect.Value) bool {
	if a.IsValid() != b.IsValid() {
		return false
	}
	if !a.IsValid() || a.Type() == originType {
		return true
	}
	if a.Type() == timeType {
		return a.Interface() == b.Interface()
	}
	switch a.Kind() {
	case reflect.Pointer, reflect.Interface:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() && b.IsNil()
		}
		return a.Kind() == reflect.Pointer && a.Pointer() == b.Pointer() || equal(a.Elem(), b.Elem())
	case reflect.Struct:
		for i := range a.NumField() {
			if !equal(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Slice:
		return equalLists(a, b)
	case reflect.Map:
		return equalMaps(a, b)
	}
	return a.Equal(b)
}

func equalLists(a, b reflect.Value) bool {
	if a.Len() != b.Len() {
		return false
	}
	for i := range a.Len() {
		if !equal(a.Index(i), b.Index(i)) {
			return false
		}
	}
	return true
}

func equalMaps(a, b reflect.Value) bool {
	if a.Len() != b.Len() {
		return false
	}
	for _, key := range a.MapKeys() {
		if !equal(a.MapIndex(key), b.MapIndex(key)) {
			return false
		}
	}
	return true
}
