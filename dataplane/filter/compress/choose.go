package compress

import (
	"math/bits"
	"strconv"
	"strings"

	"github.com/meshc/meshc/dataplane/filter"
)

// chosen is the encoding of the response to s, "" for none: the one that the client
// likes best of those of the chain's compressors that take the content type; of
// several that it likes alike, the first that it names, or the last of those that
// the chain prefers (CompressorFilter::chooseEncoding).
func (f *Filter) chosen(s *filter.Stream, contentType string) string {
	usable := f.usable(s, contentType)
	best, quality := "", float32(0)
	for token := range strings.SplitSeq(s.Accepts, ",") {
		name, q, ok := accepted(token)
		if !ok {
			continue
		}
		c := f.find(usable, name)
		if c == nil && name != "identity" && name != "*" {
			continue
		}
		if q > quality || q == quality && q > 0 && c != nil && c.first {
			best, quality = name, q
		}
	}
	switch {
	case best == "*" && usable != 0: // the first that the client does not rule out
		return f.chain[bits.TrailingZeros64(usable)].encoding
	case best == "identity" || best == "*":
		return ""
	}
	return best
}

// usable are the compressors of the chain, a bit each, that take the content type
// and whose encoding the client does not rule out. The header is read once for it: it
// may be as long as a head.
func (f *Filter) usable(s *filter.Stream, contentType string) uint64 {
	var out uint64
	for i, c := range f.chain {
		if (contentType == "" || c.takes(contentType)) && !s.SwitchedOff(c.name) {
			out |= 1 << i
		}
	}
	for token := range strings.SplitSeq(s.Accepts, ",") {
		if name, q, ok := accepted(token); ok && q == 0 {
			for i, c := range f.chain {
				if c.encoding == name {
					out &^= 1 << i
				}
			}
		}
	}
	return out
}

// find is the first of some compressors of the chain that writes the encoding.
func (f *Filter) find(usable uint64, encoding string) *Filter {
	for i, c := range f.chain {
		if c.encoding == encoding && usable&(1<<i) != 0 {
			return c
		}
	}
	return nil
}

// accepted reads one member of accept-encoding; not ok: its quality is no number.
func accepted(token string) (name string, quality float32, ok bool) {
	name, params, _ := strings.Cut(token, ";")
	name = strings.TrimSpace(name)
	key, value, found := strings.Cut(params, "=")
	if !found || !strings.EqualFold(strings.TrimSpace(key), "q") {
		return name, 1, name != ""
	}
	q, err := strconv.ParseFloat(strings.TrimSpace(value), 32)
	return name, float32(q), err == nil && name != ""
}
