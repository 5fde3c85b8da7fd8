package telemetry

import "time"

// clock writes times, and knows how it has written the second before.
type clock struct {
	second int64
	text   [len(secondForm)]byte
	known  bool
}

const secondForm = "2006-01-02T15:04:05."

// append writes t in UTC, to the millisecond below, as RFC 3339.
func (c *clock) append(dst []byte, t time.Time) []byte {
	second := t.Unix()
	if c == nil || second < 0 || second >= year10000 { // with a year of four digits
		return t.UTC().AppendFormat(dst, secondForm+"000Z")
	}
	if !c.known || c.second != second {
		t.UTC().AppendFormat(c.text[:0], secondForm)
		c.second, c.known = second, true
	}
	dst = append(dst, c.text[:]...)
	ms := t.Nanosecond() / int(time.Millisecond)
	return append(dst, byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10), 'Z')
}

const year10000 = 253402300800 // in seconds since 1970
