package reach

import "testing"

// A space knows of its coordinates whether they are there, and of a condition that
// it was not made for it says nothing.
func TestSpaceSaysNothingOfOtherConditions(t *testing.T) {
	cookie, other := Dim{Cookie, "c"}, Dim{Cookie, "d"}
	a, b := Is(cookie, Exactly("a")), Is(cookie, BeginsWith("b"))
	s, err := New(DefaultLimits, a, b, Is(Dim{Header, "x"}, Exactly("a")))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []Dim{cookie, {Header, "x"}} {
		absent, err := s.Set(Absent(d))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			values []string
			want   bool
		}{{nil, true}, {[]string{"a"}, false}, {[]string{"c"}, false}, {[]string{""}, false}} {
			r := &Request{Scheme: "http", Method: "GET", Path: "/"}
			for _, v := range c.values {
				r.give(d, v)
			}
			if got, ok := s.Holds(absent, r); got != c.want || !ok {
				t.Errorf("%s absent of %q: %v, %v", d, c.values, got, ok)
			}
		}
	}
	for _, p := range []Pred{Is(cookie, Exactly("c")), Not(Is(other, Exactly("a"))), All(a, Present(other))} {
		if set, err := s.Set(p); err == nil {
			t.Errorf("%v is %v", p, set)
		}
	}
}
