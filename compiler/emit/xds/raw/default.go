package raw

import (
	"encoding/json"
	"fmt"
	"sort"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// unset finds the first field that the text writes and m does not hold, because
// it is the default; "" when there is none. m was read from the text.
func unset(text string, m proto.Message) string {
	var wrote, camel, plain any
	if json.Unmarshal([]byte(text), &wrote) != nil {
		return ""
	}
	for opts, into := range map[protojson.MarshalOptions]*any{{}: &camel, {UseProtoNames: true}: &plain} {
		out, err := opts.Marshal(m)
		if err != nil || json.Unmarshal(out, into) != nil {
			return ""
		}
	}
	return lost("", wrote, camel, plain)
}

// lost compares three readings of one thing: as written, and by both ways to
// write names.
func lost(path string, wrote, camel, plain any) string {
	switch w := wrote.(type) {
	case map[string]any:
		c, ok := camel.(map[string]any)
		p, also := plain.(map[string]any)
		if !ok || !also {
			return "" // a well-known type with a form of its own
		}
		names := make([]string, 0, len(w))
		for name := range w {
			names = append(names, name)
		}
		sort.Strings(names)
		for _, name := range names {
			below, inCamel := c[name]
			other, inPlain := p[name]
			switch {
			case !inCamel && !inPlain:
				return join(path, name)
			case !inCamel:
				below = other
			case !inPlain:
				other = below
			}
			if at := lost(join(path, name), w[name], below, other); at != "" {
				return at
			}
		}
	case []any:
		c, ok := camel.([]any)
		p, also := plain.([]any)
		if !ok || !also || len(c) != len(w) || len(p) != len(w) {
			return ""
		}
		for i := range w {
			if at := lost(fmt.Sprintf("%s[%d]", path, i), w[i], c[i], p[i]); at != "" {
				return at
			}
		}
	}
	return ""
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
