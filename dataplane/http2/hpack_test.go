package http2

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"

	"github.com/meshc/meshc/dataplane/message"
)

type sink []hpack.HeaderField

func (s *sink) field(name, value string, neverIndex bool) {
	*s = append(*s, hpack.HeaderField{Name: name, Value: value, Sensitive: neverIndex})
}

func heapArena() *arena {
	return &arena{get: func(n int) []byte { return make([]byte, n) }}
}

// Whatever x/net's encoder says, with its dynamic table changing size, is read
// as it was meant.
func TestDecodesWhatAnotherEncoderSays(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	names := []string{":method", ":path", "accept", "x-a", "x-b", "cookie", "very-long-name-of-a-header-field"}
	d := decoder{max: maxTable}
	var wire bytes.Buffer
	enc := hpack.NewEncoder(&wire)
	for round := range 3000 {
		if rng.IntN(20) == 0 {
			enc.SetMaxDynamicTableSize(uint32(rng.IntN(maxTable + 1)))
		}
		var want []hpack.HeaderField
		wire.Reset()
		for range rng.IntN(12) {
			value := make([]byte, rng.IntN(1<<rng.IntN(9)))
			for i := range value {
				value[i] = byte(rng.IntN(256))
			}
			f := hpack.HeaderField{Name: names[rng.IntN(len(names))], Value: string(value), Sensitive: rng.IntN(5) == 0}
			if rng.IntN(2) == 0 {
				f.Value = fmt.Sprint(rng.IntN(4))
			}
			want = append(want, f)
			if err := enc.WriteField(f); err != nil {
				t.Fatal(err)
			}
		}
		var got sink
		if err := d.decode(wire.Bytes(), heapArena(), &got); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if fmt.Sprint([]hpack.HeaderField(got)) != fmt.Sprint(want) {
			t.Fatalf("round %d: got %q, want %q", round, got, want)
		}
	}
}

// The other way: x/net reads what the encoder writes.
func TestAnotherDecoderReadsTheEncoder(t *testing.T) {
	r := message.Request{Method: "PUT", Scheme: "https", Authority: "a.b:80", Target: "/x?y", Fields: []message.Field{
		{Name: "authorization", Value: "secret", NeverIndex: true}, {Name: "x-long", Value: string(bytes.Repeat([]byte("v"), 70_000))}, {Name: "accept", Value: "*/*"},
	}}
	block := appendRequest([]byte{noTable}, &r, message.Length, 1<<40)
	got, err := hpack.NewDecoder(4096, nil).DecodeFull(block)
	if err != nil {
		t.Fatal(err)
	}
	want := []hpack.HeaderField{
		{Name: ":method", Value: "PUT"}, {Name: ":scheme", Value: "https"}, {Name: ":path", Value: "/x?y"}, {Name: ":authority", Value: "a.b:80"},
		{Name: "content-length", Value: "1099511627776"}, {Name: "authorization", Value: "secret", Sensitive: true},
		{Name: "x-long", Value: r.Fields[1].Value}, {Name: "accept", Value: "*/*"},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %.300v", got)
	}
	for status := 100; status < 600; status++ {
		resp := message.Response{Status: status}
		got, err := hpack.NewDecoder(4096, nil).DecodeFull(appendResponse(nil, &resp, message.Chunked, 0))
		if err != nil || len(got) != 1 || got[0].Value != fmt.Sprint(status) {
			t.Fatalf("status %d: %v, %v", status, got, err)
		}
	}
}

func TestHuffmanAgrees(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		src := make([]byte, rng.IntN(64))
		for i := range src {
			src[i] = byte(rng.IntN(256))
		}
		coded := hpack.AppendHuffmanString(nil, string(src))
		got, ok := appendHuffman(nil, coded)
		if !ok || !bytes.Equal(got, src) {
			t.Fatalf("%x: got %x, %v", src, got, ok)
		}
		if len(coded) > 0 {
			// Broken in some bit: both accept it, as the same, or neither does.
			coded[rng.IntN(len(coded))] ^= 1 << rng.IntN(8)
			theirs, err := hpack.HuffmanDecodeToString(coded)
			ours, ok := appendHuffman(nil, coded)
			if ok != (err == nil) || ok && string(ours) != theirs {
				t.Fatalf("%x: %q %v, x/net %q %v", coded, ours, ok, theirs, err)
			}
		}
	}
}

