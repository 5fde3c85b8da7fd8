package view

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/intent"
)

// Encode writes what is read of a view as JSON: a field that nothing reads is
// left out, a list and a map are whole. nil parts of the view are left out.
func (v *View) Encode(read *intent.Reads) (json.RawMessage, error) {
	var b bytes.Buffer
	if err := encode(&b, reflect.ValueOf(v).Elem(), read, func(field reflect.Value) bool { return field.Kind() != reflect.Pointer || !field.IsNil() }); err != nil {
		return nil, fmt.Errorf("encode the view: %w", err)
	}
	return b.Bytes(), nil
}

func encode(b *bytes.Buffer, v reflect.Value, read *intent.Reads, there func(reflect.Value) bool) error {
	switch v.Kind() {
	case reflect.Pointer:
		return encode(b, v.Elem(), read, there)
	case reflect.Struct:
		b.WriteByte('{')
		first := true
		if err := fields(b, v, read, there, &first); err != nil {
			return err
		}
		b.WriteByte('}')
		return nil
	case reflect.Map:
		return entries(b, v, read)
	case reflect.Slice:
		b.WriteByte('[')
		for i := range v.Len() {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := encode(b, v.Index(i), each(read), nil); err != nil {
				return err
			}
		}
		b.WriteByte(']')
		return nil
	}
	text, err := json.Marshal(v.Interface())
	b.Write(text)
	return err
}

// each is what is read of elements.
func each(read *intent.Reads) *intent.Reads {
	if read == nil || read.All {
		return read
	}
	return read.Each
}

func fields(b *bytes.Buffer, v reflect.Value, read *intent.Reads, there func(reflect.Value) bool, first *bool) error {
	for i := range v.NumField() {
		t := v.Type().Field(i)
		if t.Anonymous {
			if err := fields(b, v.Field(i), read, there, first); err != nil {
				return err
			}
			continue
		}
		name, _, _ := strings.Cut(t.Tag.Get("json"), ",")
		below := read.Kid(name)
		if below == nil || there != nil && !there(v.Field(i)) {
			continue
		}
		if !*first {
			b.WriteByte(',')
		}
		*first = false
		fmt.Fprintf(b, "%q:", name)
		if err := encode(b, v.Field(i), below, nil); err != nil {
			return err
		}
	}
	return nil
}

// entries are written in the order of their keys.
func entries(b *bytes.Buffer, v reflect.Value, read *intent.Reads) error {
	b.WriteByte('{')
	keys := v.MapKeys()
	slices.SortFunc(keys, func(x, y reflect.Value) int { return strings.Compare(x.String(), y.String()) })
	for i, k := range keys {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(k.String())
		if err != nil {
			return err
		}
		b.Write(append(name, ':'))
		if err := encode(b, v.MapIndex(k), each(read), nil); err != nil {
			return err
		}
	}
	b.WriteByte('}')
	return nil
}
