package load

import (
	"fmt"
	"strconv"
	"strings"
)

// Wildcard stands for any name or index in the path of a field.
const Wildcard = "*"

// ParsePath splits the path of a field: labels with a dot between them, in
// double quotes where a label holds a dot, and list indices as [n] or .n:
//
//	service.reviews.routes.rest.match[0].headers."x.y".exact
func ParsePath(path string) ([]string, error) {
	var out []string
	for rest := path; ; {
		label, after, err := cutLabel(rest)
		if err != nil {
			return nil, fmt.Errorf("field %q: %w", path, err)
		}
		out = append(out, label)
		for strings.HasPrefix(after, "[") {
			index, more, ok := strings.Cut(after[1:], "]")
			if _, err := strconv.ParseUint(index, 10, 31); !ok || err != nil && index != Wildcard {
				return nil, fmt.Errorf("field %q: an index is [n]", path)
			}
			out, after = append(out, index), more
		}
		if after == "" {
			return out, nil
		}
		if rest = strings.TrimPrefix(after, "."); rest == after {
			return nil, fmt.Errorf("field %q: want a dot before %q", path, after)
		}
	}
}

// cutLabel takes one label from the front.
func cutLabel(s string) (label, rest string, err error) {
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexAny(s, ".[")
		if end < 0 {
			end = len(s)
		}
		if end == 0 {
			return "", "", fmt.Errorf("a label is empty")
		}
		return s[:end], s[end:], nil
	}
	quoted, err := strconv.QuotedPrefix(s)
	if err != nil {
		return "", "", fmt.Errorf("a quoted label does not end")
	}
	label, err = strconv.Unquote(quoted)
	return label, s[len(quoted):], err
}

// FormatPath writes a path as ParsePath reads it.
func FormatPath(p []string) string {
	var b strings.Builder
	for i, label := range p {
		if i > 0 {
			b.WriteByte('.')
		}
		if strings.ContainsAny(label, `.["`) || label == "" {
			label = strconv.Quote(label)
		}
		b.WriteString(label)
	}
	return b.String()
}
