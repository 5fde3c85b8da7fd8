package model

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// StatusRange is the statuses of HTTP from From to To, both included.
type StatusRange struct{ From, To uint16 }

// StatusRangeOf reads a status ("429") or a class of them ("5xx"); ok is false
// for anything else.
func StatusRangeOf(text string) (r StatusRange, ok bool) {
	if class, found := strings.CutSuffix(text, "xx"); found {
		n, err := strconv.ParseUint(class, 10, 16)
		return StatusRange{uint16(n) * 100, uint16(n)*100 + 99}, err == nil && n >= 1 && n <= 5
	}
	n, err := strconv.ParseUint(text, 10, 16)
	return StatusRange{uint16(n), uint16(n)}, err == nil && n >= 100 && n <= 599
}

// Holds says that the status is in the range.
func (r StatusRange) Holds(status uint16) bool { return r.From <= status && status <= r.To }

// String writes the range as the language does where it can: "429", "5xx",
// "500-504".
func (r StatusRange) String() string {
	switch {
	case r.From == r.To:
		return strconv.Itoa(int(r.From))
	case r.From%100 == 0 && r.To == r.From+99:
		return strconv.Itoa(int(r.From)/100) + "xx"
	}
	return fmt.Sprintf("%d-%d", r.From, r.To)
}

// StatusesText writes ranges, "" for none.
func StatusesText(list []StatusRange) string {
	var out []string
	for _, r := range list {
		out = append(out, r.String())
	}
	return strings.Join(out, ", ")
}

// StatusesOf reads what StatusesText wrote; ok is false for anything else.
func StatusesOf(text string) (list []StatusRange, ok bool) {
	for _, one := range strings.Split(text, ", ") {
		r, ok := StatusRangeOf(one)
		if from, to, found := strings.Cut(one, "-"); found {
			first, ok1 := StatusRangeOf(from)
			last, ok2 := StatusRangeOf(to)
			r, ok = StatusRange{first.From, last.To}, ok1 && ok2
		}
		if !ok {
			return nil, false
		}
		list = append(list, r)
	}
	return list, true
}

// CoversStatuses says that every status of some ranges is in all.
func CoversStatuses(all, some []StatusRange) bool {
	for _, r := range some {
		for status := r.From; status <= r.To; status++ {
			if !slices.ContainsFunc(all, func(a StatusRange) bool { return a.Holds(status) }) {
				return false
			}
		}
	}
	return true
}

// JoinedStatuses sorts ranges, and makes one of those that overlap.
func JoinedStatuses(list []StatusRange) []StatusRange {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b StatusRange) int { return int(a.From) - int(b.From) })
	var out []StatusRange
	for _, r := range list {
		if last := len(out) - 1; last >= 0 && r.From <= out[last].To {
			out[last].To = max(out[last].To, r.To)
			continue
		}
		out = append(out, r)
	}
	return out
}
