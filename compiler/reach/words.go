package reach

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/reach/diagram"
)

// String writes p in the words of the language: `(path prefix "/a" and not
// header "x" exact "1" and method GET)`.
func (p Pred) String() string {
	var parts []string
	c := p.what()
	for _, q := range c.of {
		parts = append(parts, q.String())
	}
	switch {
	case c.op == isIn:
		return c.dim.String() + " " + said(c.dim.Kind, c.text)
	case c.op == notOf && token(c.of[0]):
		of := c.of[0].what()
		return of.dim.String() + " is not " + of.text.value
	case c.op == notOf:
		return "not " + parts[0]
	case c.op == allOf && len(parts) == 0:
		return "every request"
	case c.op == anyOf && len(parts) == 0:
		return "no request"
	case c.op == allOf:
		return "(" + strings.Join(parts, " and ") + ")"
	}
	return "(" + strings.Join(parts, " or ") + ")"
}

// said is what a text says of a value. One method, port or scheme is called by
// its name alone: `GET`, not `exact "GET"`.
func said(k Kind, t Text) string {
	if kinds[k].token && t.shape == exactShape {
		return t.value
	}
	return t.String()
}

// token says that p asks for one method, port or scheme.
func token(p Pred) bool {
	c := p.what()
	return c.op == isIn && kinds[c.dim.Kind].token && c.text.shape == exactShape
}

// Words describes a set in up to most phrases of which any holds, such as
// `path prefix "/a" except exact "/a/b", header "x" present`. more is how many
// phrases were left out. It is for people: Witness and Holds are what counts.
func (s *Space) Words(set Set, most int) (phrases []string, more int) {
	if set.Full() {
		return []string{"every request"}, 0
	}
	w := &wording{space: s, most: most}
	w.walk(set.node, nil)
	return w.phrases, w.count - len(w.phrases)
}

// wording collects the ways through a diagram that end in True.
type wording struct {
	space   *Space
	most    int
	phrases []string
	count   int
}

// maxPhrases bounds how many ways are counted.
const maxPhrases = 1000

// walk follows n; conditions are what the way so far asks.
func (w *wording) walk(n diagram.Node, conditions []string) {
	if w.count >= maxPhrases {
		return
	}
	if value, constant := n.Constant(); constant {
		if value == 1 {
			w.count++
			if len(w.phrases) < w.most {
				w.phrases = append(w.phrases, strings.Join(conditions, ", "))
			}
		}
		return
	}
	variable, runs := w.space.store.Variable(n)
	axis := w.space.owner[variable]
	numbers := map[diagram.Node][]int{} // values by where they lead
	var order []diagram.Node
	begin := int32(0)
	for _, r := range runs {
		if numbers[r.To] == nil {
			order = append(order, r.To)
		}
		for v := begin; v < r.End; v++ {
			numbers[r.To] = append(numbers[r.To], int(v))
		}
		begin = r.End
	}
	for _, to := range order {
		if to != diagram.False {
			w.walk(to, append(slices.Clip(conditions), axis.words(variable-axis.first, numbers[to])...))
		}
	}
}

// words says that variable i of the axis has one of these values.
func (a *axis) words(i int, values []int) []string {
	if a.kind.repeated {
		text := a.describe([]int{i})
		if values[0] == 0 {
			return []string{"no " + a.dim.String() + " " + text}
		}
		return []string{a.dim.String() + " " + text}
	}
	absent := a.absence() == 1 && values[0] == 0
	classes := make([]int, 0, len(values))
	for _, v := range values {
		if class := v - a.absence(); class >= 0 {
			classes = append(classes, class)
		}
	}
	switch {
	case absent && len(classes) == 0:
		return []string{a.dim.String() + " absent"}
	case absent && len(classes) < len(a.classes):
		return []string{a.dim.String() + " absent or " + a.describe(classes)}
	case len(classes) == len(a.classes) && !absent:
		return []string{a.dim.String() + " present"}
	}
	return []string{a.dim.String() + " " + a.describe(classes)}
}

// describe says a set of classes by the texts that they were made of: one text,
// or one text without others, or several texts; failing that, by an example.
func (a *axis) describe(classes []int) string {
	within := a.members(classes)
	if t, ok := a.whole(within); ok {
		return t
	}
	var rest []int
	for i := range a.classes {
		if !slices.Contains(classes, i) {
			rest = append(rest, i)
		}
	}
	if t, ok := a.whole(a.members(rest)); ok {
		return a.not("not ", t)
	}
	if t, ok := a.except(classes); ok {
		return t
	}
	if t, ok := a.cover(classes); ok {
		return t
	}
	if t, ok := a.cover(rest); ok {
		return a.not("none of ", t)
	}
	liked := slices.MinFunc(classes, func(x, y int) int {
		return cmp.Compare(slices.Index(a.liked, x), slices.Index(a.liked, y))
	})
	return "such as " + strconv.Quote(a.classes[liked].Least)
}

// not negates what was said: `is not GET or HEAD` of names, else word and texts.
func (a *axis) not(word, said string) string {
	if a.kind.token && !strings.Contains(said, `"`) {
		return "is not " + said
	}
	return word + said
}

// members marks classes.
func (a *axis) members(classes []int) []bool {
	out := make([]bool, len(a.classes))
	for _, c := range classes {
		out[c] = true
	}
	return out
}

// holds says whether class c lies in text n.
func (a *axis) holds(n, c int) bool {
	_, found := slices.BinarySearch(a.classes[c].In, int32(n))
	return found
}

// whole finds a text that is exactly these classes.
func (a *axis) whole(within []bool) (string, bool) {
	for n, t := range a.texts {
		same := true
		for c := range a.classes {
			same = same && a.holds(n, c) == within[c]
		}
		if same {
			return said(a.dim.Kind, t), true
		}
	}
	return "", false
}

// except finds the smallest text around the classes, and texts that together
// are the rest of it.
func (a *axis) except(classes []int) (string, bool) {
	best, size := -1, len(a.classes)+1
	for n := range a.texts {
		around, count := true, 0
		for _, c := range classes {
			around = around && a.holds(n, c)
		}
		for c := range a.classes {
			if a.holds(n, c) {
				count++
			}
		}
		if around && count < size {
			best, size = n, count
		}
	}
	if best < 0 {
		return "", false
	}
	var rest []int
	for c := range a.classes {
		if a.holds(best, c) && !slices.Contains(classes, c) {
			rest = append(rest, c)
		}
	}
	exceptions, ok := a.cover(rest)
	return said(a.dim.Kind, a.texts[best]) + " except " + exceptions, ok
}

// cover finds few texts that together are exactly these classes.
func (a *axis) cover(classes []int) (string, bool) {
	const most = 4
	left, within := slices.Clone(classes), a.members(classes)
	var words []string
	for len(left) > 0 && len(words) < most {
		best, gain := -1, 0
		for n := range a.texts {
			inside, count := true, 0
			for c := range a.classes {
				inside = inside && (within[c] || !a.holds(n, c))
			}
			for _, c := range left {
				if a.holds(n, c) {
					count++
				}
			}
			if inside && count > gain {
				best, gain = n, count
			}
		}
		if best < 0 {
			return "", false
		}
		words = append(words, said(a.dim.Kind, a.texts[best]))
		left = slices.DeleteFunc(left, func(c int) bool { return a.holds(best, c) })
	}
	return strings.Join(words, " or "), len(left) == 0
}
