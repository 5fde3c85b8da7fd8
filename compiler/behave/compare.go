package behave

import (
	"errors"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// Difference between two versions of one service.
type Difference struct {
	// Regions is the number of pairs of outcomes that were compared; together
	// they are all requests.
	Regions int
	Changes []Change // none: no request is treated differently
}

// Change is the requests that had one outcome and have another.
type Change struct {
	Before, After Outcome
	Witness       *reach.Request // the least of them
	Words         []string       // any of which describes some of them
	More          int            // descriptions that were left out
}

// maxWords bounds the descriptions of one change.
const maxWords = 4

// Services compares what two versions of a service do; nil is a service that
// does not exist. An error is a reach.Unknown, after which nothing is known.
func Services(before, after *model.Service) (*Difference, error) {
	if err := errors.Join(rewritten(before), rewritten(after)); err != nil {
		return nil, err
	}
	c := comparison{numbers: map[string]int{}}
	otherwise := c.number(Outcome{Verdict: Refused})
	old, now := service(before), service(after)
	var all []reach.Pred
	for _, r := range append(old[:len(old):len(old)], now...) {
		all = append(all, r.when)
	}
	var err error
	if c.space, err = reach.New(reach.DefaultLimits, all...); err != nil {
		return nil, err
	}
	f, err := c.function(old, otherwise)
	if err != nil {
		return nil, err
	}
	g, err := c.function(now, otherwise)
	if err != nil {
		return nil, err
	}
	regions, err := c.space.Compare(f, g)
	if err != nil {
		return nil, err
	}
	host := ""
	for _, s := range []*model.Service{before, after} {
		if s != nil {
			host = s.Host
		}
	}
	return c.difference(regions, host), nil
}

// comparison numbers the outcomes of both sides, so that equal ones are one.
type comparison struct {
	space    *reach.Space
	outcomes []Outcome
	numbers  map[string]int
}

func (c *comparison) number(o Outcome) int {
	key := o.key()
	n, ok := c.numbers[key]
	if !ok {
		n = len(c.outcomes)
		c.numbers[key] = n
		c.outcomes = append(c.outcomes, o)
	}
	return n
}

func (c *comparison) function(rules []rule, otherwise int) (reach.Function, error) {
	var table []reach.Rule
	for _, r := range rules {
		set, err := c.space.Set(r.when)
		if err != nil {
			return reach.Function{}, err
		}
		table = append(table, reach.Rule{When: set, Then: c.number(r.then)})
	}
	return c.space.FirstMatch(table, otherwise)
}

func (c *comparison) difference(regions []reach.Region, host string) *Difference {
	out := &Difference{Regions: len(regions)}
	for _, r := range regions {
		if r.Before == r.After {
			continue
		}
		change := Change{Before: c.outcomes[r.Before], After: c.outcomes[r.After], Witness: c.space.Witness(r.Set)}
		if change.Witness.Host == "" {
			change.Witness.Host = host
		}
		change.Words, change.More = c.space.Words(r.Set, maxWords)
		out.Changes = append(out.Changes, change)
	}
	return out
}
