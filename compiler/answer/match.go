package answer

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// Accepts says whether all conditions of m hold for r.
func Accepts(m *model.Match, r *Request) bool {
	return !slices.ContainsFunc(Conditions(m, r), func(c Condition) bool { return !c.Holds })
}

// Takes says whether a rule takes r: it is on the port, and has no match or one
// that accepts.
func Takes(rule *model.Route, port uint16, r *Request) bool {
	return slices.Contains(rule.Ports, port) && accepts(rule, r)
}

func accepts(rule *model.Route, r *Request) bool {
	return len(rule.Match) == 0 || slices.ContainsFunc(rule.Match, func(m model.Match) bool { return Accepts(&m, r) })
}

// Route gives the rule of s that takes r on r.Port, or nil.
func Route(s *model.Service, r *Request) *model.Route {
	for _, rule := range s.Routes {
		if Takes(rule, r.Port, r) {
			return rule
		}
	}
	return nil
}

// Condition is one condition of a match and whether it held.
type Condition struct {
	Text  string `json:"text"`
	Holds bool   `json:"holds"`
	Got   string `json:"got,omitempty"` // what the request has there
}

// Conditions evaluates every condition of m.
func Conditions(m *model.Match, r *Request) []Condition {
	var out []Condition
	for _, p := range m.Paths {
		out = append(out, Condition{
			Text: p.String(), Holds: reach.AcceptsPath(p, r.Path()), Got: r.Path(),
		})
	}
	if len(m.Methods) > 0 {
		out = append(out, Condition{
			Text: "method " + strings.Join(m.Methods, " or "), Holds: slices.Contains(m.Methods, r.Method), Got: r.Method,
		})
	}
	if len(m.NotMethods) > 0 {
		out = append(out, Condition{
			Text: "method is not " + strings.Join(m.NotMethods, " or "), Holds: !slices.Contains(m.NotMethods, r.Method), Got: r.Method,
		})
	}
	for _, c := range m.Headers {
		values := r.Header(c.Name)
		out = append(out, Condition{Text: "header " + c.String(), Holds: reach.AcceptsHeader(c, values), Got: quoteAll(values)})
	}
	out = append(out, named("query", m.Query, r.Query)...)
	out = append(out, named("cookie", m.Cookies, r.Cookie)...)
	for _, c := range m.Claims {
		values := r.claimsFor(c)
		out = append(out, Condition{Text: "claim " + c.String(), Holds: reach.AcceptsHeader(c, values), Got: quoteAll(values)})
	}
	return out
}

// quoteAll shows the values of a header.
func quoteAll(values []string) string {
	if len(values) == 0 {
		return "absent"
	}
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = strconv.Quote(v)
	}
	return strings.Join(quoted, " and ")
}

func named(kind string, conditions []model.NamedMatch, get func(string) (string, bool)) []Condition {
	var out []Condition
	for _, c := range conditions {
		value, present := get(c.Name)
		got := "absent"
		if present {
			got = fmt.Sprintf("%q", value)
		}
		out = append(out, Condition{
			Text: kind + " " + c.String(), Holds: reach.AcceptsValue(c, value, present), Got: got,
		})
	}
	return out
}
