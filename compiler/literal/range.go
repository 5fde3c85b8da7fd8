package literal

import (
	"fmt"
	"strconv"
	"strings"
)

// FormatRange writes the whole numbers from first up to, not including, end as
// "[first,end)". It judges neither.
func FormatRange(first, end string) string { return "[" + first + "," + end + ")" }

// Range reads what FormatRange writes: two numbers of 64 bits, of which the
// first is the smaller (Envoy: Int64Range).
func Range(s string) (first, end int64, err error) {
	inner, opened := strings.CutPrefix(s, "[")
	inner, closed := strings.CutSuffix(inner, ")")
	low, high, both := strings.Cut(inner, ",")
	if !opened || !closed || !both {
		return 0, 0, fmt.Errorf("%q is not a range such as \"[1,10)\"", s)
	}
	first, err = strconv.ParseInt(low, 10, 64)
	if err == nil {
		end, err = strconv.ParseInt(high, 10, 64)
	}
	switch {
	case err != nil:
		return 0, 0, fmt.Errorf("range %s: a number has more than 64 bits", s)
	case first >= end:
		return 0, 0, fmt.Errorf("range %s holds no number: `to` is not included", s)
	}
	return first, end, nil
}

// InRange says whether text is a decimal number of the range; a range that
// cannot be read holds none. A number may have a sign and leading zeros
// (Envoy: absl::SimpleAtoi).
func InRange(rng, text string) bool {
	first, end, err := Range(rng)
	if err != nil {
		return false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return err == nil && first <= n && n < end
}
