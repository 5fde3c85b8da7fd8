package alike

import (
	"math"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// place is what comparisons leave out.
type place struct {
	File string
	Line int
}

// piece has every kind of plain data, itself among them.
type piece struct {
	A     uint8
	B     bool
	C     uint16
	At    place
	D     int64
	E, F  uint32
	Name  string
	Ratio float64
	Half  float32
	When  time.Time
	List  []piece
	Plain []uint16
	Names []string
	Next  *piece
	Pair  [2]struct{ X, Y int16 }
	Words [2]string
	Tags  map[string]string
	Parts map[string]*piece
	inner struct {
		at place
		n  int8
	}
}

var (
	texts = rapid.SampledFrom([]string{"", "a", "b"})
	small = rapid.IntRange(0, 1)
	times = rapid.SampledFrom([]time.Time{{}, time.Unix(7, 0), time.Unix(7, 0).UTC()})
	real  = rapid.SampledFrom([]float64{0, math.Copysign(0, -1), 1, math.NaN()})
)

func draw(t *rapid.T, depth int, label string) piece {
	n := func(what string) int { return small.Draw(t, label+what) }
	p := piece{
		A: uint8(n("A")), B: n("B") == 1, C: uint16(n("C")), At: place{texts.Draw(t, label+"file"), n("line")}, D: int64(n("D")), E: uint32(n("E")), F: uint32(n("F")),
		Name: texts.Draw(t, label+"name"), Ratio: real.Draw(t, label+"ratio"), Half: float32(real.Draw(t, label+"half")), When: times.Draw(t, label+"when"),
		Plain: rapid.SliceOfN(rapid.Uint16Range(0, 1), 0, 2).Draw(t, label+"plain"), Names: rapid.SliceOfN(texts, 0, 2).Draw(t, label+"names"),
	}
	p.Pair[1].Y, p.Words[1] = int16(n("pair")), texts.Draw(t, label+"words")
	p.inner.at.Line, p.inner.n = n("inner line"), int8(n("inner"))
	if n("tags") == 1 {
		p.Tags = map[string]string{texts.Draw(t, label+"key"): texts.Draw(t, label+"value")}
	}
	if depth == 0 {
		return p
	}
	for range n("list") {
		p.List = append(p.List, draw(t, depth-1, label+"l"))
	}
	if n("next") == 1 {
		next := draw(t, depth-1, label+"n")
		p.Next = &next
	}
	if n("parts") == 1 {
		part := draw(t, depth-1, label+"p")
		p.Parts = map[string]*piece{texts.Draw(t, label+"part"): &part, "nothing": nil}
	}
	return p
}

// oracle compares by reflection alone.
func oracle(a, b reflect.Value) bool {
	if a.Type() == reflect.TypeFor[place]() {
		return true
	}
	switch a.Kind() {
	case reflect.Pointer:
		return a.Pointer() == b.Pointer() || !a.IsNil() && !b.IsNil() && oracle(a.Elem(), b.Elem())
	case reflect.Struct:
		if a.Type() == reflect.TypeFor[time.Time]() {
			return a.Interface() == b.Interface()
		}
		for i := range a.NumField() {
			if !oracle(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Slice, reflect.Array:
		if a.Len() != b.Len() || a.Kind() == reflect.Slice && a.Pointer() == b.Pointer() {
			return a.Len() == b.Len()
		}
		for i := range a.Len() {
			if !oracle(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	case reflect.Map:
		if a.Len() != b.Len() {
			return false
		}
		for _, k := range a.MapKeys() {
			if !b.MapIndex(k).IsValid() || !oracle(a.MapIndex(k), b.MapIndex(k)) {
				return false
			}
		}
		return true
	}
	return a.Equal(b)
}

func TestSameIsEqualityByReflection(t *testing.T) {
	c := Without[place]()
	equal := 0
	rapid.Check(t, func(t *rapid.T) {
		a := draw(t, 2, "")
		b := a
		if rapid.Bool().Draw(t, "another") {
			b = draw(t, 2, "b")
		} else if a.Next != nil {
			next := draw(t, 0, "b")
			b.Next = &next
			next.Next, next.List, next.Parts = a.Next.Next, a.Next.List, a.Next.Parts
		}
		want := oracle(reflect.ValueOf(&a).Elem(), reflect.ValueOf(&b).Elem())
		if got := Same(c, &a, &b); got != want {
			t.Fatalf("%v, want %v", got, want)
		}
		if want {
			equal++
		}
	})
	if equal == 0 {
		t.Error("no two of them were equal")
	}
}

// Each field counts by itself, wherever it stands among those that are compared
// at once.
func TestEveryFieldCounts(t *testing.T) {
	c := Without[place]()
	changes := map[string]func(*piece){
		"A": func(p *piece) { p.A = 1 }, "B": func(p *piece) { p.B = true }, "C": func(p *piece) { p.C = 1 << 8 }, "D": func(p *piece) { p.D = 1 << 60 },
		"E": func(p *piece) { p.E = 1 << 31 }, "F": func(p *piece) { p.F = 1 }, "Name": func(p *piece) { p.Name = "x" }, "Ratio": func(p *piece) { p.Ratio = 1 },
		"Half": func(p *piece) { p.Half = 1 }, "When": func(p *piece) { p.When = time.Unix(1, 0) }, "List": func(p *piece) { p.List = []piece{{}} },
		"Plain": func(p *piece) { p.Plain = []uint16{0} }, "Names": func(p *piece) { p.Names = []string{""} }, "Next": func(p *piece) { p.Next = &piece{} },
		"Pair": func(p *piece) { p.Pair[1].X = 1 }, "Words": func(p *piece) { p.Words[0] = "x" }, "Tags": func(p *piece) { p.Tags = map[string]string{"": ""} },
		"Parts": func(p *piece) { p.Parts = map[string]*piece{"": nil} }, "inner": func(p *piece) { p.inner.n = 1 },
	}
	for i := range reflect.TypeFor[piece]().NumField() {
		name := reflect.TypeFor[piece]().Field(i).Name
		change := changes[name]
		if change == nil {
			if name != "At" {
				t.Errorf("%s is not changed", name)
			}
			continue
		}
		var b piece
		if change(&b); Same(c, &piece{}, &b) {
			t.Errorf("%s does not count", name)
		}
	}
	if b := (piece{At: place{"f", 1}, List: []piece{}, Tags: map[string]string{}}); !Same(c, &piece{}, &b) {
		t.Error("a place counts, or what is empty")
	}
}

func TestWhatIsNoPlainDataPanics(t *testing.T) {
	c := Without[place]()
	for range 2 {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("an interface was compared")
				}
			}()
			a, b := struct{ X any }{1}, struct{ X any }{1}
			Same(c, &a, &b)
		}()
	}
}

func BenchmarkSame(b *testing.B) {
	c := Without[place]()
	made := func() *piece {
		p := &piece{Name: "a name", Names: []string{"x", "y"}, Tags: map[string]string{"app": "shop"}}
		for range 20 {
			p.List = append(p.List, piece{Name: "one of them", Plain: []uint16{8080}})
		}
		return p
	}
	x, y := made(), made()
	for b.Loop() {
		if !Same(c, x, y) {
			b.Fatal("they differ")
		}
	}
}
