package fix

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/load"
)

// gone is a file that does not parse, of which nothing is left in the copy.
type gone struct {
	file string
	text []byte
}

// general are labels of CUE and comprehensions, which speak of entries that they
// do not name: [string]: {...}, (name): {...}, for n in names.
var general = regexp.MustCompile(`[\])]\s*:|\bfor\b`)

// lacks says that d may come from what a file that is gone had to say: about the
// entry, which inherits from the directories above its own, or about what
// d says that there is none of.
func (b *beyond) lacks(d diag.Diagnostic, sources *load.Sources) bool {
	if len(b.gone) == 0 || slices.Contains(ofItself, d.Code) {
		return false
	}
	_, entry, _ := strings.Cut(sources.Entry(d.Range), " ")
	named := lastName(excerpt(sources.Text(d.Range.File), d.Range))
	return slices.ContainsFunc(b.gone, func(g gone) bool {
		if dir := path.Dir(g.file); dir == "." || strings.HasPrefix(d.Range.File, dir+"/") {
			if entry == "" || general.Match(g.text) || g.mentions(entry) {
				return true
			}
		}
		return slices.Contains(ofNames, d.Code) && g.mentions(named)
	})
}

// mentions says that a name stands in the text as a word.
func (g gone) mentions(name string) bool {
	return regexp.MustCompile(`(^|[^a-zA-Z0-9-])` + regexp.QuoteMeta(name) + `($|[^a-zA-Z0-9-])`).Match(g.text)
}

func excerpt(text []byte, at diag.Range) string {
	start, err := at.Start.Offset(text)
	if err != nil {
		return ""
	}
	end, err := at.End.Offset(text)
	if err != nil || end < start {
		return ""
	}
	return string(text[start:end])
}

// lastName gives the name in a reference such as "shop/reviews".
func lastName(reference string) string {
	reference = strings.Trim(reference, `"'`)
	return reference[strings.LastIndexByte(reference, '/')+1:]
}
