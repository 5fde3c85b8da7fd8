package kube

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"

	yaml "go.yaml.in/yaml/v3"
)

// maxSize bounds the text, in bytes.
const maxSize = 64 << 20

// document is one of a text.
type document struct {
	raw     []byte // with the marker before it
	marker  []byte // the line "---" before it, if there is nothing else on it
	root    *yaml.Node
	changed bool
	aliased bool // it has aliases, through which a change would reach other places
}

var marker = regexp.MustCompile(`(?m)^---(?:[ \t\r]|$)`)

// split finds the documents of a text.
func split(in []byte) ([]*document, error) {
	if len(in) > maxSize {
		return nil, fmt.Errorf("%d bytes, more than %d", len(in), maxSize)
	}
	starts := []int{0}
	for _, at := range marker.FindAllIndex(in, -1) {
		if at[0] > 0 {
			starts = append(starts, at[0])
		}
	}
	var out []*document
	line := 0
	for n, from := range starts {
		to := len(in)
		if n+1 < len(starts) {
			to = starts[n+1]
		}
		d, err := parse(in[from:to])
		if err != nil {
			return nil, fmt.Errorf("document %d, from line %d on: %w", n+1, line+1, err)
		}
		line += bytes.Count(d.raw, []byte("\n"))
		out = append(out, d)
	}
	return out, nil
}

var bare = regexp.MustCompile(`\A---[ \t]*(?:#[^\n]*)?\r?\n`)

func parse(raw []byte) (*document, error) {
	d := &document{raw: raw, marker: bare.Find(raw)}
	dec := yaml.NewDecoder(bytes.NewReader(raw))
	var doc yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return d, nil
	} else if err != nil {
		return nil, err
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is something behind its end")
	}
	d.root = &doc
	d.aliased = hasAlias(&doc)
	return d, nil
}

func hasAlias(n *yaml.Node) bool {
	if n.Kind == yaml.AliasNode {
		return true
	}
	for _, c := range n.Content {
		if hasAlias(c) {
			return true
		}
	}
	return false
}

// text is the document as it came, or written anew.
func (d *document) text() ([]byte, error) {
	if !d.changed {
		return d.raw, nil
	}
	if json.Valid(d.raw) {
		var v any
		if err := d.root.Decode(&v); err != nil {
			return nil, err
		}
		out, err := json.MarshalIndent(v, "", "  ")
		return append(out, '\n'), err
	}
	var out bytes.Buffer
	switch {
	case d.marker != nil:
		out.Write(d.marker)
	case bytes.HasPrefix(d.raw, []byte("---")):
		out.WriteString("---\n")
	}
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(d.root); err != nil {
		return nil, err
	}
	return out.Bytes(), enc.Close()
}
