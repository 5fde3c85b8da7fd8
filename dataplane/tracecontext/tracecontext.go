// Package tracecontext reads and writes the headers by which a request says which
// trace it belongs to: those of W3C (Trace Context, level 1) and those of B3
// (openzipkin/b3-propagation). What is malformed is as good as not there.
package tracecontext

import (
	"encoding/hex"
	"strings"

	"github.com/meshc/meshc/dataplane/message"
)

// Context is the trace that a request belongs to.
type Context struct {
	Trace   [16]byte
	Short   bool    // Trace has 64 bits: its second half
	Span    [8]byte // of the sender
	State   string  // tracestate of W3C
	Valid   bool    // there is a trace; otherwise only Decided and Sampled count
	Decided bool    // the sender has decided whether the trace is kept,
	Sampled bool    // and how
}

// FromW3C reads traceparent and tracestate.
func FromW3C(fields []message.Field) Context {
	v, ok := one(fields, "traceparent")
	if !ok || len(v) < 55 || v[2] != '-' || v[35] != '-' || v[52] != '-' {
		return Context{}
	}
	var version, flags [1]byte
	c := Context{Valid: true, Decided: true}
	if !unhex(version[:], v[:2]) || version[0] == 0xff || version[0] == 0 && len(v) != 55 || len(v) > 55 && v[55] != '-' ||
		!unhex(c.Trace[:], v[3:35]) || !unhex(c.Span[:], v[36:52]) || !unhex(flags[:], v[53:55]) ||
		c.Trace == [16]byte{} || c.Span == [8]byte{} {
		return Context{}
	}
	c.Sampled = flags[0]&1 != 0
	c.State, _ = joined(fields, "tracestate")
	return c
}

// FromB3 reads the single header b3, or else those of several.
func FromB3(fields []message.Field) Context {
	if v, ok := message.Get(fields, "b3"); ok {
		return fromSingle(v)
	}
	var c Context
	if v, ok := message.Get(fields, "x-b3-sampled"); ok {
		c.decide(v)
	}
	if v, ok := message.Get(fields, "x-b3-flags"); ok && v == "1" {
		c.Decided, c.Sampled = true, true
	}
	trace, _ := message.Get(fields, "x-b3-traceid")
	span, _ := message.Get(fields, "x-b3-spanid")
	c.setIDs(trace, span)
	return c
}

// fromSingle reads TRACE-SPAN[-STATE[-PARENT]], or a STATE alone.
func fromSingle(v string) Context {
	var c Context
	trace, rest, more := strings.Cut(v, "-")
	if !more {
		c.decide(v)
		return c
	}
	span, rest, _ := strings.Cut(rest, "-")
	state, _, _ := strings.Cut(rest, "-")
	c.decide(state)
	if c.setIDs(trace, span); !c.Valid {
		return Context{}
	}
	return c
}

func (c *Context) decide(v string) {
	switch v {
	case "1", "d", "true":
		c.Decided, c.Sampled = true, true
	case "0", "false":
		c.Decided = true
	}
}

func (c *Context) setIDs(trace, span string) {
	switch len(trace) {
	case 16:
		c.Short = true
		c.Valid = unhex(c.Trace[8:], strings.ToLower(trace))
	case 32:
		c.Valid = unhex(c.Trace[:], strings.ToLower(trace))
	}
	c.Valid = c.Valid && unhex(c.Span[:], strings.ToLower(span)) && c.Trace != [16]byte{} && c.Span != [8]byte{}
	if !c.Valid {
		c.Trace, c.Span, c.Short = [16]byte{}, [8]byte{}, false
	}
}

// Outgoing is what a request says that is sent on.
type Outgoing struct {
	Trace     [16]byte
	Short     bool
	Span      [8]byte // which the receiver's span has as its parent
	Parent    [8]byte
	HasParent bool
	State     string
	Sampled   bool
}

// ToW3C writes traceparent; a tracestate goes on as it came.
func (o *Outgoing) ToW3C(fields []message.Field) []message.Field {
	var text [55]byte
	b := append(text[:0], "00-"...)
	b = append(hex.AppendEncode(b, o.Trace[:]), '-')
	b = append(hex.AppendEncode(b, o.Span[:]), "-0"...)
	return set(fields, "traceparent", string(append(b, digit(o.Sampled))))
}

// ToB3 writes the headers of B3; a single one that came goes.
func (o *Outgoing) ToB3(fields []message.Field) []message.Field {
	trace := o.Trace[:]
	if o.Short {
		trace = trace[8:]
	}
	fields = drop(drop(fields, "b3"), "x-b3-flags")
	fields = set(fields, "x-b3-traceid", hex.EncodeToString(trace))
	fields = set(fields, "x-b3-spanid", hex.EncodeToString(o.Span[:]))
	if o.HasParent {
		fields = set(fields, "x-b3-parentspanid", hex.EncodeToString(o.Parent[:]))
	} else {
		fields = drop(fields, "x-b3-parentspanid")
	}
	return set(fields, "x-b3-sampled", string(digit(o.Sampled)))
}

func digit(yes bool) byte {
	if yes {
		return '1'
	}
	return '0'
}

// one is the value of a field that is there once.
func one(fields []message.Field, name string) (value string, ok bool) {
	for _, f := range fields {
		if f.Name != name {
			continue
		}
		if ok {
			return "", false
		}
		value, ok = f.Value, true
	}
	return value, ok
}

func joined(fields []message.Field, name string) (value string, ok bool) {
	for _, f := range fields {
		if f.Name == name && ok {
			value += "," + f.Value
		} else if f.Name == name {
			value, ok = f.Value, true
		}
	}
	return value, ok
}

func set(fields []message.Field, name, value string) []message.Field {
	for i := range fields {
		if fields[i].Name == name {
			fields[i].Value = value
			return append(fields[:i+1], drop(fields[i+1:], name)...)
		}
	}
	return append(fields, message.Field{Name: name, Value: value})
}

func drop(fields []message.Field, name string) []message.Field {
	kept := fields[:0]
	for _, f := range fields {
		if f.Name != name {
			kept = append(kept, f)
		}
	}
	return kept
}

// unhex takes digits in lower case alone, as W3C asks.
func unhex(dst []byte, s string) bool {
	if len(s) != 2*len(dst) {
		return false
	}
	for i := range dst {
		hi, lo := nibble(s[2*i]), nibble(s[2*i+1])
		if hi > 15 || lo > 15 {
			return false
		}
		dst[i] = hi<<4 | lo
	}
	return true
}

func nibble(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 16
}
