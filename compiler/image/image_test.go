package image_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/image"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
)

type node struct {
	Name    string
	N       int8
	U       uint16
	F       float64
	On      bool
	When    time.Time
	At      diag.Range
	Next    *node
	List    []string
	Nodes   []node
	Points  []*node
	Map     map[string][]int
	Places  map[diag.Range]diag.Range
	Fixed   [2]int
	Nothing struct{}
	None    []struct{}
	Of      map[string]*node
	Net     netip.Prefix
	Addr    []netip.Addr
}

func place() diag.Range {
	return diag.Range{File: "a/b.cue", Start: diag.Pos{Line: 1, Col: 2}, End: diag.Pos{Line: 3, Col: 4}}
}

var values = []*node{
	{},
	{Name: "a", N: -128, U: math.MaxUint16, F: math.Inf(-1), On: true, When: time.Unix(5, 6).UTC(), At: place()},
	{When: time.Unix(-5, 6).In(time.FixedZone("", 3600)), Next: &node{Next: &node{Name: "a"}, On: true}},
	{List: []string{}, Nodes: []node{{}, {Name: "x"}}, Points: []*node{nil, {}, {Name: "x"}}, Fixed: [2]int{0, -1}},
	{Map: map[string][]int{}, Of: map[string]*node{"": nil, "x": {}}},
	{Map: map[string][]int{"k": {1}, "l": nil, "m": {}}, Places: map[diag.Range]diag.Range{place(): {}}, None: make([]struct{}, 3)},
	{Net: netip.MustParsePrefix("10.1.0.0/16"), Addr: []netip.Addr{{}, netip.MustParseAddr("::1%lo")}},
	{At: diag.Range{File: "x", Start: diag.Pos{Line: 9}, End: diag.Pos{Line: 1}}},
}

// read gives what an image of nodes holds.
func read(b []byte) ([]*node, error) {
	r := image.NewReader(b)
	var out []*node
	for range values {
		n := &node{}
		if err := r.Get(n); err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, r.End()
}

func written() []byte {
	var w image.Writer
	for _, v := range values {
		w.Add(v)
	}
	return w.Bytes()
}

func TestWhatIsReadIsWhatWasWritten(t *testing.T) {
	got, err := read(written())
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, values) {
		t.Error(cmp.Diff(values, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })))
	}
}

// Every type that a mesh is made of can be written.
func TestMeshesArePlain(t *testing.T) {
	var w image.Writer
	w.Add(&intent.Mesh{})
	w.Add(&model.Mesh{})
	w.Add(&diag.List{{}})
}

func TestWhatIsNoDataIsRefused(t *testing.T) {
	for _, v := range []any{new(func()), new(chan int), new(any), new(struct{ t int }), new(error)} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%T has an image", v)
				}
			}()
			new(image.Writer).Add(v)
		}()
	}
}

// A value that holds itself has no end.
func TestDepthIsBounded(t *testing.T) {
	round := &node{}
	round.Next = round
	defer func() {
		if recover() == nil {
			t.Error("an endless value has an image")
		}
	}()
	new(image.Writer).Add(round)
}

func TestWhatIsCutShortIsDamaged(t *testing.T) {
	whole := written()
	for n := range len(whole) {
		if _, err := read(whole[:n]); !errors.Is(err, image.ErrDamaged) {
			t.Errorf("the first %d bytes: %v", n, err)
		}
	}
	if _, err := read(append(whole, 0)); !errors.Is(err, image.ErrDamaged) {
		t.Errorf("a byte more: %v", err)
	}
}

// Bytes that were changed are read as other values or refused; they neither
// crash nor make up more than they are.
func TestDamageIsSurvived(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	whole := written()
	for range 20_000 {
		b := append([]byte{}, whole...)
		for range 1 + dice.IntN(3) {
			b[dice.IntN(len(b))] = byte(dice.IntN(256))
		}
		_, _ = read(b)
	}
}

func FuzzReader(f *testing.F) {
	f.Add(written())
	f.Add([]byte{})
	f.Add([]byte{0, 1, 200, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := read(b); err != nil && !errors.Is(err, image.ErrDamaged) {
			t.Error(err)
		}
		_ = image.NewReader(b).Get(&intent.Mesh{})
		_ = image.NewReader(b).Get(&model.Mesh{})
	})
}
