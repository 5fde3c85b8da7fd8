package cors

import (
	"slices"
	"strings"
	"testing"

	corsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/route"
)

func decode(t *testing.T, text string) (*Policy, error) {
	t.Helper()
	p := new(corsv3.CorsPolicy)
	if err := protojson.Unmarshal([]byte(text), p); err != nil {
		t.Fatal(err)
	}
	return Decode(p)
}

// ask gives the verdict on a request, and what the response is to say.
func ask(entry *route.Entry, method string, fields ...string) (filter.Verdict, []string) {
	s := &filter.Stream{Request: &message.Request{Method: method, Target: "/"}, Route: entry}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		s.Request.Fields = append(s.Request.Fields, message.Field{Name: name, Value: value})
	}
	v := New("f").OnRequest(s)
	var out []string
	for _, f := range s.Set {
		out = append(out, f.Name+": "+f.Value)
	}
	return v, out
}

const whole = `{"allow_origin_string_match": [{"exact": "https://a.test"}, {"safe_regex": {"regex": "https://[b-c]\\.test"}}],
 "allow_methods": "GET,PUT", "allow_headers": "x-a", "expose_headers": "x-b", "max_age": "60", "allow_credentials": true}`

func TestAnswers(t *testing.T) {
	p, err := decode(t, whole)
	if err != nil {
		t.Fatal(err)
	}
	always := []string{"access-control-allow-credentials: true", "access-control-expose-headers: x-b"}
	own := &route.Entry{PerFilter: map[string]any{"f": p}}
	direct := &route.Entry{PerFilter: map[string]any{"f": p}}
	direct.Direct.Status = 301
	for _, c := range []struct {
		name   string
		entry  *route.Entry
		method string
		fields []string
		origin string // that is allowed; "" for none
		answer bool
	}{
		{"simple", own, "GET", []string{"origin: https://a.test"}, "https://a.test", false},
		{"expression", own, "GET", []string{"origin: https://c.test"}, "https://c.test", false},
		{"stranger", own, "GET", []string{"origin: https://a.test.evil"}, "", false},
		{"no origin", own, "GET", nil, "", false},
		{"two lines are one value", own, "GET", []string{"origin: https://a.test", "origin: https://a.test"}, "", false},
		{"preflight", own, "OPTIONS", []string{"origin: https://a.test", "access-control-request-method: PUT"}, "https://a.test", true},
		{"preflight of a stranger", own, "OPTIONS", []string{"origin: https://z.test", "access-control-request-method: PUT"}, "", false},
		{"OPTIONS", own, "OPTIONS", []string{"origin: https://a.test"}, "https://a.test", false},
		{"no policy", &route.Entry{PerFilter: map[string]any{"g": p}}, "GET", []string{"origin: https://a.test"}, "", false},
		{"no route", nil, "GET", []string{"origin: https://a.test"}, "", false},
		{"a route that answers", direct, "OPTIONS", []string{"origin: https://a.test", "access-control-request-method: PUT"}, "", false},
	} {
		var want []string
		if c.origin != "" {
			want = append([]string{"access-control-allow-origin: " + c.origin}, always...)
		}
		if c.answer {
			want = append(want, "access-control-allow-methods: GET,PUT", "access-control-allow-headers: x-a", "access-control-max-age: 60")
		}
		v, got := ask(c.entry, c.method, c.fields...)
		if !slices.Equal(got, want) {
			t.Errorf("%s: says %q, want %q", c.name, got, want)
		}
		if answered := v.Status == 200 && v.Bare && v.Details == "cors_response"; answered != c.answer || !c.answer && v.Status != 0 {
			t.Errorf("%s: verdict %+v", c.name, v)
		}
	}
}

func TestMatchersThatTakeTheStarTakeEverything(t *testing.T) {
	for _, m := range []string{`{"exact": "*"}`, `{"safe_regex": {"regex": "\\*|x"}}`, `{"suffix": "*"}`} {
		p, err := decode(t, `{"allow_origin_string_match": [`+m+`]}`)
		if err != nil {
			t.Fatal(err)
		}
		if _, got := ask(&route.Entry{PerFilter: map[string]any{"f": p}}, "GET", "origin: null"); !slices.Equal(got, []string{"access-control-allow-origin: null"}) {
			t.Errorf("%s says %q", m, got)
		}
	}
}

func TestEveryHeaderIsTheOnesAskedFor(t *testing.T) {
	p, err := decode(t, `{"allow_origin_string_match": [{"exact": "a"}], "allow_headers": "*"}`)
	if err != nil {
		t.Fatal(err)
	}
	for asked, want := range map[string]string{"": "access-control-allow-origin: a", "x-a, X-B": "access-control-allow-headers: x-a, X-B"} {
		_, got := ask(&route.Entry{PerFilter: map[string]any{"f": p}}, "OPTIONS", "origin: a", "access-control-request-method: PUT", "access-control-request-headers: "+asked)
		if len(got) == 0 || got[len(got)-1] != want {
			t.Errorf("asked for %q it says %q", asked, got)
		}
	}
}

func TestRefusals(t *testing.T) {
	for text, want := range map[string]string{
		`{}`: "needs an origin",
		`{"allow_origin_string_match": [{"exact": "a"}], "allow_methods": "*"}`: "allow_methods",
		`{"allow_origin_string_match": [{"safe_regex": {"regex": "("}}]}`:       "allow_origin_string_match[0]",
	} {
		if _, err := decode(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v", text, err)
		}
	}
}
