package jwt

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/structpb"
)

// headerValue is a claim as Envoy writes it into a header; a dot leads into an
// object. "" is no header: the claim is not there, or no header can hold it.
func headerValue(claims *structpb.Struct, way string) string {
	value := &structpb.Value{Kind: &structpb.Value_StructValue{StructValue: claims}}
	for name := range strings.SplitSeq(way, ".") {
		if value = value.GetStructValue().GetFields()[name]; value == nil {
			return ""
		}
	}
	out := ""
	switch v := value.GetKind().(type) {
	case *structpb.Value_StringValue:
		out = v.StringValue
	case *structpb.Value_NumberValue:
		out = number64(v.NumberValue)
	case *structpb.Value_BoolValue:
		out = strconv.FormatBool(v.BoolValue)
	case *structpb.Value_ListValue, *structpb.Value_StructValue:
		raw, err := json.Marshal(value.AsInterface())
		if err != nil {
			return ""
		}
		out = base64.RawURLEncoding.EncodeToString(raw)
	}
	out = strings.Trim(out, " \t")
	if strings.ContainsFunc(out, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return ""
	}
	return out
}

// number64 writes whole numbers without a fraction, and others as C does.
func number64(n float64) string {
	if n < 0 || n >= math.MaxUint64 || n != math.Trunc(n) {
		return strconv.FormatFloat(n, 'f', 6, 64)
	}
	return strconv.FormatUint(uint64(n), 10)
}
