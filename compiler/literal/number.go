package literal

import (
	"math"
	"strconv"
)

// FormatNumber writes a number as values of claims have it: in decimal, without
// an exponent, with as many digits as tell it from others.
func FormatNumber(n float64) string {
	if n == 0 {
		return "0" // and never "-0"
	}
	return strconv.FormatFloat(n, 'f', -1, 64)
}

// Number reads what FormatNumber writes, and nothing else.
func Number(s string) (n float64, ok bool) {
	n, err := strconv.ParseFloat(s, 64)
	return n, err == nil && !math.IsInf(n, 0) && !math.IsNaN(n) && FormatNumber(n) == s
}
