package http1

import (
	"strings"
	"testing"
)

// decode feeds raw in pieces of n bytes.
func decode(raw string, n int) (body string, used int, done bool, err error) {
	var c ChunkReader
	var b strings.Builder
	for used < len(raw) && !done {
		in := []byte(raw[used:min(used+n, len(raw))])
		for len(in) > 0 && !done {
			data, k, d, e := c.Next(in)
			if e != nil {
				return b.String(), used, false, e
			}
			b.Write(data)
			in, used, done = in[k:], used+k, d
		}
	}
	return b.String(), used, done, nil
}

func TestChunkReaderDecodesInAnyPieces(t *testing.T) {
	raw := "5\r\nhello\r\n006;a=b;c=\"d e\"\r\n world\r\nA\r\n0123456789\r\n0\r\nX-T: y\r\nZ:\r\n\r\n"
	for n := 1; n <= len(raw)+5; n++ {
		body, used, done, err := decode(raw+"GET /", n)
		if body != "hello world0123456789" || used != len(raw) || !done || err != nil {
			t.Fatalf("pieces of %d: %q used %d done %v %v", n, body, used, done, err)
		}
	}
}

func TestChunkReaderRefuses(t *testing.T) {
	for _, raw := range []string{
		"\r\n", "x\r\n", "0x5\r\nhello\r\n", "-1\r\n", "+5\r\nhello\r\n", " 5\r\nhello\r\n", "5 \r\nhello\r\n", "5\nhello\n", "5\rhello\r\n",
		"5\r\nhelloX\r\n", "5\r\nhello\n", "5\r\nhello\rX", "1000000000000000\r\n", "0000000000000005\r\nhello\r\n",
		"5;a\x00\r\nhello\r\n", "5;a\nhello\r\n", "5;" + strings.Repeat("a", 9000) + "\r\n",
		"0\r\nX y: a\r\n\r\n", "0\r\n X: a\r\n\r\n", "0\r\n: a\r\n\r\n", "0\r\nX\r\n\r\n", "0\r\nX: \x00\r\n\r\n", "0\r\nX: a\n\r\n", "0\n\n", "0\r\n\rX",
		"0\r\nX: " + strings.Repeat("a", 9000) + "\r\n\r\n",
	} {
		if body, _, done, err := decode(raw, 7); err == nil {
			t.Errorf("%.40q: accepted, body %q done %v", raw, body, done)
		}
	}
}
