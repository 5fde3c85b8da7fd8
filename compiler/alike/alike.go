// Package alike compares plain values of one type, field by field, without the
// fields of a type that is left out, such as places. What reflection finds out
// about a type is found out once; after that a comparison walks memory, because
// whole meshes are compared, most of which is the same.
package alike

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"sync"
	"time"
	"unsafe"
)

// Comparer compares values without those of one type.
type Comparer struct {
	omitted reflect.Type
	mu      sync.Mutex
	plans   map[reflect.Type]*plan // which are whole before mu is free again
	roots   sync.Map               // reflect.Type → *plan
}

// Without gives a Comparer for which values of type T are all the same.
func Without[T any]() *Comparer {
	return &Comparer{omitted: reflect.TypeFor[T](), plans: map[reflect.Type]*plan{}}
}

// Same says that two values are equal: nil and empty lists and maps are, numbers
// and times as == has it, and pointers where they lead to what is equal. It
// panics on a type that is no plain data: an interface, a function, a channel.
func Same[T any](c *Comparer, a, b *T) bool {
	if a == nil || b == nil || a == b {
		return a == b
	}
	return c.of(reflect.TypeFor[T]()).same(unsafe.Pointer(a), unsafe.Pointer(b))
}

// plan is how values of a type are compared.
type plan struct {
	same func(a, b unsafe.Pointer) bool
	bits uintptr // so many bytes, which are equal exactly when the values are; 0 for others
}

func (c *Comparer) of(t reflect.Type) *plan {
	if p, ok := c.roots.Load(t); ok {
		return p.(*plan)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.make(t)
	c.roots.Store(t, p)
	return p
}

// make gives the plan of a type. A type that leads to itself finds the one that
// is under way.
func (c *Comparer) make(t reflect.Type) *plan {
	if p := c.plans[t]; p != nil {
		return p
	}
	p := &plan{}
	c.plans[t] = p
	defer func() {
		if p.same == nil {
			delete(c.plans, t) // no plain data: whoever asks again is told again
		}
	}()
	*p = c.planned(t)
	return p
}

func (c *Comparer) planned(t reflect.Type) plan {
	switch t {
	case c.omitted:
		return plan{same: func(_, _ unsafe.Pointer) bool { return true }}
	case reflect.TypeFor[time.Time]():
		return byValue[time.Time]()
	}
	switch t.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return bits(t.Size())
	case reflect.Float32:
		return byValue[float32]()
	case reflect.Float64:
		return byValue[float64]()
	case reflect.String:
		return byValue[string]()
	case reflect.Pointer:
		return c.pointer(t)
	case reflect.Struct:
		return c.fields(t)
	case reflect.Array:
		return c.array(t)
	case reflect.Slice:
		return c.slice(t)
	case reflect.Map:
		return c.keyed(t)
	}
	panic(fmt.Sprintf("alike: %s is no plain data", t))
}

func byValue[T interface {
	~string | ~float32 | ~float64 | time.Time
}]() plan {
	return plan{same: func(a, b unsafe.Pointer) bool { return *(*T)(a) == *(*T)(b) }}
}

func bits(size uintptr) plan {
	return plan{bits: size, same: func(a, b unsafe.Pointer) bool { return sameBytes(a, b, size) }}
}

func sameBytes(a, b unsafe.Pointer, size uintptr) bool {
	return bytes.Equal(unsafe.Slice((*byte)(a), size), unsafe.Slice((*byte)(b), size))
}

func (c *Comparer) pointer(t reflect.Type) plan {
	to := c.make(t.Elem())
	return plan{same: func(a, b unsafe.Pointer) bool {
		x, y := *(*unsafe.Pointer)(a), *(*unsafe.Pointer)(b)
		return x == y || x != nil && y != nil && to.same(x, y)
	}}
}

// at is a part of a value.
type at struct {
	offset uintptr
	how    *plan
}

// fields of a struct; neighbours whose bytes say it are compared at once.
func (c *Comparer) fields(t reflect.Type) plan {
	var parts []at
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Type == c.omitted {
			continue
		}
		next := at{f.Offset, c.make(f.Type)}
		if n := len(parts) - 1; n >= 0 && next.how.bits > 0 && parts[n].how.bits > 0 && parts[n].offset+parts[n].how.bits == next.offset {
			joined := bits(parts[n].how.bits + next.how.bits)
			parts[n].how = &joined
			continue
		}
		parts = append(parts, next)
	}
	if len(parts) == 1 && parts[0].offset == 0 && parts[0].how.bits == t.Size() {
		return *parts[0].how
	}
	return plan{same: func(a, b unsafe.Pointer) bool {
		for i := range parts {
			if offset := parts[i].offset; !parts[i].how.same(unsafe.Add(a, offset), unsafe.Add(b, offset)) {
				return false
			}
		}
		return true
	}}
}

func (c *Comparer) array(t reflect.Type) plan {
	one, n, size := c.make(t.Elem()), t.Len(), t.Elem().Size()
	if one.bits > 0 && n > 0 {
		return bits(t.Size())
	}
	return plan{same: func(a, b unsafe.Pointer) bool { return each(one, size, n, a, b) }}
}

func (c *Comparer) slice(t reflect.Type) plan {
	one, size := c.make(t.Elem()), t.Elem().Size()
	return plan{same: func(a, b unsafe.Pointer) bool {
		// The element of a list is of no matter to its length and its first address.
		x, y := *(*[]struct{})(a), *(*[]struct{})(b)
		if len(x) != len(y) {
			return false
		}
		from, to := unsafe.Pointer(unsafe.SliceData(x)), unsafe.Pointer(unsafe.SliceData(y))
		return from == to || each(one, size, len(x), from, to)
	}}
}

func each(one *plan, size uintptr, n int, a, b unsafe.Pointer) bool {
	if one.bits > 0 {
		return sameBytes(a, b, size*uintptr(n))
	}
	for i := range uintptr(n) {
		if !one.same(unsafe.Add(a, i*size), unsafe.Add(b, i*size)) {
			return false
		}
	}
	return true
}

// keyed compares maps, whose values have no address of their own.
func (c *Comparer) keyed(t reflect.Type) plan {
	if t == reflect.TypeFor[map[string]string]() {
		return plan{same: func(a, b unsafe.Pointer) bool {
			return maps.Equal(*(*map[string]string)(a), *(*map[string]string)(b))
		}}
	}
	value := c.make(t.Elem())
	return plan{same: func(a, b unsafe.Pointer) bool {
		x, y := reflect.NewAt(t, a).Elem(), reflect.NewAt(t, b).Elem()
		if x.Len() != y.Len() {
			return false
		}
		was, is := reflect.New(t.Elem()), reflect.New(t.Elem())
		for entries := x.MapRange(); entries.Next(); {
			other := y.MapIndex(entries.Key())
			if !other.IsValid() {
				return false
			}
			was.Elem().Set(entries.Value())
			is.Elem().Set(other)
			if !value.same(was.UnsafePointer(), is.UnsafePointer()) {
				return false
			}
		}
		return true
	}}
}
