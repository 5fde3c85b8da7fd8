package load

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/token"
	"go.yaml.in/yaml/v3"

	"github.com/meshc/meshc/compiler/diag"
)

// Bounds on what one YAML file may ask for.
const (
	maxAliasNodes = 50_000 // nodes that aliases expand to
	maxYAMLDepth  = 500    // of mappings and sequences in each other
)

// yamlReader turns one YAML file into the CUE that it means. It does not use
// CUE's own reader, which merges duplicate keys, takes 010 for 8, and counts
// columns in characters where CUE and diagnostics count bytes.
type yamlReader struct {
	data    *dataFile
	lines   []int              // where the lines of YAML begin
	columns map[int][]int      // of lines that are not ASCII: where characters begin
	ends    map[*yaml.Node]int // of collections
	aliases int                // nodes that aliases have expanded to
	inAlias int
	depth   int
	open    map[*yaml.Node]bool // anchors being expanded
}

func newYAMLReader(d *dataFile) *yamlReader {
	return &yamlReader{
		data: d, lines: yamlLines(d.src), columns: map[int][]int{}, ends: map[*yaml.Node]int{}, open: map[*yaml.Node]bool{},
	}
}

// readYAML reads every document of a file.
func readYAML(f file) *dataFile {
	d := newDataFile(f)
	r := newYAMLReader(d)
	dec := yaml.NewDecoder(bytes.NewReader(f.Data))
	for {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return d
		}
		if err != nil {
			r.syntax(err)
			return d
		}
		if len(doc.Content) == 1 {
			d.document(r.value(doc.Content[0]))
		}
	}
}

// yamlLine is how the parser says where it gave up.
var yamlLine = regexp.MustCompile(`^line ([0-9]{1,9}): `)

// syntax reports what the parser says, at the beginning of its line.
func (r *yamlReader) syntax(err error) {
	text, at := strings.TrimPrefix(err.Error(), "yaml: "), diag.Range{File: r.data.name}
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		line, _ := strconv.Atoi(m[1]) // digits, by the expression
		offset := r.column(min(line, len(r.lines))-1, 0)
		text, at = text[len(m[0]):], r.data.span(offset, offset)
	}
	r.data.diags.Add(diag.New(diag.Syntax, at, "%s", text))
}

// yamlLines finds where lines begin, with all that YAML takes for a break.
func yamlLines(src []byte) []int {
	lines := []int{0}
	for i := 0; i < len(src); i++ {
		switch {
		case src[i] == '\r' && i+1 < len(src) && src[i+1] == '\n':
			i++
		case src[i] == '\n' || src[i] == '\r':
		case bytes.HasPrefix(src[i:], []byte("\u0085")):
			i++
		case bytes.HasPrefix(src[i:], []byte("\u2028")), bytes.HasPrefix(src[i:], []byte("\u2029")):
			i += 2
		default:
			continue
		}
		lines = append(lines, i+1)
	}
	return lines
}

// offset gives the byte at which a node begins, behind its anchor and tag.
func (r *yamlReader) offset(n *yaml.Node) int {
	src := r.data.src
	at := r.column(n.Line-1, n.Column-1)
	if n.Kind == yaml.AliasNode {
		return at
	}
	for at < len(src) && (src[at] == '&' || src[at] == '!') {
		for at < len(src) && !bytes.ContainsRune([]byte(" \t\r\n"), rune(src[at])) {
			at++
		}
		at = skipBlank(src, at)
	}
	return at
}

// column gives the byte of a character of a line, both counted from 0.
func (r *yamlReader) column(line, col int) int {
	src := r.data.src
	if line < 0 || line >= len(r.lines) {
		return len(src)
	}
	starts, ok := r.columns[line]
	if !ok {
		starts = wideColumns(src, r.lines, line)
		r.columns[line] = starts
	}
	switch {
	case starts == nil:
		return min(r.lines[line]+col, len(src))
	case col >= len(starts):
		return starts[len(starts)-1]
	}
	return starts[col]
}

// wideColumns lists where the characters of a line begin; nil when each is one
// byte.
func wideColumns(src []byte, lines []int, line int) []int {
	start, end := lines[line], len(src)
	if line+1 < len(lines) {
		end = lines[line+1]
	}
	if !bytes.ContainsFunc(src[start:end], func(c rune) bool { return c >= utf8.RuneSelf }) {
		return nil
	}
	var out []int
	for at := start; at < end; {
		out = append(out, at)
		_, n := utf8.DecodeRune(src[at:])
		at += n
	}
	return append(out, end)
}

// skipBlank passes white space and comments.
func skipBlank(src []byte, at int) int {
	for at < len(src) {
		switch src[at] {
		case ' ', '\t', '\r', '\n':
			at++
		case '#':
			for at < len(src) && src[at] != '\n' {
				at++
			}
		default:
			return at
		}
	}
	return at
}

