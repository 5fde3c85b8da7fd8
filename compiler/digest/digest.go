// Package digest names plain values by their content: two values of one type
// have one digest exactly when all that they hold is equal, field by field.
// Nil and empty are told apart, and nothing is left out.
package digest

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"slices"
	"sync"
	"time"
)

// Sum is a SHA-256.
type Sum = [sha256.Size]byte

// Of gives the digest of values. It panics on a type that is no plain data: a
// function, a channel or an interface.
func Of(values ...any) Sum { return whole.Of(values...) }

// Hasher gives digests that leave one type out, wherever it is.
type Hasher struct {
	omitted reflect.Type // nil: none
	writers sync.Map     // reflect.Type → writer
}

var whole Hasher

// Without gives a Hasher for which values of type T are all the same.
func Without[T any]() *Hasher { return &Hasher{omitted: reflect.TypeFor[T]()} }

// Of gives the digest of values. It panics as the function Of does.
func (h *Hasher) Of(values ...any) Sum {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	out := (*buf)[:0]
	for _, v := range values {
		rv := reflect.ValueOf(v)
		if !rv.IsValid() {
			out = append(out, isNil)
			continue
		}
		out = appendString(out, rv.Type().String())
		out = h.writerOf(rv.Type())(out, rv)
	}
	*buf = out
	return sha256.Sum256(out)
}

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// Marks in what is hashed.
const (
	isNil byte = iota
	isThere
)

// writer appends a value in a form that nothing else has.
type writer func(out []byte, v reflect.Value) []byte

func (h *Hasher) writerOf(t reflect.Type) writer {
	if w, ok := h.writers.Load(t); ok {
		return w.(writer)
	}
	// A type that leads to itself finds this one first.
	var made writer
	var ready sync.WaitGroup
	ready.Add(1)
	w, _ := h.writers.LoadOrStore(t, writer(func(out []byte, v reflect.Value) []byte {
		ready.Wait()
		return made(out, v)
	}))
	defer func() {
		if made == nil {
			h.writers.Delete(t) // no plain data: whoever asks again is told again
		}
		ready.Done()
	}()
	made = h.newWriter(t)
	h.writers.Store(t, made)
	return w.(writer)
}

func (h *Hasher) newWriter(t reflect.Type) writer {
	if t == h.omitted {
		return func(out []byte, _ reflect.Value) []byte { return out }
	}
	if t == reflect.TypeFor[time.Time]() {
		return appendTime
	}
	switch t.Kind() {
	case reflect.String:
		return func(out []byte, v reflect.Value) []byte { return appendString(out, v.String()) }
	case reflect.Bool:
		return func(out []byte, v reflect.Value) []byte {
			if v.Bool() {
				return append(out, 1)
			}
			return append(out, 0)
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return func(out []byte, v reflect.Value) []byte { return binary.AppendVarint(out, v.Int()) }
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return func(out []byte, v reflect.Value) []byte { return binary.AppendUvarint(out, v.Uint()) }
	case reflect.Float32, reflect.Float64:
		return func(out []byte, v reflect.Value) []byte {
			return binary.BigEndian.AppendUint64(out, math.Float64bits(v.Float()))
		}
	case reflect.Pointer:
		return h.pointerWriter(t)
	case reflect.Struct:
		return h.structWriter(t)
	case reflect.Slice, reflect.Array:
		return h.listWriter(t)
	case reflect.Map:
		return h.mapWriter(t)
	}
	panic(fmt.Sprintf("digest: %s is no plain data", t))
}

func appendString(out []byte, s string) []byte {
	return append(binary.AppendUvarint(out, uint64(len(s))), s...)
}

// appendTime writes the moment; in which zone it is told is no part of it.
func appendTime(out []byte, v reflect.Value) []byte {
	t := v.Interface().(time.Time)
	out = binary.AppendVarint(out, t.Unix())
	return binary.AppendVarint(out, int64(t.Nanosecond()))
}

func (h *Hasher) pointerWriter(t reflect.Type) writer {
	inside := h.writerOf(t.Elem())
	return func(out []byte, v reflect.Value) []byte {
		if v.IsNil() {
			return append(out, isNil)
		}
		return inside(append(out, isThere), v.Elem())
	}
}

func (h *Hasher) structWriter(t reflect.Type) writer {
	fields := make([]writer, t.NumField())
	for i := range fields {
		if f := t.Field(i); f.Type == reflect.TypeFor[time.Time]() && !f.IsExported() {
			panic(fmt.Sprintf("digest: %s.%s cannot be read", t, f.Name))
		}
		fields[i] = h.writerOf(t.Field(i).Type)
	}
	return func(out []byte, v reflect.Value) []byte {
		for i, field := range fields {
			out = field(out, v.Field(i))
		}
		return out
	}
}

func (h *Hasher) listWriter(t reflect.Type) writer {
	inside := h.writerOf(t.Elem())
	return func(out []byte, v reflect.Value) []byte {
		if v.Kind() == reflect.Slice && v.IsNil() {
			return append(out, isNil)
		}
		out = binary.AppendUvarint(append(out, isThere), uint64(v.Len()))
		for i := range v.Len() {
			out = inside(out, v.Index(i))
		}
		return out
	}
}

// mapWriter writes the entries in the order of what their keys are written as.
func (h *Hasher) mapWriter(t reflect.Type) writer {
	key, value := h.writerOf(t.Key()), h.writerOf(t.Elem())
	return func(out []byte, v reflect.Value) []byte {
		if v.IsNil() {
			return append(out, isNil)
		}
		out = binary.AppendUvarint(append(out, isThere), uint64(v.Len()))
		entries := make([]byte, 0, 32*v.Len())
		ends := make([][2]int, 0, v.Len())
		for it := v.MapRange(); it.Next(); {
			from := len(entries)
			entries = value(key(entries, it.Key()), it.Value())
			ends = append(ends, [2]int{from, len(entries)})
		}
		slices.SortFunc(ends, func(a, b [2]int) int { return bytes.Compare(entries[a[0]:a[1]], entries[b[0]:b[1]]) })
		for _, e := range ends {
			out = append(out, entries[e[0]:e[1]]...)
		}
		return out
	}
}
