package load

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"slices"

	"cuelang.org/go/cue/literal"
	"go.yaml.in/yaml/v3"

	"github.com/meshc/meshc/compiler/diag"
)

// yamlOutline is what stands where in a file of YAML, found in the text itself:
// also where a value is refused and gives no CUE.
type yamlOutline struct {
	src     *source
	reader  *yamlReader
	members []*member
	aliased bool // a part of it counts in several places
	scalars map[diag.Pos]yamlScalar
	depth   int
}

// yamlScalar is a key, or a value.
type yamlScalar struct {
	node *yaml.Node
	row  *yamlRow // of a key: the mapping; nil for a value
}

// yamlRow is a mapping or a sequence.
type yamlRow struct {
	node  *yaml.Node
	parts []*member
	keys  []string // of a mapping
	taken map[*member]bool
}

func (r *yamlRow) isFlow() bool { return r.node.Style&yaml.FlowStyle != 0 }

// yamlDocuments parses every document of a file.
func yamlDocuments(data []byte) ([]*yaml.Node, error) {
	var docs []*yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(data))
	for {
		doc := &yaml.Node{}
		switch err := dec.Decode(doc); {
		case errors.Is(err, io.EOF):
			return docs, nil
		case err != nil:
			return docs, err
		}
		if len(doc.Content) == 1 {
			docs = append(docs, doc.Content[0])
		}
	}
}

// outlineYAML finds the members of every document.
func (s *source) outlineYAML() {
	docs, err := yamlDocuments(s.data)
	if err != nil {
		s.err = err
		return
	}
	s.yaml = &yamlOutline{src: s, reader: newYAMLReader(newDataFile(file{Path: s.name, Data: s.data})), scalars: map[diag.Pos]yamlScalar{}}
	for _, doc := range docs {
		s.yaml.below(doc, nil, s.yaml.documentEnd(doc))
	}
}

// begin gives the byte of a node, with its anchor and its tag.
func (o *yamlOutline) begin(n *yaml.Node) int { return o.reader.column(n.Line-1, n.Column-1) }

// documentMark ends a document, wherever it stands (YAML 1.2 section 9.1.2).
var documentMark = regexp.MustCompile(`(?m)^(---|\.\.\.)([ \t\r]|$)`)

func (o *yamlOutline) documentEnd(n *yaml.Node) int {
	start := o.begin(n)
	if at := documentMark.FindIndex(o.src.data[start:]); at != nil {
		return start + at[0]
	}
	return len(o.src.data)
}

// below notes the parts of a node that ends before a byte.
func (o *yamlOutline) below(n *yaml.Node, around *member, end int) {
	if o.depth++; o.depth > maxYAMLDepth {
		o.depth--
		return
	}
	defer func() { o.depth-- }()
	row := &yamlRow{node: n, taken: map[*member]bool{}}
	switch n.Kind {
	case yaml.ScalarNode:
		o.scalar(n, nil)
		return
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			row.keys = append(row.keys, n.Content[i].Value)
			row.parts = append(row.parts, &member{row: row, around: around, depth: 1, name: n.Content[i].Value, start: o.begin(n.Content[i])})
			o.scalar(n.Content[i], row)
		}
	case yaml.SequenceNode:
		for _, c := range n.Content {
			row.parts = append(row.parts, &member{row: row, around: around, start: o.element(row, c)})
		}
	default:
		o.aliased = true
		return
	}
	if row.isFlow() {
		end = min(end, max(o.reader.end(n)-1, 0))
	}
	for i, m := range row.parts {
		m.end = end
		if i+1 < len(row.parts) {
			m.end = row.parts[i+1].start
		}
		o.members = append(o.members, m)
		if m.isField() {
			if around != nil {
				m.depth = around.depth + 1
			}
			o.below(n.Content[2*i+1], m, m.end)
		} else {
			o.below(n.Content[i], around, m.end)
		}
	}
}

func (o *yamlOutline) scalar(n *yaml.Node, row *yamlRow) {
	if n.Kind == yaml.ScalarNode {
		o.scalars[o.place(n).Start] = yamlScalar{n, row}
	}
}

// place of a node, as diagnostics have it.
func (o *yamlOutline) place(n *yaml.Node) diag.Range {
	return o.reader.data.span(o.reader.offset(n), o.reader.end(n))
}

// element gives the byte at which an element begins: that of its dash, in a
// sequence that has some. Between the two stand blanks and comments only.
func (o *yamlOutline) element(row *yamlRow, n *yaml.Node) int {
	at := o.begin(n)
	if row.isFlow() {
		return at
	}
	for line := n.Line - 1; line >= row.node.Line-1; line-- {
		dash := o.reader.column(line, row.node.Column-1)
		head := o.src.data[o.reader.lines[line]:dash]
		if dash < at && o.src.data[dash] == '-' && !bytes.ContainsRune(head, '#') {
			return dash
		}
	}
	return at
}

// without gives the edit that takes a part out of its row. What is left of a row
// of which all parts go is an empty one: nothing at all would be null.
func (o *yamlOutline) without(m *member) (diag.Edit, bool) {
	start, end := m.start, m.end
	text := ""
	if m.row.isFlow() {
		head := o.src.data[start:end]
		if comma := bytes.LastIndexByte(head, ','); comma >= 0 && len(bytes.TrimSpace(head[comma+1:])) == 0 {
			end = start + comma + 1
		} else {
			end = start + len(bytes.TrimRight(head, " \t\r\n"))
		}
	} else {
		m.row.taken[m] = true
		end = start + len(bytes.TrimRight(o.src.data[start:end], " \t\r\n"))
		if len(m.row.taken) == len(m.row.parts) {
			text = " {}" // the blank makes it deeper than the field that it belongs to
			if !m.isField() {
				text = " []"
			}
		}
	}
	e := replace(o.src.placeOfBytes(o.src.name, start, end), text)
	after, err := diag.Apply(o.src.data, []diag.Edit{e})
	return e, err == nil && (len(m.row.taken) > 1 || Parses(o.src.name, after) == nil)
}

// plainName is a key that needs no quotes.
var plainName = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9]*$`)

// resolve gives an edit that writes another name or another value.
func (o *yamlOutline) resolve(e diag.Edit) (diag.Edit, error) {
	if e.Op == diag.Replace {
		return e, nil
	}
	there, ok := o.scalars[e.Range.Start]
	if !ok || o.place(there.node) != e.Range || there.node.Style&(yaml.LiteralStyle|yaml.FoldedStyle|yaml.TaggedStyle) != 0 {
		return e, errNotThere
	}
	isKey := there.row != nil
	switch {
	case e.Op == diag.SetText && !isKey && there.node.Value == e.Old:
		return replace(e.Range, literal.String.Quote(e.New)), nil
	case e.Op == diag.SetLiteral && !isKey:
		return replace(e.Range, e.New), nil
	case e.Op == diag.Rename && isKey && there.node.Value == e.Old && !slices.Contains(there.row.keys, e.New):
		if plainName.MatchString(e.New) {
			return replace(e.Range, e.New), nil
		}
		return replace(e.Range, literal.String.Quote(e.New)), nil
	}
	return e, errNotThere
}
