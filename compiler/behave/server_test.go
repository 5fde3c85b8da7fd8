package behave

import (
	"testing"

	"github.com/meshc/meshc/compiler/model"
)

// A server that may be of one alias more is recognised by less.
func TestServerClass(t *testing.T) {
	id := "spiffe://new.example/ns/shop/sa/cart"
	as := func(id string, aliases ...string) *Outcome {
		return &Outcome{Verdict: Served, Server: id, Aliases: aliases}
	}
	for _, c := range []struct {
		before, after *Outcome
		want          Class
	}{
		{as(id), as(id, "a"), Weaken}, {as(id, "a"), as(id), Harden},
		{as(id, "a"), as(id, "a", "b"), Weaken}, {as(id, "a", "b"), as(id, "a"), Harden},
		{as(id, "a", "b"), as(id, "b"), Harden}, {as(id, "b"), as(id, "a", "b"), Weaken},
		{as(id, "a"), as(id, "b"), Weaken}, // which it was not recognised by
		{as(id), as(""), Weaken}, {as(""), as(id), Harden}, {as(""), as(id, "a"), Harden},
		{as(id), as(id + "s"), Restart}, {as("spiffe://old.example/ns/shop/sa/cart"), as(id, "old.example"), Restart},
	} {
		got := deltas(c.before, c.after)
		if len(got) != 1 || got[0].Class != c.want || got[0].Name != "server identity" {
			t.Errorf("%q, then %q: %v, want one of %s", c.before.Server, c.after.Server, got, c.want)
			continue
		}
		if was, is := model.IdentityText(c.before.Server, c.before.Aliases), model.IdentityText(c.after.Server, c.after.Aliases); got[0].Before != was || got[0].After != is {
			t.Errorf("shown as %q, then %q; want %q, then %q", got[0].Before, got[0].After, was, is)
		}
	}
}
