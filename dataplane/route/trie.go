package route

import "strings"

// trie is a radix tree of the texts of path rules: one walk down a path meets all
// that the path begins with.
type trie struct {
	nodes []node // the first is the root, if there are any
	fold  bool
}

type node struct {
	label  string // behind that of the parent
	branch string // the first bytes of the labels of its children …
	first  int32  // … which are the nodes from here on

	// What comes into question for a path that ends here, that goes on with '/', or
	// with another byte: where the list begins, 0 for nothing.
	end, segment, within int32
}

// build makes the tree of keys that are in ascending order. list stores places.
func (t *trie) build(keys []*keyed, list func(...[]int32) int32) {
	if len(keys) == 0 {
		return
	}
	t.nodes = append(t.nodes, node{})
	t.grow(0, keys, 0, list)
}

// grow makes the node at of keys, whose first depth bytes are known above it.
func (t *trie) grow(at int, keys []*keyed, depth int, list func(...[]int32) int32) {
	shared := sharedPrefix(keys[0].text[depth:], keys[len(keys)-1].text[depth:])
	n := node{label: keys[0].text[depth : depth+shared]}
	depth += shared
	if k := keys[0]; len(k.text) == depth { // ascending: no other ends here
		n.end, n.segment, n.within = list(k.exact, k.segment, k.prefix), list(k.segment, k.prefix), list(k.prefix)
		keys = keys[1:]
	}
	var groups [][]*keyed
	var branch []byte
	for len(keys) > 0 {
		b, size := keys[0].text[depth], 1
		for size < len(keys) && keys[size].text[depth] == b {
			size++
		}
		branch, groups, keys = append(branch, b), append(groups, keys[:size]), keys[size:]
	}
	n.branch, n.first = string(branch), int32(len(t.nodes))
	t.nodes[at] = n
	t.nodes = append(t.nodes, make([]node, len(groups))...)
	for i, group := range groups {
		t.grow(int(n.first)+i, group, depth, list)
	}
}

func sharedPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// collect adds the lists that come into question for a path.
func (t *trie) collect(path string, into *cursors) {
	if len(t.nodes) == 0 {
		return
	}
	n := &t.nodes[0]
	for {
		size := len(n.label)
		if len(path) < size || !t.same(path[:size], n.label) {
			return
		}
		if path = path[size:]; path == "" {
			into.add(n.end)
			return
		}
		next := path[0]
		if next == '/' {
			into.add(n.segment)
		} else {
			into.add(n.within)
		}
		if t.fold {
			next = lowerByte(next)
		}
		i := strings.IndexByte(n.branch, next)
		if i < 0 {
			return
		}
		n = &t.nodes[int(n.first)+i]
	}
}

func (t *trie) same(part, label string) bool {
	if t.fold {
		return equalFoldASCII(part, label)
	}
	return part == label
}
