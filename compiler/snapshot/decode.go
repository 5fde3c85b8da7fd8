package snapshot

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"sort"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/diag"
)

// Read decodes a snapshot strictly: an unknown field, a field twice, a missing
// one or a wrong type is an error at its place. file is what diagnostics call
// it. The snapshot is nil when there are any.
func Read(file string, data []byte) (*Snapshot, diag.List) {
	d := &decoder{file: file, json: json.NewDecoder(bytes.NewReader(data)), lines: []int64{0}}
	for i, b := range data {
		if b == '\n' {
			d.lines = append(d.lines, int64(i+1))
		}
	}
	d.json.UseNumber()
	s := &Snapshot{}
	if err := d.decode(data, s); err != nil {
		return nil, diag.List{diag.New(diag.BadSnapshot, err.at, "%s", err.text)}
	}
	return s, nil
}

type decoder struct {
	file  string
	data  []byte
	json  *json.Decoder
	lines []int64 // where each line begins
}

// fault is what is wrong, and where.
type fault struct {
	at   diag.Range
	text string
}

func (d *decoder) decode(data []byte, s *Snapshot) *fault {
	d.data = data
	if f := d.value(reflect.ValueOf(s).Elem(), "the snapshot"); f != nil {
		return f
	}
	after := d.start()
	if _, err := d.json.Token(); err != io.EOF {
		return d.wrong(after, "something follows the snapshot")
	}
	switch {
	case s.APIVersion != APIVersion:
		return &fault{s.At, fmt.Sprintf("apiVersion is %q, and this meshc reads %q", s.APIVersion, APIVersion)}
	case s.Kind != Kind:
		return &fault{s.At, fmt.Sprintf("kind is %q, not %q", s.Kind, Kind)}
	case len(s.Clusters) == 0:
		return &fault{s.At, "the snapshot has no clusters"}
	}
	return nil
}

func (d *decoder) wrong(offset int64, format string, args ...any) *fault {
	at := d.pos(offset)
	return &fault{diag.Range{File: d.file, Start: at, End: diag.Pos{Line: at.Line, Col: at.Col + 1}}, fmt.Sprintf(format, args...)}
}

// pos is the line and column of an offset.
func (d *decoder) pos(offset int64) diag.Pos {
	offset = min(offset, int64(len(d.data)))
	line := sort.Search(len(d.lines), func(i int) bool { return d.lines[i] > offset })
	return diag.NewPos(line, int(offset-d.lines[line-1])+1)
}

// start is where the next token begins: behind blanks, commas and colons.
func (d *decoder) start() int64 {
	offset := d.json.InputOffset()
	for offset < int64(len(d.data)) && strings.IndexByte(" \t\r\n,:", d.data[offset]) >= 0 {
		offset++
	}
	return offset
}

var timeType = reflect.TypeFor[time.Time]()

// value decodes what comes next into v.
func (d *decoder) value(v reflect.Value, what string) *fault {
	at := d.start()
	token, err := d.json.Token()
	if err != nil {
		return d.wrong(at, "%s is not JSON: %s", what, strings.TrimPrefix(err.Error(), "json: "))
	}
	switch t := token.(type) {
	case json.Delim:
		return d.composite(t, v, at, what)
	case string:
		return d.text(t, v, at, what)
	case bool:
		if v.Kind() == reflect.Bool {
			v.SetBool(t)
			return nil
		}
	case json.Number:
		if v.Kind() == reflect.Pointer {
			v.Set(reflect.New(v.Type().Elem()))
			v = v.Elem()
		}
		if n, err := t.Int64(); err == nil && v.CanInt() {
			v.SetInt(n)
			return nil
		}
	}
	return d.wrong(at, "%s is %v, not %s", what, token, kindName(v.Type()))
}

func (d *decoder) text(s string, v reflect.Value, at int64, what string) *fault {
	switch {
	case v.Type() == timeType:
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			return d.wrong(at, "%s: %q is not a time of RFC 3339", what, s)
		}
		v.Set(reflect.ValueOf(t))
	case v.Kind() == reflect.String:
		v.SetString(s)
	default:
		return d.wrong(at, "%s is a text, not %s", what, kindName(v.Type()))
	}
	return nil
}

