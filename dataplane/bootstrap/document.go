package bootstrap

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	yaml "go.yaml.in/yaml/v3"
)

// maxNodes bounds a document after its aliases are followed.
const maxNodes = 1 << 20

// Error is a fault in a bootstrap file. Line and Column count from 1; they are
// 0 when the fault has no place.
type Error struct {
	File         string
	Line, Column int
	Path         string // of the field, in JSON notation; may be ""
	Reason       string
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
		if e.Column > 0 {
			fmt.Fprintf(&b, ":%d", e.Column)
		}
	}
	b.WriteString(": ")
	if e.Path != "" {
		b.WriteString(e.Path + ": ")
	}
	b.WriteString(e.Reason)
	return b.String()
}

// document is a parsed file that remembers where everything stands.
type document struct {
	file string
	root *yaml.Node
}

// parse reads YAML, of which JSON is a part.
func parse(file string, raw []byte) (*document, error) {
	d := &document{file: file}
	top := new(yaml.Node)
	decoder := yaml.NewDecoder(strings.NewReader(string(raw)))
	if err := decoder.Decode(top); err != nil {
		return nil, &Error{File: file, Reason: err.Error()}
	}
	if err := decoder.Decode(new(yaml.Node)); err == nil {
		return nil, &Error{File: file, Reason: "holds more than one document"}
	}
	d.root = top.Content[0]
	if d.root.Kind != yaml.MappingNode {
		return nil, d.fail(d.root, "", "a bootstrap is an object")
	}
	return d, nil
}

func (d *document) fail(at *yaml.Node, path, format string, args ...any) error {
	e := &Error{File: d.file, Path: path, Reason: fmt.Sprintf(format, args...)}
	if at != nil {
		e.Line, e.Column = at.Line, at.Column
	}
	return e
}

// deref follows an alias.
func deref(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// at finds the node of a path such as "a.b[0].c", or the deepest one on the
// way to it.
func (d *document) at(path string) *yaml.Node {
	n := d.root
	for _, step := range steps(path) {
		next := child(deref(n), step)
		if next == nil {
			return n
		}
		n = next
	}
	return n
}

func steps(path string) []string {
	path = strings.ReplaceAll(strings.ReplaceAll(path, "]", ""), "[", ".")
	var out []string
	for step := range strings.SplitSeq(path, ".") {
		if step != "" {
			out = append(out, strings.Trim(step, `"`))
		}
	}
	return out
}

func child(n *yaml.Node, step string) *yaml.Node {
	switch n.Kind {
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(step); err == nil && i < len(n.Content) {
			return n.Content[i]
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if key := n.Content[i].Value; key == step || key == camel(step) {
				return n.Content[i+1]
			}
		}
	}
	return nil
}

// camel gives the JSON name of a proto field.
func camel(snake string) string {
	words := strings.Split(snake, "_")
	for i := 1; i < len(words); i++ {
		if words[i] != "" {
			words[i] = strings.ToUpper(words[i][:1]) + words[i][1:]
		}
	}
	return strings.Join(words, "")
}

// toJSON writes a node as JSON. Numbers keep their spelling.
func toJSON(n *yaml.Node) ([]byte, error) {
	w := writer{left: maxNodes}
	if err := w.node(n); err != nil {
		return nil, err
	}
	return w.out, nil
}

type writer struct {
	out  []byte
	left int
}

func (w *writer) node(n *yaml.Node) error {
	if w.left--; w.left < 0 {
		return fmt.Errorf("more than %d values", maxNodes)
	}
	switch n.Kind {
	case yaml.AliasNode:
		return w.node(n.Alias)
	case yaml.MappingNode:
		return w.mapping(n)
	case yaml.SequenceNode:
		w.out = append(w.out, '[')
		for i, item := range n.Content {
			if i > 0 {
				w.out = append(w.out, ',')
			}
			if err := w.node(item); err != nil {
				return err
			}
		}
		w.out = append(w.out, ']')
		return nil
	}
	return w.scalar(n)
}

func (w *writer) mapping(n *yaml.Node) error {
	w.out = append(w.out, '{')
	for i := 0; i+1 < len(n.Content); i += 2 {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		key, err := json.Marshal(n.Content[i].Value)
		if err != nil {
			return err
		}
		w.out = append(append(w.out, key...), ':')
		if err := w.node(n.Content[i+1]); err != nil {
			return err
		}
	}
	w.out = append(w.out, '}')
	return nil
}

func (w *writer) scalar(n *yaml.Node) error {
	var value any
	if err := n.Decode(&value); err != nil {
		return err
	}
	switch value.(type) {
	case nil, bool, int, int64, uint64, float64, string:
	default:
		value = n.Value // timestamps and the like are strings in JSON
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return errors.New("value has no JSON form")
	}
	w.out = append(w.out, raw...)
	return nil
}
