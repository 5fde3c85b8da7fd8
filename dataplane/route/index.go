package route

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/meshc/meshc/dataplane/message"
)

// pathIndex finds the first of many routes that takes a request, without trying
// them all: by path it knows the few that come into question, in ascending lists,
// and tries them in the order of the table. What it cannot look up, such as
// expressions, is in a list of its own, all of which comes into question.
type pathIndex struct {
	lists  []int32 // of places in the table; each ends with none
	plain  trie
	folded trie  // of paths that are matched without regard to case
	rest   int32 // where the list of what is in no trie begins
}

// none is behind all places of a table, and ends a list.
const none = math.MaxInt32

// fewRoutes are tried one after the other: an index does not find them sooner.
const fewRoutes = 8

// maxNested bounds how many keys of a trie may be prefixes of a path: so many lists
// are looked at for a request. Deeper keys are no keys, but tried like the rest.
const maxNested = 8

// cursors are the lists that come into question for a request.
type cursors struct {
	at [2*maxNested + 1]int32
	n  int
}

func (c *cursors) add(list int32) {
	if list != 0 {
		c.at[c.n] = list
		c.n++
	}
}

// first gives the entry of the first of routes that takes the request, or nil.
func (x *pathIndex) first(routes []*Route, path string, req *message.Request, random uint64) *Entry {
	var c cursors
	c.add(x.rest)
	x.plain.collect(path, &c)
	if x.folded.nodes != nil {
		x.folded.collect(path, &c)
	}
	for {
		place, of := int32(none), 0
		for i := range c.n {
			if p := x.lists[c.at[i]]; p < place {
				place, of = p, i
			}
		}
		if place == none {
			return nil
		}
		c.at[of]++
		// The path of a route that was looked up is right.
		r := routes[place]
		if (of > 0 || x.rest == 0 || r.path.takes(path)) && (r.Matches == nil || r.Matches(req, random)) {
			return r.Entry
		}
	}
}

// keyed are the places of the routes whose path rule has one text.
type keyed struct {
	text                   string
	exact, prefix, segment []int32
}

// indexPaths gives the index of routes, or nil where it would be of no use.
func indexPaths(routes []*Route) *pathIndex {
	if len(routes) <= fewRoutes {
		return nil
	}
	plain, folded := map[string]*keyed{}, map[string]*keyed{}
	var rest []int32
	for i, r := range routes {
		place, into := int32(i), plain
		if r.path.fold {
			into = folded
		}
		if r.path.kind == anyPath || r.path.kind == otherPath {
			rest = append(rest, place)
			continue
		}
		k := into[r.path.text]
		if k == nil {
			k = &keyed{text: r.path.text}
			into[r.path.text] = k
		}
		k.add(r.path.kind, place)
	}
	x := &pathIndex{lists: []int32{none}}
	plainKeys, plainRest := shallow(plain)
	foldedKeys, foldedRest := shallow(folded)
	rest = slices.Concat(rest, plainRest, foldedRest)
	if len(routes)-len(rest) <= fewRoutes {
		return nil
	}
	x.plain.build(plainKeys, x.list)
	x.folded.build(foldedKeys, x.list)
	x.folded.fold = true
	x.rest = x.list(rest)
	return x
}

func (k *keyed) add(kind pathKind, place int32) {
	switch kind {
	case exactPath:
		k.exact = append(k.exact, place)
	case prefixPath:
		k.prefix = append(k.prefix, place)
	case segmentPath:
		k.segment = append(k.segment, place)
	}
}

// list stores places and gives where they begin; 0: there are none.
func (x *pathIndex) list(places ...[]int32) int32 {
	all := slices.Concat(places...)
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	at := int32(len(x.lists))
	x.lists = append(append(x.lists, all...), none)
	return at
}

// shallow gives the keys in ascending order, but for those that have maxNested
// prefixes among them: their places are the rest.
func shallow(keys map[string]*keyed) (sorted []*keyed, rest []int32) {
	var all []*keyed
	for _, k := range keys {
		all = append(all, k)
	}
	slices.SortFunc(all, func(a, b *keyed) int { return cmp.Compare(a.text, b.text) })
	var around []string // the key before, and its prefixes
	for _, k := range all {
		for len(around) > 0 && !strings.HasPrefix(k.text, around[len(around)-1]) {
			around = around[:len(around)-1]
		}
		if len(around) == maxNested {
			rest = append(append(append(rest, k.exact...), k.prefix...), k.segment...)
			continue
		}
		around = append(around, k.text)
		sorted = append(sorted, k)
	}
	return sorted, rest
}
