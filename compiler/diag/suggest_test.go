package diag

import (
	"testing"

	"pgregory.net/rapid"
)

func TestEditDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"jsaon", "jason", 1}, {"ratingz", "ratings", 1}, {"conect-failure", "connect-failure", 1}, {"abc", "xyz", 3}, {"ca", "abc", 3}} {
		if got := EditDistance(c.a, c.b); got != c.want {
			t.Errorf("%q to %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
	word := rapid.StringOfN(rapid.RuneFrom([]rune("abc")), 0, 6, -1)
	rapid.Check(t, func(t *rapid.T) {
		a, b := word.Draw(t, "a"), word.Draw(t, "b")
		d := EditDistance(a, b)
		if d != EditDistance(b, a) || (d == 0) != (a == b) || d > max(len(a), len(b)) || d < len(a)-len(b) {
			t.Errorf("%q to %q: %d", a, b, d)
		}
	})
}

func TestMeant(t *testing.T) {
	for _, c := range []struct {
		of    func(string, []string) (string, bool)
		name  string
		known []string
		want  string
	}{
		{MeantName, "ratingz", []string{"ratings", "reviews"}, "ratings"},
		{MeantName, "api", []string{"app"}, ""},
		{MeantName, "v4", []string{"v1"}, ""},
		{MeantName, "checkout-v12", []string{"checkout-v11", "checkout-v13"}, ""}, // two are as near
		{MeantName, "canry", []string{"canary", "canary"}, "canary"},              // one name, said twice
		{MeantWord, "htp", []string{"http", "grpc"}, "http"},
		{MeantWord, "on", []string{"no"}, ""},
		{MeantWord, "same", []string{"same"}, ""},
		{MeantWord, "x", nil, ""},
	} {
		if got, ok := c.of(c.name, c.known); ok != (c.want != "") || ok && got != c.want {
			t.Errorf("%q: %q, %v; want %q", c.name, got, ok, c.want)
		}
	}
}
