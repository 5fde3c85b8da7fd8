package asjson

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"
)

var errNotUTF8 = errors.New("a string that is not UTF-8")

// text writes a string as encoding/json does.
func (w *writer) text(s string) error { return appendText(w, s) }

func appendText[T string | []byte](w *writer, s T) error {
	if isSimple(s) {
		w.out = append(w.out, '"')
		w.out = append(w.out, s...)
		w.out = append(w.out, '"')
		return nil
	}
	if !utf8.ValidString(string(s)) {
		return errNotUTF8
	}
	quoted, err := json.Marshal(string(s))
	w.out = append(w.out, quoted...)
	return err
}

// isSimple says that every byte of s stands for itself.
func isSimple[T string | []byte](s T) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ', c >= utf8.RuneSelf, c == '"', c == '\\', c == '<', c == '>', c == '&':
			return false
		}
	}
	return true
}

func (w *writer) number(kind protoreflect.Kind, v protoreflect.Value) {
	switch kind {
	case protoreflect.BoolKind:
		w.out = strconv.AppendBool(w.out, v.Bool())
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		w.out = strconv.AppendInt(w.out, v.Int(), 10)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		w.out = strconv.AppendUint(w.out, v.Uint(), 10)
	case protoreflect.FloatKind:
		w.float(v.Float(), 32)
	case protoreflect.DoubleKind:
		w.float(v.Float(), 64)
	default: // what has 64 bits is a string in JSON
		w.out = append(w.out, '"')
		w.out = append(w.out, v.String()...)
		w.out = append(w.out, '"')
	}
}

// float follows encoding/json, and protojson in what is no number.
func (w *writer) float(n float64, bits int) {
	switch {
	case math.IsNaN(n):
		w.out = append(w.out, `"NaN"`...)
		return
	case math.IsInf(n, 1):
		w.out = append(w.out, `"Infinity"`...)
		return
	case math.IsInf(n, -1):
		w.out = append(w.out, `"-Infinity"`...)
		return
	}
	format := byte('f')
	if abs := math.Abs(n); abs != 0 && (abs >= 1e21 || bits == 64 && abs < 1e-6 || bits == 32 && float32(abs) < 1e-6) {
		format = 'e'
	}
	from := len(w.out)
	w.out = strconv.AppendFloat(w.out, n, format, -1, bits)
	if num := w.out[from:]; format == 'e' && strings.HasSuffix(string(num[:len(num)-1]), "e-0") {
		num[len(num)-2] = num[len(num)-1]
		w.out = w.out[:len(w.out)-1]
	}
}

// sortedKeys gives the keys of a map in their order.
func sortedKeys(m protoreflect.Map) []protoreflect.MapKey {
	keys := make([]protoreflect.MapKey, 0, m.Len())
	m.Range(func(k protoreflect.MapKey, _ protoreflect.Value) bool {
		keys = append(keys, k)
		return true
	})
	slices.SortFunc(keys, func(a, b protoreflect.MapKey) int { return strings.Compare(a.String(), b.String()) })
	return keys
}
