package reach

import (
	"slices"
	"testing"
)

func TestWords(t *testing.T) {
	path, method, header, cookie := Dim{Kind: Path}, Dim{Kind: Method}, Dim{Header, "x"}, Dim{Cookie, "c"}
	api, item := Is(path, Below("/api")), Is(path, Exactly("/api/item"))
	get := Is(method, Exactly("GET"))
	beta := Is(header, Exactly("beta"))
	for _, c := range []struct {
		what Pred
		want []string
	}{
		{Pred{}, []string{"every request"}},
		{Any(), nil},
		{api, []string{`path segmentPrefix "/api"`}},
		{Not(api), []string{`path not segmentPrefix "/api"`}},
		{All(api, Not(item)), []string{`path segmentPrefix "/api" except exact "/api/item"`}},
		{All(api, get), []string{`path segmentPrefix "/api", method exact "GET"`}},
		{All(get, beta), []string{`method exact "GET", header "x" exact "beta"`}},
		{Not(beta), []string{`no header "x" exact "beta"`}},
		{Absent(cookie), []string{`cookie "c" absent`}},
		{Not(Is(cookie, Exactly("1"))), []string{`cookie "c" absent or not exact "1"`}},
	} {
		s, err := New(DefaultLimits, api, item, get, beta, Is(cookie, Exactly("1")), c.what)
		if err != nil {
			t.Fatal(err)
		}
		set, err := s.Set(c.what)
		if err != nil {
			t.Fatal(err)
		}
		if got, more := s.Words(set, 5); !slices.Equal(got, c.want) || more != 0 {
			t.Errorf("%v: %q and %d more", c.what, got, more)
		}
	}
}
