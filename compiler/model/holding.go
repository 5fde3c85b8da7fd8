package model

import (
	"strconv"
	"strings"
)

// DefaultCompressedLength is the least length that is compressed, in bytes: Envoy's own.
const DefaultCompressedLength = 30

// DefaultEncoding is what bodies are written in where nobody says more.
const DefaultEncoding = "gzip"

// DefaultCompressedTypes are the types that Envoy compresses, written out.
var DefaultCompressedTypes = []string{
	"application/javascript", "application/json", "application/xhtml+xml", "image/svg+xml", "text/css", "text/html", "text/plain", "text/xml",
}

// Compression of responses.
type Compression struct {
	Encodings    []string // of those that a client likes equally the first
	MinLength    uint32
	ContentTypes []string // in lower case, sorted
	NotPaths     []string // segment prefixes, sorted; of a service
	Except       []string // names of routes, sorted; of a gateway
	Origin       Origin
}

// Buffer has requests read whole.
type Buffer struct {
	MaxBytes uint32
	NotPaths []string // segment prefixes, sorted; of a service
	Except   []string // names of routes, sorted; of a gateway
	Origin   Origin
}

func (c *Compression) settings(s *settings) {
	if c == nil {
		return
	}
	s.at = c.Origin
	s.add("compression", strings.Join(c.Encodings, ", "))
	s.number("compression.minLength", c.MinLength)
	s.add("compression.contentTypes", strings.Join(c.ContentTypes, ", "))
	s.add("compression.notPaths", strings.Join(c.NotPaths, ", "))
}

func (b *Buffer) settings(s *settings) {
	if b == nil {
		return
	}
	s.at = b.Origin
	s.add("buffer.maxBytes", strconv.FormatUint(uint64(b.MaxBytes), 10))
	s.add("buffer.notPaths", strings.Join(b.NotPaths, ", "))
}

// Settings lists what c says, with the routes of a gateway that it is not
// for.
func (c *Compression) Settings() []Setting {
	s := &settings{}
	if c.settings(s); c != nil {
		s.add("compression.except", strings.Join(c.Except, ", "))
	}
	return s.list
}

// Settings lists what b says, with the routes of a gateway that it is not for.
func (b *Buffer) Settings() []Setting {
	s := &settings{}
	if b.settings(s); b != nil {
		s.add("buffer.except", strings.Join(b.Except, ", "))
	}
	return s.list
}
