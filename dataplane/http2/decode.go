package http2

import (
	"strings"
	"unsafe"
)

// entry is a field of the static or the dynamic table.
type entry struct{ name, value string }

// entryOverhead is what an entry counts beyond its bytes (RFC 7541 §4.1).
const entryOverhead = 32

func (e *entry) size() int { return len(e.name) + len(e.value) + entryOverhead }

// maxTable is the dynamic table that a peer's encoder may use: the protocol's
// initial value, so that no setting need be sent.
const maxTable = 4096

// decoder is one connection's HPACK decoder (RFC 7541). Its strings are those of
// the static table, those of the dynamic table, which live on, or alias the
// arena that decode is given.
type decoder struct {
	ring  []entry // the newest is at head-1; made by the first insertion
	head  int
	count int
	size  int
	max   int // as the peer's encoder has chosen it, ≤ maxTable
}

// fieldSink takes the fields of one block.
type fieldSink interface {
	field(name, value string, neverIndex bool)
}

// arena is where the literals of one block are put. Its buffer never moves: what
// was handed out stays valid until the owner gives the buffer up.
type arena struct {
	buf []byte
	get func(n int) []byte
	max int // the block's bound on literals
}

// arenaBound is the most that the literals of a block can take: Huffman codes of
// five bits become bytes of eight.
func arenaBound(block int) int { return block/5*8 + 8 }

func (a *arena) reserve() {
	if a.buf == nil {
		a.buf = a.get(a.max)[:0]
	}
}

// decode hands the fields of a complete block to sink. An error is a connection
// error of the type COMPRESSION_ERROR: the tables are out of step.
func (d *decoder) decode(block []byte, mem *arena, sink fieldSink) error {
	mem.max = arenaBound(len(block))
	for first := true; len(block) > 0; {
		b := block[0]
		var err error
		switch {
		case b&0x80 != 0:
			block, err = d.indexed(block, sink)
		case b&0xe0 == 0x20:
			if !first {
				return errCompression
			}
			block, err = d.resize(block)
			if err != nil {
				return err
			}
			continue // two may stand at the beginning
		case b&0xc0 == 0x40:
			block, err = d.literal(block, 6, mem, sink)
		default:
			block, err = d.literal(block, 4, mem, sink)
		}
		if err != nil {
			return err
		}
		first = false
	}
	return nil
}

func (d *decoder) indexed(block []byte, sink fieldSink) ([]byte, error) {
	i, rest, ok := readInt(block, 7)
	e := d.at(i)
	if !ok || e == nil {
		return nil, errCompression
	}
	sink.field(e.name, e.value, false)
	return rest, nil
}

func (d *decoder) resize(block []byte) ([]byte, error) {
	n, rest, ok := readInt(block, 5)
	if !ok || n > maxTable {
		return nil, errCompression
	}
	d.max = n
	d.evict(0)
	return rest, nil
}

func (d *decoder) literal(block []byte, prefix uint, mem *arena, sink fieldSink) ([]byte, error) {
	first := block[0]
	i, rest, ok := readInt(block, prefix)
	if !ok {
		return nil, errCompression
	}
	var name, value string
	if i > 0 {
		e := d.at(i)
		if e == nil {
			return nil, errCompression
		}
		name = e.name
	} else if name, rest, ok = readString(rest, mem); !ok {
		return nil, errCompression
	}
	if value, rest, ok = readString(rest, mem); !ok {
		return nil, errCompression
	}
	if prefix == 6 {
		name, value = d.insert(name, value, i == 0)
	}
	sink.field(name, value, first&0xf0 == 0x10)
	return rest, nil
}

// at gives the entry of an index: the static table, then the dynamic one with
// its newest entry first.
func (d *decoder) at(i int) *entry {
	if i < len(staticTable) {
		if i == 0 {
			return nil
		}
		return &staticTable[i]
	}
	if i -= len(staticTable); i >= d.count {
		return nil
	}
	return &d.ring[(d.head-1-i+2*len(d.ring))%len(d.ring)]
}

// insert takes a copy of the field into the table and gives it back.
func (d *decoder) insert(name, value string, copyName bool) (string, string) {
	if copyName {
		name = strings.Clone(name)
	}
	e := entry{name, strings.Clone(value)}
	size := e.size()
	d.evict(size)
	if size > d.max {
		return e.name, e.value // RFC 7541 §4.4: it empties the table and is no error
	}
	if d.ring == nil {
		d.ring = make([]entry, maxTable/entryOverhead)
	}
	d.ring[d.head] = e
	d.head = (d.head + 1) % len(d.ring)
	d.count++
	d.size += size
	return e.name, e.value
}

// evict makes room for more bytes.
func (d *decoder) evict(more int) {
	for d.count > 0 && d.size+more > d.max {
		oldest := &d.ring[(d.head-d.count+len(d.ring))%len(d.ring)]
		d.size -= oldest.size()
		*oldest = entry{}
		d.count--
	}
}

// readInt reads an integer with a prefix of n bits (RFC 7541 §5.1). What does
// not fit 21 bits is refused: nothing in HTTP is that large here.
func readInt(p []byte, n uint) (v int, rest []byte, ok bool) {
	if len(p) == 0 {
		return 0, nil, false
	}
	full := 1<<n - 1
	v = int(p[0]) & full
	p = p[1:]
	if v < full {
		return v, p, true
	}
	for shift := uint(0); shift < 21 && len(p) > 0; shift += 7 {
		b := p[0]
		p = p[1:]
		v += int(b&0x7f) << shift
		if b&0x80 == 0 {
			return v, p, true
		}
	}
	return 0, nil, false
}

func readString(p []byte, mem *arena) (s string, rest []byte, ok bool) {
	if len(p) == 0 {
		return "", nil, false
	}
	coded := p[0]&0x80 != 0
	n, p, ok := readInt(p, 7)
	if !ok || n > len(p) {
		return "", nil, false
	}
	if n == 0 {
		return "", p, true
	}
	mem.reserve()
	from := len(mem.buf)
	if coded {
		if mem.buf, ok = appendHuffman(mem.buf, p[:n]); !ok {
			return "", nil, false
		}
	} else {
		mem.buf = append(mem.buf, p[:n]...)
	}
	return str(mem.buf[from:]), p[n:], true
}

// str views b as a string without copying.
func str(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
