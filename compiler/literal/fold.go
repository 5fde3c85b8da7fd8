package literal

import (
	"regexp"
	"strings"
)

// QuoteFold is regexp.QuoteMeta for either case of ASCII letters; (?i) would
// fold others too.
func QuoteFold(s string) string {
	var b strings.Builder
	for _, r := range s {
		lower, upper := strings.ToLower(string(r)), strings.ToUpper(string(r))
		if r < 0x80 && lower != upper {
			b.WriteString("[" + upper + lower + "]")
		} else {
			b.WriteString(regexp.QuoteMeta(string(r)))
		}
	}
	return b.String()
}
