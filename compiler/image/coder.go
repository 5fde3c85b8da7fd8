package image

import (
	"encoding"
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"sync"
	"time"

	"github.com/meshc/meshc/compiler/diag"
)

// coder writes and reads the values of one type. What get reads into is zero.
type coder struct {
	put func(*Writer, reflect.Value)
	get func(*Reader, reflect.Value)
}

var coders sync.Map // reflect.Type → *coder

// coderOf gives the coder of a type. A type that leads to itself finds its own,
// which is complete when the first value is coded.
func coderOf(t reflect.Type) *coder {
	if c, ok := coders.Load(t); ok {
		return c.(*coder)
	}
	b := builder{}
	c := b.of(t)
	for t, made := range b {
		coders.LoadOrStore(t, made)
	}
	return c
}

// builder makes the coders of a type and of all types inside it.
type builder map[reflect.Type]*coder

func (b builder) of(t reflect.Type) *coder {
	if c := b[t]; c != nil {
		return c
	}
	if c, ok := coders.Load(t); ok {
		return c.(*coder)
	}
	c := &coder{}
	b[t] = c
	*c = b.made(t)
	return c
}

func (b builder) made(t reflect.Type) coder {
	switch t {
	case reflect.TypeFor[time.Time]():
		return coder{putTime, getTime}
	case reflect.TypeFor[diag.Range]():
		return coder{putRange, getRange}
	case reflect.TypeFor[netip.Addr](), reflect.TypeFor[netip.Prefix]():
		return coder{putText, getText}
	}
	switch t.Kind() {
	case reflect.String:
		return coder{
			func(w *Writer, v reflect.Value) { w.text(v.String()) },
			func(r *Reader, v reflect.Value) { v.SetString(r.text()) },
		}
	case reflect.Bool:
		return coder{
			func(w *Writer, v reflect.Value) { w.flag(v.Bool()) },
			func(r *Reader, v reflect.Value) { v.SetBool(r.flag()) },
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return coder{
			func(w *Writer, v reflect.Value) { w.body = binary.AppendVarint(w.body, v.Int()) },
			getInt,
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return coder{func(w *Writer, v reflect.Value) { w.number(v.Uint()) }, getUint}
	case reflect.Float32, reflect.Float64:
		return coder{
			func(w *Writer, v reflect.Value) { w.number(math.Float64bits(v.Float())) },
			func(r *Reader, v reflect.Value) { v.SetFloat(math.Float64frombits(r.number())) },
		}
	case reflect.Pointer:
		return b.pointer(t)
	case reflect.Struct:
		return b.structure(t)
	case reflect.Slice:
		return b.list(t)
	case reflect.Array:
		return b.array(t)
	case reflect.Map:
		return b.mapping(t)
	}
	panic(fmt.Sprintf("image: %s is no plain data", t))
}

func (w *Writer) flag(on bool) {
	if on {
		w.body = append(w.body, 1)
	} else {
		w.body = append(w.body, 0)
	}
}

func (r *Reader) flag() bool {
	b := r.take(1)
	if len(b) == 1 && b[0] > 1 {
		r.fail("%d is neither yes nor no", b[0])
	}
	return len(b) == 1 && b[0] == 1
}

func getInt(r *Reader, v reflect.Value) {
	n := r.signed()
	if v.OverflowInt(n) {
		r.fail("%d is no %s", n, v.Type())
		return
	}
	v.SetInt(n)
}

func getUint(r *Reader, v reflect.Value) {
	n := r.number()
	if v.OverflowUint(n) {
		r.fail("%d is no %s", n, v.Type())
		return
	}
	v.SetUint(n)
}

// putTime keeps the moment and the offset from UTC, as RFC 3339 does.
func putTime(w *Writer, v reflect.Value) {
	t := v.Interface().(time.Time)
	_, offset := t.Zone()
	w.body = binary.AppendVarint(w.body, t.Unix())
	w.body = binary.AppendVarint(w.body, int64(t.Nanosecond()))
	w.body = binary.AppendVarint(w.body, int64(offset))
}

func getTime(r *Reader, v reflect.Value) {
	t := time.Unix(r.signed(), r.signed()).UTC()
	if offset := r.signed(); offset != 0 {
		t = t.In(time.FixedZone("", int(offset)))
	}
	if r.err == nil {
		v.Set(reflect.ValueOf(t))
	}
}

// putText writes what has a text that says all of it.
func putText(w *Writer, v reflect.Value) {
	text, err := v.Interface().(encoding.TextMarshaler).MarshalText()
	if err != nil {
		panic(fmt.Sprintf("image: %s: %v", v.Type(), err))
	}
	w.text(string(text))
}

func getText(r *Reader, v reflect.Value) {
	if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(r.text())); err != nil {
		r.fail("%v", err)
	}
}

// putRange writes what stands at every value that a user wrote.
func putRange(w *Writer, v reflect.Value) {
	at := &diag.Range{}
	if v.CanAddr() {
		at = v.Addr().Interface().(*diag.Range)
	} else {
		*at = v.Interface().(diag.Range)
	}
	w.text(at.File)
	for _, n := range [...]int{int(at.Start.Line), int(at.Start.Col), int(at.End.Line) - int(at.Start.Line), int(at.End.Col)} {
		w.body = binary.AppendVarint(w.body, int64(n))
	}
}

func getRange(r *Reader, v reflect.Value) {
	at := v.Addr().Interface().(*diag.Range)
	at.File = r.text()
	from, col := r.signed(), r.signed()
	at.Start = diag.Pos{Line: int32(from), Col: int32(col)}
	lines, col := r.signed(), r.signed()
	at.End = diag.Pos{Line: int32(from + lines), Col: int32(col)}
}

// pointer writes whether there is something, and what.
func (b builder) pointer(t reflect.Type) coder {
	inside := b.of(t.Elem())
	return coder{
		func(w *Writer, v reflect.Value) {
			w.flag(!v.IsNil())
			if v.IsNil() {
				return
			}
			if w.depth++; w.depth > maxDepth {
				panic("image: values lie too deep in each other")
			}
			w.count(t.Elem())
			inside.put(w, v.Elem())
			w.depth--
		},
		func(r *Reader, v reflect.Value) {
			if !r.flag() {
				return
			}
			if r.depth++; r.depth > maxDepth {
				r.fail("values lie too deep in each other")
				return
			}
			p := r.room(t.Elem())
			inside.get(r, p.Elem())
			v.Set(p)
			r.depth--
		},
	}
}

// field is one of a struct.
type field struct {
	index int
	inner *coder
}

// structure writes which fields are not zero, a bit each, and these.
func (b builder) structure(t reflect.Type) coder {
	fields := make([]field, t.NumField())
	for i := range fields {
		if !t.Field(i).IsExported() {
			panic(fmt.Sprintf("image: %s.%s cannot be read", t, t.Field(i).Name))
		}
		fields[i] = field{i, b.of(t.Field(i).Type)}
	}
	marks := max(1, (len(fields)+7)/8) // a byte at least: see length
	return coder{
		func(w *Writer, v reflect.Value) {
			at := len(w.body)
			w.body = append(w.body, make([]byte, marks)...)
			for i, f := range fields {
				if x := v.Field(i); !x.IsZero() {
					w.body[at+i/8] |= 1 << (i % 8)
					f.inner.put(w, x)
				}
			}
		},
		func(r *Reader, v reflect.Value) {
			there := r.take(marks)
			if there == nil {
				return
			}
			for i := range fields {
				if there[i/8]&(1<<(i%8)) != 0 {
					fields[i].inner.get(r, v.Field(i))
				}
			}
		},
	}
}

// list writes 0 for nil, or one more than the number of elements, and these.
func (b builder) list(t reflect.Type) coder {
	inside := b.of(t.Elem())
	return coder{
		func(w *Writer, v reflect.Value) {
			if v.IsNil() {
				w.number(0)
				return
			}
			w.number(uint64(v.Len()) + 1)
			for i := range v.Len() {
				inside.put(w, v.Index(i))
			}
		},
		func(r *Reader, v reflect.Value) {
			n, there := r.size()
			if !there {
				return
			}
			if r.depth++; r.depth > maxDepth {
				r.fail("values lie too deep in each other")
				return
			}
			list := reflect.MakeSlice(t, n, n)
			for i := 0; i < n && r.err == nil; i++ {
				inside.get(r, list.Index(i))
			}
			v.Set(list)
			r.depth--
		},
	}
}

// size reads how many elements follow; there are none of what is nil.
func (r *Reader) size() (n int, there bool) {
	plusOne := r.number()
	if plusOne == 0 {
		return 0, false
	}
	if plusOne-1 > uint64(len(r.in)) {
		r.fail("%d elements in %d bytes", plusOne-1, len(r.in))
		return 0, false
	}
	return int(plusOne - 1), true
}

func (b builder) array(t reflect.Type) coder {
	inside := b.of(t.Elem())
	return coder{
		func(w *Writer, v reflect.Value) {
			for i := range v.Len() {
				inside.put(w, v.Index(i))
			}
		},
		func(r *Reader, v reflect.Value) {
			for i := 0; i < v.Len() && r.err == nil; i++ {
				inside.get(r, v.Index(i))
			}
		},
	}
}

// mapping writes the entries in any order: nobody compares images.
func (b builder) mapping(t reflect.Type) coder {
	key, value := b.of(t.Key()), b.of(t.Elem())
	return coder{
		func(w *Writer, v reflect.Value) {
			if v.IsNil() {
				w.number(0)
				return
			}
			w.number(uint64(v.Len()) + 1)
			for it := v.MapRange(); it.Next(); {
				key.put(w, it.Key())
				value.put(w, it.Value())
			}
		},
		func(r *Reader, v reflect.Value) {
			n, there := r.size()
			if !there {
				return
			}
			m := reflect.MakeMapWithSize(t, n)
			for i := 0; i < n && r.err == nil; i++ {
				k, x := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
				key.get(r, k)
				value.get(r, x)
				m.SetMapIndex(k, x)
			}
			v.Set(m)
		},
	}
}
