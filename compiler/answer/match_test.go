package answer_test

import (
	"testing"

	"github.com/meshc/meshc/compiler/answer"
	"github.com/meshc/meshc/compiler/model"
)

func request(target string, headers ...model.Header) *answer.Request {
	return &answer.Request{Method: "GET", Host: "reviews", Port: 80, Target: target, Headers: headers}
}

func header(kind model.MatchKind, value string) model.Match {
	return model.Match{Headers: []model.NamedMatch{{Name: "x", Kind: kind, Value: value}}}
}

func not(m model.Match) model.Match {
	m.Headers[0].Not = true
	return m
}

func query(kind model.MatchKind, value string) model.Match {
	return model.Match{Query: []model.NamedMatch{{Name: "q", Kind: kind, Value: value}}}
}

func cookie(kind model.MatchKind, value string) model.Match {
	return model.Match{Cookies: []model.NamedMatch{{Name: "c", Kind: kind, Value: value}}}
}

func path(kind model.MatchKind, value string) model.Match {
	return model.Match{Paths: []model.PathMatch{{Kind: kind, Value: value}}}
}

func TestConditionsMeanWhatTheyMeanToEnvoy(t *testing.T) {
	x := func(v string) model.Header { return model.Header{Name: "X", Value: v} }
	jar := func(v string) model.Header { return model.Header{Name: "Cookie", Value: v} }
	for name, c := range map[string]struct {
		match model.Match
		req   *answer.Request
		want  bool
	}{
		"the path ends before the query":                {path(model.Exact, "/a"), request("/a?x=1"), true},
		"a prefix is a prefix of the text":              {path(model.Prefix, "/a"), request("/ab"), true},
		"a segment prefix ends at a segment":            {path(model.SegmentPrefix, "/a"), request("/ab"), false},
		"a segment prefix takes itself":                 {path(model.SegmentPrefix, "/a"), request("/a?b"), true},
		"a segment prefix takes what is below":          {path(model.SegmentPrefix, "/a"), request("/a/b"), true},
		"a path regex matches in full":                  {path(model.Regex, "/a"), request("/ab"), false},
		"a path regex does not see the query":           {path(model.Regex, "/a"), request("/a?b=1"), true},
		"paths are compared as sent":                    {path(model.Exact, "/a b"), request("/a%20b"), false},
		"header names have no case":                     {header(model.Exact, "1"), request("/", x("1")), true},
		"several values are not joined":                 {header(model.Exact, "1,2"), request("/", x("1"), x("2")), false},
		"any of several values is enough":               {header(model.Exact, "2"), request("/", x("1"), x("2")), true},
		"a negated condition looks at every value":      {not(header(model.Exact, "2")), request("/", x("1"), x("2")), false},
		"an empty header is present":                    {header(model.Present, ""), request("/", x("")), true},
		"a missing header is absent":                    {header(model.Absent, ""), request("/"), true},
		"a missing header meets no positive condition":  {header(model.Regex, ".*"), request("/"), false},
		"a missing header meets a negated condition":    {not(header(model.Exact, "1")), request("/"), true},
		"a negated condition excludes the value":        {not(header(model.Exact, "1")), request("/", x("1")), false},
		"the first of two query values counts":          {query(model.Exact, "1"), request("/?q=1&q=2"), true},
		"the second of two query values does not count": {query(model.Exact, "2"), request("/?q=1&q=2"), false},
		"a key without value is present and empty":      {query(model.Exact, ""), request("/?a&q"), true},
		"query keys have case":                          {query(model.Present, ""), request("/?Q=1"), false},
		"query values are compared as sent":             {query(model.Exact, "a b"), request("/?q=a%20b"), false},
		"a query value may hold an equals sign":         {query(model.Exact, "a=b"), request("/?q=a=b"), true},
		"an absent key is absent":                       {query(model.Absent, ""), request("/?p=1"), true},
		"a cookie among others":                         {cookie(model.Exact, "1"), request("/", jar("a=0; c=1; d=2")), true},
		"the first of two cookies counts":               {cookie(model.Exact, "1"), request("/", jar("c=1; c=2")), true},
		"a cookie of a second header":                   {cookie(model.Exact, "1"), request("/", jar("a=0"), jar("c=1")), true},
		"quotes around a cookie are dropped":            {cookie(model.Exact, "1"), request("/", jar(`c="1"`)), true},
		"a part without equals sign is no cookie":       {cookie(model.Present, ""), request("/", jar("c; d=1")), false},
		"cookie names have case":                        {cookie(model.Present, ""), request("/", jar("C=1")), false},
		"methods are any of":                            {model.Match{Methods: []string{"GET", "HEAD"}}, request("/"), true},
		"another method":                                {model.Match{Methods: []string{"POST"}}, request("/"), false},
		"no condition holds for everything":             {model.Match{}, request("/"), true},
	} {
		if got := answer.Accepts(&c.match, c.req); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
