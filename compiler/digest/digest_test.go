package digest_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/digest"
)

type node struct {
	Name  string
	Text  string
	N     int
	Small uint8
	F     float64
	On    bool
	When  time.Time
	Next  *node
	List  []string
	Nodes []node
	Map   map[string][]int
	Fixed [2]int
	own   int
}

func TestEqualValuesHaveOneDigest(t *testing.T) {
	make := func() *node {
		return &node{Name: "a", When: time.Unix(5, 6).UTC(), Next: &node{Name: "b"}, List: []string{"x", "y"}, Map: map[string][]int{"k": {1}, "l": nil, "m": {}}}
	}
	want := digest.Of(make(), 1)
	for range 50 {
		if digest.Of(make(), 1) != want {
			t.Fatal("the digest of one value is another one")
		}
	}
	elsewhere := make()
	elsewhere.When = elsewhere.When.In(time.FixedZone("x", 3600))
	if digest.Of(elsewhere, 1) != want {
		t.Error("a time zone changes the moment")
	}
}

// Whatever is different is told apart, also where the parts joined are equal.
func TestDifferentValuesHaveTwo(t *testing.T) {
	values := map[string][]any{
		"zero":        {node{}},
		"pointer":     {&node{}},
		"nothing":     {},
		"nil":         {nil},
		"nil pointer": {(*node)(nil)},
		"two":         {node{}, node{}},
		"name":        {node{Name: "ab"}},
		"text":        {node{Name: "a", Text: "b"}},
		"text only":   {node{Text: "ab"}},
		"n":           {node{N: 1}},
		"n < 0":       {node{N: -1}},
		"small":       {node{Small: 1}},
		"f":           {node{F: 1}},
		"on":          {node{On: true}},
		"when":        {node{When: time.Unix(1, 0)}},
		"later":       {node{When: time.Unix(1, 1)}},
		"next":        {node{Next: &node{}}},
		"next next":   {node{Next: &node{Next: &node{}}}},
		"empty list":  {node{List: []string{}}},
		"list":        {node{List: []string{""}}},
		"list ab":     {node{List: []string{"ab"}}},
		"list a, b":   {node{List: []string{"a", "b"}}},
		"nodes":       {node{Nodes: []node{{}}}},
		"map":         {node{Map: map[string][]int{}}},
		"map nil":     {node{Map: map[string][]int{"k": nil}}},
		"map empty":   {node{Map: map[string][]int{"k": {}}}},
		"map other":   {node{Map: map[string][]int{"l": {}}}},
		"fixed":       {node{Fixed: [2]int{0, 1}}},
		"own":         {node{own: 1}},
		"a string":    {"ab"},
		"strings":     {"a", "b"},
		"an int":      {1},
		"an int64":    {int64(1)},
	}
	seen := map[digest.Sum]string{}
	for name, v := range values {
		sum := digest.Of(v...)
		if other, ok := seen[sum]; ok {
			t.Errorf("%s and %s have one digest", name, other)
		}
		seen[sum] = name
	}
}

func TestWhatIsNoDataIsRefused(t *testing.T) {
	for _, v := range []any{func() {}, make(chan int), struct{ X any }{}, struct{ t time.Time }{}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s has a digest", reflect.TypeOf(v))
				}
			}()
			digest.Of(v)
		}()
	}
}
