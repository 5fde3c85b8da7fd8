package check

import (
	"fmt"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
)

// hashSizes judges the sizes of what hashing policies choose from.
func (t *traffic) hashSizes(b *intent.Balance, policy model.BalancePolicy, owner string) {
	if r := b.Ring; r != nil {
		if policy != model.RingHash {
			t.report(diag.BalanceUnused, r.At, "%s: %s has no ring", owner, policy).Help = "write `policy: \"ringHash\"`, or leave `ring` out"
		}
		most := model.DefaultRingMax
		if r.Max != nil {
			most = r.Max.V
		}
		if r.Min != nil && r.Min.V > most {
			t.report(diag.WrongValue, r.Min.At, "%s: the least size of the ring, %d, is over the most, %d", owner, r.Min.V, most)
		}
	}
	if b.Table == nil {
		return
	}
	if policy != model.Maglev {
		t.report(diag.BalanceUnused, b.Table.At, "%s: %s has no table", owner, policy).Help = "write `policy: \"maglev\"`, or leave `table` out"
	}
	if !prime(b.Table.V) {
		t.report(diag.WrongValue, b.Table.At, "%s: the size of the table is a prime, which %d is not", owner, b.Table.V).
			Help = fmt.Sprintf("the next prime is %d", nextPrime(b.Table.V))
	}
}

// prime divides by all numbers up to the root; tables have at most 5,000,011
// entries.
func prime(n int) bool {
	for d := 2; d*d <= n; d++ {
		if n%d == 0 {
			return false
		}
	}
	return n > 1
}

func nextPrime(n int) int {
	for !prime(n) {
		n++
	}
	return n
}

// hashingPolicy is the policy of b when it chooses by hash, or nil.
func hashingPolicy(b *intent.Traffic) *intent.Value[string] {
	if b == nil || b.Balance == nil || b.Balance.Policy == nil || !model.BalancePolicy(b.Balance.Policy.V).Hashes() {
		return nil
	}
	return b.Balance.Policy
}

// hashing holds the keys of routes and the policies of the versions that they
// lead to against each other.
func (t *traffic) hashing(s *intent.Service) {
	policies := map[string]*intent.Value[string]{}
	for _, v := range s.Versions {
		policies[v.Name.V] = hashingPolicy(t.scope.VersionTraffic(s, v))
	}
	for _, r := range s.Routes {
		t.routeHashing(s, r, policies)
	}
	if len(s.Routes) > 0 {
		return
	}
	for _, v := range s.Versions {
		if p := policies[v.Name.V]; p != nil {
			t.once(diag.HashMissing, p.At, "the default route of service %q has no `hash` that %s could choose by", s.Name.V, p.V)
		}
	}
}

func (t *traffic) routeHashing(s *intent.Service, r *intent.Route, policies map[string]*intent.Value[string]) {
	hashed := false
	for _, w := range r.To {
		p := policies[w.Version.V]
		hashed = hashed || p != nil
		if p != nil && len(r.Hash) == 0 && r.Sticky == nil {
			t.once(diag.HashMissing, p.At, "route %q of service %q has no `hash` that %s could choose by, so it chooses at random", r.Name.V, s.Name.V, p.V).
				related(r.Name.At, "the route").help("write `hash` on the route")
		}
	}
	if len(r.Hash) > 0 && !hashed {
		t.report(diag.HashUnused, r.Hash[0].At, "route %q leads to no version that is balanced by ringHash or maglev, so its `hash` chooses nothing", r.Name.V)
	}
}

// hashKeys judges each key by itself.
func (t *traffic) hashKeys(r *intent.Route) {
	t.keyTwice(r.Hash)
	for _, k := range r.Hash {
		written := 0
		for _, name := range []*intent.Value[string]{k.Header, k.Cookie, k.Query} {
			if name == nil {
				continue
			}
			written++
			if name.V == "" {
				t.report(diag.WrongValue, name.At, "route %q: a key without a name", r.Name.V)
			}
		}
		if k.SourceIP != nil {
			written++
			if !k.SourceIP.V {
				t.report(diag.WrongValue, k.SourceIP.At, "route %q: a key that is turned off", r.Name.V).Help = "leave it out"
			}
		}
		if written != 1 {
			d := t.report(diag.NotExactlyOne, k.At, "route %q: a key is exactly one of header, cookie, query and sourceIP", r.Name.V)
			relateArms(d, where(k.Header), where(k.Cookie), where(k.Query), where(k.SourceIP))
		}
		if k.Header != nil && k.Header.V != "" {
			t.header(k.Header, r)
		}
	}
}

// keyTwice compares what keys look at: one that comes again, terminal or not, tells
// no requests apart that the first one does not.
func (t *traffic) keyTwice(keys []*intent.HashKey) {
	var entries []intent.Value[string]
	for _, k := range keys {
		said := ""
		switch {
		case k.Header != nil:
			said = "header: " + strings.ToLower(k.Header.V)
		case k.Cookie != nil:
			said = "cookie: " + k.Cookie.V
		case k.Query != nil:
			said = "query: " + k.Query.V
		case k.SourceIP != nil:
			said = "sourceIP"
		}
		entries = append(entries, intent.Value[string]{V: said, At: k.At})
	}
	t.listedTwice("`hash`", entries, same)
}

func (t *traffic) header(name *intent.Value[string], r *intent.Route) {
	if why := unusableHeader(strings.ToLower(name.V)); why != "" {
		t.report(diag.BadHeader, name.At, "route %q: requests cannot be told apart by header %q: %s", r.Name.V, name.V, why)
	}
}
