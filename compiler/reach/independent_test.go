package reach

import "testing"

// TestTwoReadingsOfOneFieldAreUnknown: what cannot be told apart is not guessed.
func TestTwoReadingsOfOneFieldAreUnknown(t *testing.T) {
	for _, pair := range [][2]Dim{
		{{Header, "cookie"}, {Cookie, "c"}},
		{{Header, "x-forwarded-proto"}, {Kind: Scheme}},
	} {
		a, b := Is(pair[0], Exactly("https")), Is(pair[1], Exactly("https"))
		if r, err := Overlap(a, b); !IsUnknown(err) || r != nil {
			t.Errorf("%v beside %v: %v, %v", a, b, r, err)
		}
		if r, err := Find(a); err != nil || r == nil {
			t.Errorf("%v alone: %v, %v", a, r, err)
		}
	}
}
