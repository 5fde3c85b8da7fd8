package diag

import "fmt"

// maxSame bounds how many of the diagnostics with one cause are quoted.
const maxSame = 3

// Merge makes one diagnostic of those with one code at one place in the text: a
// mistake in a definition that fifty services share is one mistake. What the
// others say becomes notes of the first. It keeps the order of l.
func (l List) Merge() List {
	type spot struct {
		code Code
		at   Range
	}
	if !l.repeats() {
		return l
	}
	first, more := map[spot]int{}, map[spot]int{}
	var out List
	for _, d := range l {
		s := spot{d.Code, d.Range}
		i, again := first[s]
		if !again || d.Range.Start == d.Range.End {
			first[s] = len(out)
			out = append(out, d)
			continue
		}
		if d.Message == out[i].Message {
			continue
		}
		if more[s]++; more[s] <= maxSame {
			out[i].Related = append(out[i].Related, Related{Message: "also: " + d.Message})
		}
	}
	for s, n := range more {
		if n > maxSame {
			d := &out[first[s]]
			d.Related = append(d.Related, Related{Message: fmt.Sprintf("and %d more like it", n-maxSame)})
		}
	}
	return out
}

// repeats says that a code may come twice at one place. What is sorted has such
// diagnostics side by side.
func (l List) repeats() bool {
	for i := 1; i < len(l); i++ {
		a, b := &l[i-1], &l[i]
		if Compare(a, b) > 0 || a.Code == b.Code && a.Range == b.Range {
			return true
		}
	}
	return false
}
