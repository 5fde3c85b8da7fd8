package literal

import (
	"fmt"
	"regexp"
	"strings"
)

// What stands for segments of a path in a template.
const (
	anySegment = "{*}"
	anyRest    = "{**}"
)

// Template reads a template of paths, "/carts/{*}/items", as the RE2 expression
// that takes the same whole paths. "{*}" is one segment that is not empty, and
// "{**}", as the last segment, any rest, also an empty one.
func Template(s string) (string, error) {
	if !strings.HasPrefix(s, "/") {
		return "", fmt.Errorf("path template %q does not begin with \"/\"", Clip(s))
	}
	segments := strings.Split(s[1:], "/")
	stand := false
	var out strings.Builder
	for i, segment := range segments {
		out.WriteByte('/')
		switch {
		case segment == anySegment:
			out.WriteString("[^/]+")
			stand = true
		case segment == anyRest && i == len(segments)-1:
			out.WriteString(".*")
			stand = true
		case segment == anyRest:
			return "", fmt.Errorf("path template %q has %q before its last segment", Clip(s), anyRest)
		case strings.ContainsAny(segment, "{}*"):
			return "", fmt.Errorf("path template %q: segment %q is neither text nor %q or %q", Clip(s), Clip(segment), anySegment, anyRest)
		default:
			out.WriteString(regexp.QuoteMeta(segment))
		}
	}
	if !stand {
		return "", fmt.Errorf("path template %q has no %q and no %q", Clip(s), anySegment, anyRest)
	}
	return out.String(), nil
}