// end gives the byte behind a node.
func (r *yamlReader) end(n *yaml.Node) int {
	at := r.offset(n)
	switch n.Kind {
	case yaml.AliasNode:
		return min(at+1+len(n.Value), len(r.data.src))
	case yaml.ScalarNode:
		return scalarEnd(r.data.src, at, n)
	}
	end, ok := r.ends[n]
	if !ok {
		end = r.collectionEnd(n, at)
		r.ends[n] = end
	}
	return end
}

// collectionEnd gives the byte behind what a mapping or sequence holds, or
// behind its bracket.
func (r *yamlReader) collectionEnd(n *yaml.Node, at int) int {
	src := r.data.src
	if n.Style&yaml.FlowStyle != 0 {
		at++ // the opening bracket
	}
	for _, c := range n.Content {
		at = max(at, r.end(c))
	}
	if n.Style&yaml.FlowStyle == 0 {
		return min(at, len(src))
	}
	for at = skipBlank(src, at); at < len(src) && src[at] == ','; at = skipBlank(src, at) {
		at++
	}
	return min(at+1, len(src))
}

// scalarEnd gives the byte behind a scalar. Of a block scalar, and of a plain
// one that goes over several lines, it gives the end of the first line.
func scalarEnd(src []byte, at int, n *yaml.Node) int {
	switch {
	case n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0:
		return quotedEnd(src, at)
	case bytes.HasPrefix(src[at:], []byte(n.Value)) && n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0:
		return at + len(n.Value)
	}
	line, _, _ := bytes.Cut(src[at:], []byte("\n"))
	return at + len(bytes.TrimRight(line, " \t\r"))
}

// quotedEnd gives the byte behind a text in quotes, of YAML or JSON.
func quotedEnd(src []byte, at int) int {
	if at >= len(src) {
		return at
	}
	quote := src[at]
	for i := at + 1; i < len(src); i++ {
		switch {
		case quote == '"' && src[i] == '\\':
			i++
		case src[i] == quote && quote == '\'' && i+1 < len(src) && src[i+1] == quote:
			i++
		case src[i] == quote:
			return i + 1
		}
	}
	return len(src)
}

// value reads one node; nil when it is refused, and then has its diagnostic.
func (r *yamlReader) value(n *yaml.Node) ast.Expr {
	if r.inAlias > 0 {
		r.aliases++
	}
	if r.depth++; r.depth > maxYAMLDepth {
		r.refuse(diag.DataTooLarge, n, "YAML is nested more than %d deep", maxYAMLDepth)
		r.depth--
		return nil
	}
	defer func() { r.depth-- }()
	switch n.Kind {
	case yaml.MappingNode:
		return r.mapping(n)
	case yaml.SequenceNode:
		return r.sequence(n)
	case yaml.AliasNode:
		return r.alias(n)
	}
	return r.scalar(n)
}

func (r *yamlReader) refuse(code diag.Code, n *yaml.Node, format string, args ...any) {
	r.data.refuse(code, r.offset(n), r.end(n), format, args...)
}

func (r *yamlReader) mapping(n *yaml.Node) ast.Expr {
	if !r.plainTag(n, "!!map") {
		return nil
	}
	s := &ast.StructLit{Lbrace: r.data.pos(r.offset(n))}
	r.data.mark(s, r.offset(n), r.end(n))
	for i := 0; i+1 < len(n.Content); i += 2 {
		label := r.label(n.Content[i])
		value := r.value(n.Content[i+1])
		if r.aliases > maxAliasNodes {
			return nil
		}
		if label != nil && value != nil {
			s.Elts = append(s.Elts, &ast.Field{Label: label, Value: value})
		}
	}
	s.Rbrace = r.data.pos(max(r.offset(n), r.end(n)-1))
	return s
}

// label reads a key. A key is text, whatever it looks like.
func (r *yamlReader) label(n *yaml.Node) ast.Label {
	switch {
	case n.Kind == yaml.ScalarNode && n.Value == "<<" && n.ShortTag() == "!!merge":
		r.refuse(diag.YAMLRefused, n, "the merge key \"<<\" is not supported")
		return nil
	case n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null" || n.Style&yaml.TaggedStyle != 0:
		r.refuse(diag.YAMLRefused, n, "a key is plain text")
		return nil
	case n.Style&quoted == 0 && oddNumber.MatchString(n.Value):
		r.ambiguous(n)
		return nil
	}
	label := ast.NewStringLabel(n.Value)
	at := r.offset(n)
	ast.SetPos(label, r.data.pos(at))
	r.data.mark(label, at, r.end(n))
	return label
}

func (r *yamlReader) sequence(n *yaml.Node) ast.Expr {
	if !r.plainTag(n, "!!seq") {
		return nil
	}
	l := &ast.ListLit{Lbrack: r.data.pos(r.offset(n))}
	r.data.mark(l, r.offset(n), r.end(n))
	for _, c := range n.Content {
		e := r.value(c)
		if r.aliases > maxAliasNodes {
			return nil
		}
		if e != nil {
			l.Elts = append(l.Elts, e)
		}
	}
	l.Rbrack = r.data.pos(max(r.offset(n), r.end(n)-1))
	return l
}

