// Package image writes plain values as bytes and reads them again: what a
// process knows of a mesh, for the next one. An image is read by the build that
// wrote it, because it has no names of fields and types. Whatever bytes there
// are, reading them gives a value or an error.
package image

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"unsafe"
)

// ErrDamaged says that bytes are no image of the value that is asked for.
var ErrDamaged = errors.New("image: damaged")

// maxDepth bounds how deep values lie in each other.
const maxDepth = 200

// Writer collects values. The zero value is ready.
type Writer struct {
	body  []byte
	texts map[string]uint64
	chars []byte // of all texts
	ends  []int  // where each text ends
	kinds map[reflect.Type]int
	made  []uint64 // how many of each type are pointed at, in the order in which they are met
	depth int
}

// Add appends what a pointer points at. It panics on a type that is no plain
// data: a function, a channel, an interface, or a field that is not exported.
func (w *Writer) Add(ptr any) {
	v := reflect.ValueOf(ptr).Elem()
	coderOf(v.Type()).put(w, v)
}

// Bytes gives the image of all that was added.
func (w *Writer) Bytes() []byte {
	out := binary.AppendUvarint(nil, uint64(len(w.ends)))
	from := 0
	for _, end := range w.ends {
		out = binary.AppendUvarint(out, uint64(end-from))
		from = end
	}
	out = append(out, w.chars...)
	out = binary.AppendUvarint(out, uint64(len(w.made)))
	for _, n := range w.made {
		out = binary.AppendUvarint(out, n)
	}
	return append(out, w.body...)
}

func (w *Writer) number(n uint64) { w.body = binary.AppendUvarint(w.body, n) }

// text writes a text once, and its number from then on.
func (w *Writer) text(s string) {
	n, known := w.texts[s]
	if !known {
		if w.texts == nil {
			w.texts = map[string]uint64{}
		}
		n = uint64(len(w.ends))
		w.texts[s] = n
		w.chars = append(w.chars, s...)
		w.ends = append(w.ends, len(w.chars))
	}
	w.number(n)
}

// count notes that one more value of a type is pointed at.
func (w *Writer) count(t reflect.Type) {
	k, known := w.kinds[t]
	if !known {
		if w.kinds == nil {
			w.kinds = map[reflect.Type]int{}
		}
		k = len(w.made)
		w.kinds[t] = k
		w.made = append(w.made, 0)
	}
	w.made[k]++
}

// Reader reads what a Writer has written.
type Reader struct {
	in     []byte
	texts  []string
	made   []uint64 // those not met yet
	stores map[reflect.Type]*store
	depth  int
	err    error
}

// store is room for the values of one type that are pointed at.
type store struct {
	room reflect.Value // a slice
	next int
}

// NewReader reads an image, which must not be changed from then on: the texts that
// are read lie in it. What is wrong with it is said by Get and End.
func NewReader(image []byte) *Reader {
	r := &Reader{in: image, stores: map[reflect.Type]*store{}}
	n := r.length()
	ends := make([]int, 0, n)
	total := 0
	for range n {
		total += r.length()
		ends = append(ends, total)
	}
	raw := r.take(total)
	chars := unsafe.String(unsafe.SliceData(raw), len(raw))
	if r.err != nil {
		return r
	}
	r.texts = make([]string, n)
	from := 0
	for i, end := range ends {
		r.texts[i] = chars[from:end]
		from = end
	}
	r.made = make([]uint64, r.length())
	for i := range r.made {
		r.made[i] = uint64(r.length())
	}
	return r
}

// Get reads the next value into what a pointer points at, which is zero before.
func (r *Reader) Get(ptr any) error {
	v := reflect.ValueOf(ptr).Elem()
	if r.err == nil {
		coderOf(v.Type()).get(r, v)
	}
	return r.err
}

// End says whether the image was read to its end.
func (r *Reader) End() error {
	if r.err == nil && len(r.in) > 0 {
		r.fail("%d bytes are left", len(r.in))
	}
	return r.err
}

func (r *Reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
	}
	r.in = nil
}

func (r *Reader) number() uint64 {
	n, size := binary.Uvarint(r.in)
	if size <= 0 {
		r.fail("a number is cut short")
		return 0
	}
	r.in = r.in[size:]
	return n
}

func (r *Reader) signed() int64 {
	n, size := binary.Varint(r.in)
	if size <= 0 {
		r.fail("a number is cut short")
		return 0
	}
	r.in = r.in[size:]
	return n
}

// length reads how many things follow, of which each takes a byte at least.
func (r *Reader) length() int {
	n := r.number()
	if n > uint64(len(r.in)) {
		r.fail("%d things in %d bytes", n, len(r.in))
		return 0
	}
	return int(n)
}

func (r *Reader) take(n int) []byte {
	if n < 0 || n > len(r.in) {
		r.fail("%d bytes of %d", n, len(r.in))
		return nil
	}
	out := r.in[:n]
	r.in = r.in[n:]
	return out
}

func (r *Reader) text() string {
	n := r.number()
	if n >= uint64(len(r.texts)) {
		r.fail("text %d of %d", n, len(r.texts))
		return ""
	}
	return r.texts[n]
}

// room gives an address for one more value of a type. Values of one type lie
// side by side: one allocation for each would take longer than reading them.
func (r *Reader) room(t reflect.Type) reflect.Value {
	s := r.stores[t]
	if s == nil {
		n := 0
		if len(r.made) > 0 {
			n, r.made = int(r.made[0]), r.made[1:]
		}
		if n > len(r.in)+1 { // each takes a byte
			r.fail("%d values in %d bytes", n, len(r.in))
			n = 0
		}
		s = &store{room: reflect.MakeSlice(reflect.SliceOf(t), n, n)}
		r.stores[t] = s
	}
	if s.next == s.room.Len() {
		r.fail("more values of type %s than there are", t)
		return reflect.New(t)
	}
	s.next++
	return s.room.Index(s.next - 1).Addr()
}
