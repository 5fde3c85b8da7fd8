// Package clienthello reads the server name out of the first bytes of a TLS
// connection, without taking part in the handshake: a listener chooses by it
// what serves the connection. It never panics, whatever the bytes are.
package clienthello

import (
	"encoding/binary"
	"errors"
	"strings"
)

// MaxBytes is how much of a connection is looked at: what is longer is no
// ClientHello that any client sends.
const MaxBytes = 16 << 10

// Errors of ServerName.
var (
	// ErrMore says that the ClientHello goes on behind the bytes given.
	ErrMore = errors.New("the ClientHello is not complete")
	// ErrMalformed says that the bytes do not begin a ClientHello (RFC 8446
	// section 4.1.2), or one longer than MaxBytes.
	ErrMalformed = errors.New("not a ClientHello")
)

// From RFC 8446 sections 5.1 and 4, and RFC 6066 section 3.
const (
	recordHandshake  = 22
	recordHeader     = 5
	maxRecord        = 1 << 14
	helloMessage     = 1
	messageHeader    = 4
	extensionSNI     = 0
	nameTypeHostName = 0
)

// ServerName gives the host name of the server_name extension in lower case, ""
// where the client sends none. b is the beginning of the connection.
func ServerName(b []byte) (string, error) {
	hello, err := message(b)
	if err != nil {
		return "", err
	}
	return serverName(hello)
}

// message joins the records of the first handshake message and gives its body.
func message(b []byte) (reader, error) {
	var joined []byte
	for {
		if need := messageLength(joined); need > 0 && len(joined) >= need {
			return reader(joined[messageHeader:need]), nil
		} else if need < 0 || need > MaxBytes {
			return nil, ErrMalformed
		}
		switch {
		case len(b) > 0 && b[0] != recordHandshake, len(b) > 1 && b[1] != 3:
			return nil, ErrMalformed
		case len(b) < recordHeader:
			return nil, ErrMore
		}
		n := int(binary.BigEndian.Uint16(b[3:]))
		if n == 0 || n > maxRecord {
			return nil, ErrMalformed
		}
		rest := b[recordHeader:]
		if len(rest) < n {
			// What there is of the message may already say that it is none.
			if messageLength(append(joined, rest...)) < 0 {
				return nil, ErrMalformed
			}
			return nil, ErrMore
		}
		joined, b = append(joined, rest[:n]...), rest[n:]
	}
}

// messageLength is the length of a ClientHello with its header; 0: not known
// yet, -1: it is another message.
func messageLength(b []byte) int {
	switch {
	case len(b) > 0 && b[0] != helloMessage:
		return -1
	case len(b) < messageHeader:
		return 0
	}
	return messageHeader + int(b[1])<<16 + int(b[2])<<8 + int(b[3])
}

// serverName reads the body of a ClientHello.
func serverName(r reader) (string, error) {
	const versionAndRandom = 2 + 32
	if !r.skip(versionAndRandom) || !r.skip8() || !r.skip16() || !r.skip8() {
		return "", ErrMalformed
	}
	if len(r) == 0 {
		return "", nil // TLS 1.2 without extensions
	}
	extensions, ok := r.take16()
	if !ok || len(r) != 0 {
		return "", ErrMalformed
	}
	for len(extensions) > 0 {
		kind, ok := extensions.uint16()
		if !ok {
			return "", ErrMalformed
		}
		body, ok := extensions.take16()
		if !ok {
			return "", ErrMalformed
		}
		if kind == extensionSNI {
			return hostName(body)
		}
	}
	return "", nil
}

func hostName(body reader) (string, error) {
	list, ok := body.take16()
	if !ok || len(body) != 0 || len(list) == 0 {
		return "", ErrMalformed
	}
	for len(list) > 0 {
		kind := list[0]
		list = list[1:]
		name, ok := list.take16()
		if !ok || len(name) == 0 {
			return "", ErrMalformed
		}
		if kind == nameTypeHostName {
			return strings.ToLower(string(name)), nil
		}
	}
	return "", nil
}

// reader is what is left of a message.
type reader []byte

func (r *reader) skip(n int) bool {
	if len(*r) < n {
		return false
	}
	*r = (*r)[n:]
	return true
}

func (r *reader) uint16() (int, bool) {
	if len(*r) < 2 {
		return 0, false
	}
	n := int(binary.BigEndian.Uint16(*r))
	*r = (*r)[2:]
	return n, true
}

// take16 takes a field with a length of two bytes in front.
func (r *reader) take16() (reader, bool) {
	n, ok := r.uint16()
	if !ok || len(*r) < n {
		return nil, false
	}
	out := (*r)[:n]
	*r = (*r)[n:]
	return out, true
}

func (r *reader) skip16() bool {
	_, ok := r.take16()
	return ok
}

func (r *reader) skip8() bool {
	if len(*r) == 0 {
		return false
	}
	return r.skip(1 + int((*r)[0]))
}
