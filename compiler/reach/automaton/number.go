package automaton

import (
	"strconv"
	"strings"
)

// Between accepts decimal integers from lo up to, but not including, hi, as
// Envoy's range_match reads them: an optional sign and leading zeros are
// allowed, and a number outside 64 bits is none.
func Between(lo, hi int64, b *Budget) (*DFA, error) {
	if lo >= hi {
		return None(), nil
	}
	last := hi - 1
	var ways []string
	if last >= 0 {
		ways = append(ways, `\+?0*(?:`+digits(uint64(max(lo, 0)), uint64(last))+`)`)
	}
	if lo <= 0 && 0 <= last {
		ways = append(ways, `-0+`)
	}
	if lo < 0 {
		ways = append(ways, `-0*(?:`+digits(magnitude(min(last, -1)), magnitude(lo))+`)`)
	}
	return Regex(strings.Join(ways, "|"), b)
}

// magnitude of a negative number; the least one has it too.
func magnitude(n int64) uint64 { return uint64(-(n + 1)) + 1 }

// digits is an expression for the decimal numbers from lo to hi without
// leading zeros, except that 0 itself may be all zeros: blocks of the form
// "123" and some free digits, the largest that fit.
func digits(lo, hi uint64) string {
	var ways []string
	if lo == 0 {
		ways = append(ways, "0")
		lo = 1
	}
	for lo <= hi {
		size, free := uint64(1), 0
		for lo%(size*10) == 0 && hi-lo >= size*10-1 && size <= 1e17 {
			size *= 10
			free++
		}
		way := strconv.FormatUint(lo/size, 10)
		if free > 0 {
			way += "[0-9]{" + strconv.Itoa(free) + "}"
		}
		ways = append(ways, way)
		if hi-lo < size {
			break
		}
		lo += size
	}
	return strings.Join(ways, "|")
}
