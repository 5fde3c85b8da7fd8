package http2

import (
	"strconv"

	"github.com/meshc/meshc/dataplane/message"
)

// The encoder refers to the static table and else writes literals as they are:
// no dynamic table and no Huffman code. Both would save bytes on a wire that is
// short and cost time on both of its ends.

// noTable tells the peer's decoder, in the first block, that its dynamic table
// stays empty. A peer that lowers SETTINGS_HEADER_TABLE_SIZE waits for that.
const noTable = 0x20

// First bytes of representations (RFC 7541 §6).
const (
	repIndexed    = 0x80
	repLiteral    = 0x00
	repNeverIndex = 0x10
)

// Static indices that the encoder names.
const (
	idxAuthority     = 1
	idxGET           = 2
	idxPOST          = 3
	idxPath          = 4
	idxSlash         = 4
	idxHTTP          = 6
	idxHTTPS         = 7
	idxStatus        = 8
	idxContentLength = 28
)

var statusIndex = map[int]byte{200: 8, 204: 9, 206: 10, 304: 11, 400: 12, 404: 13, 500: 14}

// nameIndex finds the name of a field in the static table.
var nameIndex = func() map[string]int {
	m := make(map[string]int, len(staticTable))
	for i := len(staticTable) - 1; i > 0; i-- {
		m[staticTable[i].name] = i
	}
	return m
}()

func appendInt(dst []byte, first byte, n uint, v int) []byte {
	full := 1<<n - 1
	if v < full {
		return append(dst, first|byte(v))
	}
	dst = append(dst, first|byte(full))
	for v -= full; v >= 0x80; v >>= 7 {
		dst = append(dst, byte(v)|0x80)
	}
	return append(dst, byte(v))
}

func appendString(dst []byte, s string) []byte {
	return append(appendInt(dst, 0, 7, len(s)), s...)
}

// appendIndexedName writes a literal whose name is entry i.
func appendIndexedName(dst []byte, i int, value string) []byte {
	return appendString(appendInt(dst, repLiteral, 4, i), value)
}

func appendField(dst []byte, f *message.Field) []byte {
	rep := byte(repLiteral)
	if f.NeverIndex {
		rep = repNeverIndex
	}
	if i := nameIndex[f.Name]; i > 0 {
		return appendString(appendInt(dst, rep, 4, i), f.Value)
	}
	return appendString(appendString(append(dst, rep), f.Name), f.Value)
}

func appendRequest(dst []byte, r *message.Request, framing message.Framing, length int64) []byte {
	switch r.Method {
	case "GET":
		dst = append(dst, repIndexed|idxGET)
	case "POST":
		dst = append(dst, repIndexed|idxPOST)
	default:
		dst = appendIndexedName(dst, idxGET, r.Method)
	}
	if r.Scheme == "https" {
		dst = append(dst, repIndexed|idxHTTPS)
	} else {
		dst = append(dst, repIndexed|idxHTTP)
	}
	if r.Target == "/" {
		dst = append(dst, repIndexed|idxSlash)
	} else {
		dst = appendIndexedName(dst, idxPath, r.Target)
	}
	dst = appendIndexedName(dst, idxAuthority, r.Authority)
	if framing == message.Length {
		dst = appendLength(dst, length)
	}
	return appendFields(dst, r.Fields)
}

// appendResponse writes length when framing is Length, or, with NoBody, when it
// is not negative and the status allows it: HEAD and 304 tell a length without a
// body.
func appendResponse(dst []byte, r *message.Response, framing message.Framing, length int64) []byte {
	if i := statusIndex[r.Status]; i > 0 {
		dst = append(dst, repIndexed|i)
	} else {
		dst = append(dst, repLiteral|idxStatus, 3)
		dst = strconv.AppendInt(dst, int64(min(max(r.Status, 100), 999)), 10)
	}
	if framing == message.Length || framing == message.NoBody && length >= 0 && r.Status >= 200 && r.Status != 204 {
		dst = appendLength(dst, length)
	}
	return appendFields(dst, r.Fields)
}

func appendLength(dst []byte, n int64) []byte {
	dst = appendInt(dst, repLiteral, 4, idxContentLength)
	var text [20]byte
	s := strconv.AppendInt(text[:0], n, 10)
	return append(append(dst, byte(len(s))), s...)
}

func appendFields(dst []byte, fields []message.Field) []byte {
	for i := range fields {
		dst = appendField(dst, &fields[i])
	}
	return dst
}
