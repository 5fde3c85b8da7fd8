package automaton

import "unicode/utf8"

// span is a range of bytes.
type span struct{ lo, hi byte }

// sequences calls emit with ranges of bytes, side by side, that together are
// the UTF-8 encodings of the runes from lo to hi. Surrogates have none. The
// slice is only good during the call.
func sequences(lo, hi rune, emit func([]span)) {
	const firstSurrogate, lastSurrogate = 0xD800, 0xDFFF
	if lo > hi {
		return
	}
	if lo <= lastSurrogate && hi >= firstSurrogate {
		sequences(lo, firstSurrogate-1, emit)
		sequences(lastSurrogate+1, hi, emit)
		return
	}
	for _, last := range []rune{0x7F, 0x7FF, 0xFFFF} {
		if lo <= last && last < hi {
			sequences(lo, last, emit)
			sequences(last+1, hi, emit)
			return
		}
	}
	sameLength(lo, hi, emit)
}

// sameLength splits until every byte of the encoding ranges on its own.
func sameLength(lo, hi rune, emit func([]span)) {
	n := utf8.RuneLen(lo)
	for i := 1; i < n; i++ {
		mask := rune(1)<<(6*i) - 1 // the last i continuation bytes
		if lo&^mask == hi&^mask {
			continue
		}
		if lo&mask != 0 {
			sameLength(lo, lo|mask, emit)
			sameLength((lo|mask)+1, hi, emit)
			return
		}
		if hi&mask != mask {
			sameLength(lo, (hi&^mask)-1, emit)
			sameLength(hi&^mask, hi, emit)
			return
		}
	}
	var a, b [utf8.UTFMax]byte
	utf8.EncodeRune(a[:], lo)
	utf8.EncodeRune(b[:], hi)
	var out [utf8.UTFMax]span
	for i := range n {
		out[i] = span{a[i], b[i]}
	}
	emit(out[:n])
}