// alias expands *name. What lies inside keeps the place of its anchor, where
// it was written; the whole has the place of the alias.
func (r *yamlReader) alias(n *yaml.Node) ast.Expr {
	if r.open[n.Alias] {
		r.refuse(diag.DataTooLarge, n, "the anchor %q holds itself", n.Value)
		return nil
	}
	r.open[n.Alias] = true
	r.inAlias++
	e := r.value(n.Alias)
	r.inAlias--
	delete(r.open, n.Alias)
	if r.aliases > maxAliasNodes {
		if r.inAlias == 0 {
			r.refuse(diag.DataTooLarge, n, "aliases expand to more than %d values", maxAliasNodes)
		}
		return nil
	}
	if e != nil {
		r.data.mark(e, r.offset(n), r.end(n))
	}
	return e
}

// plainTag says that a collection has no tag, or the usual one.
func (r *yamlReader) plainTag(n *yaml.Node, usual string) bool {
	if n.ShortTag() == usual {
		return true
	}
	r.refuse(diag.YAMLRefused, n, "the tag %s is not supported", n.Tag)
	return false
}

// quoted are the styles of scalars that are text beyond doubt.
const quoted = yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle

// Plain scalars that YAML 1.1 and 1.2 read differently. Which of them a tool
// follows is chance, so a mesh writes quotes, or the number in full.
var (
	oddWord   = regexp.MustCompile(`^([yY]|yes|Yes|YES|[nN]|no|No|NO|on|On|ON|off|Off|OFF)$`)
	oddNumber = regexp.MustCompile(`^[-+]?(0[0-9_]+|0o[0-7_]+|0b[01_]+|0x[0-9a-fA-F]*_[0-9a-fA-F_]*|` +
		`[0-9][0-9.]*_[0-9._]*([eE][-+]?[0-9]+)?|[1-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?)$`)
)

func (r *yamlReader) ambiguous(n *yaml.Node) {
	at := r.offset(n)
	d := r.data.refuse(diag.AmbiguousYAML, at, r.end(n), "%s means one thing in YAML 1.1 and another in YAML 1.2", n.Value)
	switch {
	case oddWord.MatchString(n.Value):
		d.Why = "YAML 1.1 reads it as true or false, YAML 1.2 as text"
		d.Help = fmt.Sprintf("write %q for the text, or true or false", n.Value)
	case strings.Contains(n.Value, ":"):
		d.Why = "YAML 1.1 reads it as a number to the base 60, YAML 1.2 as text"
		d.Help = fmt.Sprintf("write %q for the text", n.Value)
	default:
		d.Why = "YAML 1.1 knows other forms of numbers than YAML 1.2"
		d.Help = fmt.Sprintf("write the number in decimal digits, or %q for the text", n.Value)
	}
}

func (r *yamlReader) scalar(n *yaml.Node) ast.Expr {
	if n.Style&(quoted|yaml.TaggedStyle) == 0 && (oddWord.MatchString(n.Value) || oddNumber.MatchString(n.Value)) {
		r.ambiguous(n)
		return nil
	}
	var e ast.Expr
	switch n.ShortTag() {
	case "!!str", "!!timestamp":
		e = &ast.BasicLit{Kind: token.STRING, Value: literal.String.Quote(n.Value)}
	case "!!bool":
		e = ast.NewBool(strings.EqualFold(n.Value, "true"))
	case "!!null":
		e = ast.NewNull()
	case "!!int", "!!float":
		e = numberLit(n.Value)
	}
	if e == nil {
		r.refuse(diag.YAMLRefused, n, "%s of the type %s is not supported", shorten(n.Value), n.ShortTag())
		return nil
	}
	at := r.offset(n)
	ast.SetPos(e, r.data.pos(at))
	if u, ok := e.(*ast.UnaryExpr); ok {
		ast.SetPos(u.X, r.data.pos(min(at+1, len(r.data.src))))
	}
	r.data.mark(e, at, r.end(n))
	return e
}

// numberLit gives a number of CUE; nil for what is none, such as .inf.
func numberLit(text string) ast.Expr {
	digits, negative := strings.CutPrefix(text, "-")
	digits = strings.TrimPrefix(digits, "+")
	var info literal.NumInfo
	if literal.ParseNum(digits, &info) != nil {
		return nil
	}
	kind := token.FLOAT
	if info.IsInt() {
		kind = token.INT
	}
	var e ast.Expr = &ast.BasicLit{Kind: kind, Value: digits}
	if negative {
		e = &ast.UnaryExpr{Op: token.SUB, X: e}
	}
	return e
}

// isYAML says that a file is read as YAML.
func isYAML(name string) bool { return path.Ext(name) == ".yaml" || path.Ext(name) == ".yml" }

func isJSON(name string) bool { return path.Ext(name) == ".json" }
