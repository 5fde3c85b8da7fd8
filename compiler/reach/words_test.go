package reach

import (
	"slices"
	"testing"
)

func TestWords(t *testing.T) {
	path, method, header, cookie := Dim{Kind: Path}, Dim{Kind: Method}, Dim{Header, "x"}, Dim{Cookie, "c"}
	api, item := Is(path, Below("/api")), Is(path, Exactly("/api/item"))
	get, head := Is(method, Exactly("GET")), Is(method, Exactly("HEAD"))
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
		{All(api, get), []string{`path segmentPrefix "/api", method GET`}},
		{All(get, beta), []string{`method GET, header "x" exact "beta"`}},
		{Not(get), []string{`method is not GET`}},
		{Any(get, head), []string{`method GET or HEAD`}},
		{Not(Any(get, head)), []string{`method is not GET or HEAD`}},
		{All(Is(method, Matching("[GP].*")), Not(get)), []string{`method regex "[GP].*" except GET`}},
		{Not(beta), []string{`no header "x" exact "beta"`}},
		{Absent(cookie), []string{`cookie "c" absent`}},
		{Not(Is(cookie, Exactly("1"))), []string{`cookie "c" absent or not exact "1"`}},
	} {
		s, err := New(DefaultLimits, api, item, get, head, beta, Is(cookie, Exactly("1")), c.what)
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

func TestPredicatesInWords(t *testing.T) {
	method, header := Dim{Kind: Method}, Dim{Header, "x"}
	get := Is(method, Exactly("GET"))
	for want, p := range map[string]Pred{
		`method GET`:                      get,
		`method is not GET`:               Not(get),
		`(method GET or method HEAD)`:     OfMethods([]string{"GET", "HEAD"}),
		`not (method GET or method HEAD)`: Not(OfMethods([]string{"GET", "HEAD"})),
		`not method prefix "G"`:           Not(Is(method, BeginsWith("G"))),
		`(port 80 and scheme https)`:      All(OfPorts([]uint16{80}), Is(Dim{Kind: Scheme}, Exactly("https"))),
		`not header "x" exact "1"`:        Not(Is(header, Exactly("1"))),
	} {
		if got := p.String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
