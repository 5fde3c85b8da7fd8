package intent

import "github.com/meshc/meshc/compiler/diag"

// Compression of responses, by the proxy of a service or by a gateway.
type Compression struct {
	Encodings    []Value[string] // gzip | br | zstd; nil: gzip
	MinLength    *Value[int]
	ContentTypes []Value[string] // nil: the usual ones
	NotPaths     []Value[string] // of a service
	Except       []Value[string] // routes of a gateway
	At           diag.Range
}

// Buffer has requests read whole, by the proxy of a service or by a gateway.
type Buffer struct {
	MaxBytes Value[int]
	NotPaths []Value[string] // of a service
	Except   []Value[string] // routes of a gateway
	At       diag.Range
}
