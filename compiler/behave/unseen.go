package behave

import (
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// unseen is a header that rules of a service look at, with a value that one of
// them takes and one that it does not.
type unseen struct {
	name        string
	taken, left *string // nil for no such value
}

// unseenOf are the headers that rules of a service look at.
func (c *comparison) unseenOf(s *model.Service) []unseen {
	known, ok := c.unseen[s]
	if ok || s == nil {
		return known
	}
	for _, m := range lookedAt(s) {
		if strings.HasPrefix(m.Name, ":") {
			continue
		}
		is := reach.OfNamed(reach.Header, m)
		known = append(known, unseen{m.Name, sampleHeader(m.Name, is), sampleHeader(m.Name, reach.Not(is))})
	}
	if c.unseen == nil {
		c.unseen = map[*model.Service][]unseen{}
	}
	c.unseen[s] = known
	return known
}

// withUnseen are requests like q with headers that rules of a service look at and q
// does not have: one of each kind that a rule takes and of each that it does not,
// alone and together. Where a route changes headers, the space knows nothing of what
// such rules ask for.
func withUnseen(headers []unseen, q *reach.Request) []*reach.Request {
	if len(headers) == 0 {
		return nil
	}
	taken, left := map[string]string{}, map[string]string{}
	var out []*reach.Request
	add := func(to map[string]string, name string, value *string) {
		if value != nil {
			to[name] = *value
			out = append(out, withHeaders(q, map[string]string{name: *value}))
		}
	}
	for _, h := range headers {
		if slices.ContainsFunc(q.Fields(), func(f model.Header) bool { return f.Name == h.name }) {
			continue
		}
		add(taken, h.name, h.taken)
		add(left, h.name, h.left)
	}
	return append(out, withHeaders(q, taken), withHeaders(q, left))
}

// lookedAt are the conditions on headers of rules that judge what arrives.
func lookedAt(s *model.Service) []model.NamedMatch {
	var matches []model.Match
	rules := slices.Concat(s.Allow, s.Deny)
	if a := s.Authorizer; a.Some() {
		rules = slices.Concat(rules, a.On, a.Except)
	}
	for i := range rules {
		matches = append(matches, rules[i].Matches()...)
	}
	for i := range s.RateLimits {
		matches = append(matches, s.RateLimits[i].Match...)
	}
	var out []model.NamedMatch
	for _, m := range matches {
		for _, c := range m.Headers {
			if !slices.Contains(out, c) {
				out = append(out, c)
			}
		}
	}
	return out
}

// sampleHeader is the least value of a header for which a condition holds; nil
// for none.
func sampleHeader(name string, when reach.Pred) *string {
	when = reach.All(when, reach.OfNamed(reach.Header, model.NamedMatch{Name: name, Kind: model.Present}))
	space, err := reach.New(reach.DefaultLimits, when)
	if err != nil {
		return nil
	}
	set, err := space.Set(when)
	if err != nil || set.Empty() {
		return nil
	}
	for _, h := range space.Witness(set).Headers {
		if h.Name == name {
			return &h.Value
		}
	}
	return nil
}

func withHeaders(q *reach.Request, values map[string]string) *reach.Request {
	out := *q
	out.Headers = slices.Clone(q.Headers)
	for _, name := range sortedKeys(values) {
		out.Headers = append(out.Headers, model.Header{Name: name, Value: values[name]})
	}
	return &out
}