func TestHPACKRefuses(t *testing.T) {
	for name, block := range map[string][]byte{
		"index 0":                       {0x80},
		"index beyond the tables":       {0xbe},
		"size above the setting":        {0x3f, 0xe2, 0x1f},
		"size update after a field":     {0x82, 0x20},
		"integer without end":           {0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"string longer than the block":  {0x00, 0x05, 'a'},
		"padding that is not ones":      {0x00, 0x81, 0x18, 0x00},
		"padding of a whole byte":       {0x00, 0x82, 0x1f, 0xff, 0x00},
		"EOS":                           {0x00, 0x84, 0xff, 0xff, 0xff, 0xff, 0x00},
		"block that ends in the middle": {0x40},
	} {
		d := decoder{max: maxTable}
		var got sink
		if err := d.decode(block, heapArena(), &got); err == nil {
			t.Errorf("%s: accepted as %q", name, got)
		}
	}
}

func FuzzHPACK(f *testing.F) {
	f.Add([]byte{0x82, 0x86, 0x84, 0x41, 0x0f, 'w', 'w', 'w', '.', 'e', 'x', 'a', 'm', 'p', 'l', 'e', '.', 'c', 'o', 'm'}, []byte{0x82, 0xbe})
	f.Add([]byte{0x3f, 0xe1, 0x1f, 0x40, 0x83, 0x1c, 0x64, 0x5f, 0x01, 'x'}, []byte{0xbe, 0xc0})
	f.Fuzz(func(t *testing.T, first, second []byte) {
		d := decoder{max: maxTable}
		theirs := hpack.NewDecoder(maxTable, nil)
		for _, block := range [][]byte{first, second} {
			var got sink
			mem := heapArena()
			err := d.decode(block, mem, &got)
			if len(mem.buf) > arenaBound(len(block)) {
				t.Fatalf("%d bytes of literals from %d", len(mem.buf), len(block))
			}
			want, err2 := theirs.DecodeFull(block)
			if err2 != nil && strings.Contains(err2.Error(), "table size update") {
				return // RFC 7541 §4.2 lets two stand at the beginning, x/net one
			}
			if err == nil && err2 != nil {
				t.Fatalf("accepted what x/net refuses: %v", err2)
			}
			if err != nil {
				return // x/net takes integers that are too long for us
			}
			if fmt.Sprint([]hpack.HeaderField(got)) != fmt.Sprint(want) {
				t.Fatalf("got %q, want %q", got, want)
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	var wire bytes.Buffer
	enc := hpack.NewEncoder(&wire)
	fields := []hpack.HeaderField{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "http"}, {Name: ":path", Value: "/some/path"}, {Name: ":authority", Value: "app.mesh:80"},
		{Name: "user-agent", Value: "h2load nghttp2/1.52.0"}, {Name: "x-request-id", Value: "0c4d3f3f-5b1c-4b63-8ef2-3a1b2c3d4e5f", Sensitive: true}}
	for range 2 {
		wire.Reset()
		for _, f := range fields {
			enc.WriteField(f)
		}
	}
	block := wire.Bytes()
	b.Run("own", func(b *testing.B) {
		d := decoder{max: maxTable}
		var first bytes.Buffer
		e := hpack.NewEncoder(&first)
		for _, f := range fields {
			e.WriteField(f)
		}
		var got sink
		d.decode(first.Bytes(), heapArena(), &got)
		buf := make([]byte, 4096)
		mem := arena{get: func(int) []byte { return buf }}
		b.ReportAllocs()
		for b.Loop() {
			got = got[:0]
			mem.buf = nil
			if err := d.decode(block, &mem, &got); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("x/net", func(b *testing.B) {
		var first bytes.Buffer
		e := hpack.NewEncoder(&first)
		for _, f := range fields {
			e.WriteField(f)
		}
		var got sink
		d := hpack.NewDecoder(maxTable, func(f hpack.HeaderField) { got = append(got, f) })
		d.Write(first.Bytes())
		b.ReportAllocs()
		for b.Loop() {
			got = got[:0]
			if _, err := d.Write(block); err != nil {
				b.Fatal(err)
			}
			d.Close()
		}
	})
}