// composite decodes an object or a list whose first token has been read.
func (d *decoder) composite(open json.Delim, v reflect.Value, at int64, what string) *fault {
	switch {
	case open == '[' && v.Kind() == reflect.Slice:
		return d.list(v, what)
	case open == '{' && v.Kind() == reflect.Map:
		return d.mapping(v, what)
	case open == '{' && v.Kind() == reflect.Struct && v.Type() != timeType:
		return d.object(v, at, what)
	}
	return d.wrong(at, "%s is %q, not %s", what, open, kindName(v.Type()))
}

func (d *decoder) list(v reflect.Value, what string) *fault {
	v.Set(reflect.MakeSlice(v.Type(), 0, 0)) // an empty list is one, and not null
	for d.json.More() {
		v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
		if f := d.value(v.Index(v.Len()-1), fmt.Sprintf("%s[%d]", what, v.Len()-1)); f != nil {
			return f
		}
	}
	return d.end(what)
}

// end reads the bracket that closes a list or an object.
func (d *decoder) end(what string) *fault {
	if _, err := d.json.Token(); err != nil {
		return d.wrong(d.json.InputOffset(), "%s is not JSON: %s", what, err)
	}
	return nil
}

// key reads the name of a member.
func (d *decoder) key(what string) (string, int64, *fault) {
	at := d.start()
	token, err := d.json.Token()
	name, ok := token.(string)
	if err != nil || !ok {
		return "", at, d.wrong(at, "%s is not JSON: the name of a member is expected", what)
	}
	return name, at, nil
}

func (d *decoder) mapping(v reflect.Value, what string) *fault {
	v.Set(reflect.MakeMap(v.Type()))
	for d.json.More() {
		name, at, f := d.key(what)
		if f != nil {
			return f
		}
		if v.MapIndex(reflect.ValueOf(name)).IsValid() {
			return d.wrong(at, "%s has %q twice", what, name)
		}
		item := reflect.New(v.Type().Elem()).Elem()
		if f := d.value(item, what+"."+name); f != nil {
			return f
		}
		v.SetMapIndex(reflect.ValueOf(name), item)
	}
	return d.end(what)
}

func (d *decoder) object(v reflect.Value, at int64, what string) *fault {
	fields := fieldsOf(v.Type())
	seen := map[string]bool{}
	start := d.pos(at)
	v.FieldByName("At").Set(reflect.ValueOf(diag.Range{File: d.file, Start: start, End: diag.Pos{Line: start.Line, Col: start.Col + 1}}))
	for d.json.More() {
		name, at, f := d.key(what)
		if f != nil {
			return f
		}
		field, known := fields[name]
		switch {
		case !known:
			return d.wrong(at, "%s has no field %q", what, name)
		case seen[name]:
			return d.wrong(at, "%s has %q twice", what, name)
		}
		seen[name] = true
		if f := d.value(v.Field(field.index), what+"."+name); f != nil {
			return f
		}
	}
	for _, name := range required(v.Type()) {
		if !seen[name] {
			return d.wrong(at, "%s lacks %q", what, name)
		}
	}
	return d.end(what)
}

type jsonField struct {
	index    int
	optional bool
}

// fieldsOf gives the fields of a struct by their names in JSON.
func fieldsOf(t reflect.Type) map[string]jsonField {
	out := map[string]jsonField{}
	for i := range t.NumField() {
		name, rest, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name != "-" {
			out[name] = jsonField{i, rest == "omitempty"}
		}
	}
	return out
}

// required lists the names of the fields that an object must have.
func required(t reflect.Type) []string {
	var out []string
	for name, f := range fieldsOf(t) {
		if !f.optional {
			out = append(out, name)
		}
	}
	sort.Strings(out)
	return out
}

// kindName says what is expected.
func kindName(t reflect.Type) string {
	switch {
	case t == timeType || t.Kind() == reflect.String:
		return "a text"
	case t.Kind() == reflect.Slice:
		return "a list"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Map || t.Kind() == reflect.Struct:
		return "an object"
	}
	return "a whole number"
}
