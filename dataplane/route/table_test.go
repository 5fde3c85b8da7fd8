package route

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/meshc/meshc/dataplane/message"
)

func hosts(domains ...string) []*VirtualHost {
	var out []*VirtualHost
	for _, d := range domains {
		out = append(out, &VirtualHost{Name: d, Domains: []string{d}, Routes: []*Route{{Entry: &Entry{Name: d}}}})
	}
	return out
}

func TestVirtualHostSelection(t *testing.T) {
	list := hosts("a.example.com", "*.example.com", "*.b.example.com", "a.*", "a.b.*", "*", "h:8080", "UPPER.example.org", "*-x.test")
	table, err := NewTable("t", list)
	if err != nil {
		t.Fatal(err)
	}
	byHand := &Table{VirtualHosts: list}
	for authority, want := range map[string]string{
		"a.example.com":      "a.example.com",
		"A.Example.COM":      "a.example.com",
		"x.example.com":      "*.example.com",
		"x.b.example.com":    "*.b.example.com",
		".example.com":       "*",
		"a.example.com:80":   "a.*",
		"a.b.c":              "a.b.*",
		"a.":                 "*",
		"h:8080":             "h:8080",
		"h":                  "*",
		"upper.example.org":  "UPPER.example.org",
		"foo-x.test":         "*-x.test",
		"-x.test":            "*",
		"":                   "*",
		"other":              "*",
		"X.B.EXAMPLE.COM":    "*.b.example.com",
		"a.example.com.evil": "a.*",
	} {
		for _, tb := range []*Table{table, byHand} {
			if got := tb.VirtualHost(authority); got == nil || got.Name != want {
				t.Errorf("VirtualHost(%q) = %v, want %s", authority, got, want)
			}
		}
	}
}

func TestNoVirtualHostIsNoRoute(t *testing.T) {
	table, err := NewTable("t", hosts("a"))
	if err != nil {
		t.Fatal(err)
	}
	if e := table.Route(&message.Request{Authority: "b", Target: "/"}, 0); e != nil {
		t.Errorf("got %v", e)
	}
}

func TestPortIsIgnoredWhenAsked(t *testing.T) {
	table, err := NewTable("t", hosts("a", "[::1]"))
	if err != nil {
		t.Fatal(err)
	}
	table.IgnorePort = true
	for authority, want := range map[string]string{"a:80": "a", "a": "a", "[::1]:80": "[::1]", "[::1]": "[::1]"} {
		if got := table.VirtualHost(authority); got == nil || got.Name != want {
			t.Errorf("VirtualHost(%q) = %v, want %s", authority, got, want)
		}
	}
	if table.VirtualHost("a:x") != nil {
		t.Error("a:x has no port")
	}
}

func TestDomainClaimedTwiceIsRefused(t *testing.T) {
	if _, err := NewTable("t", hosts("a.com", "A.com")); err == nil {
		t.Error("want an error")
	}
	if _, err := NewTable("t", hosts("*", "*")); err == nil {
		t.Error("want an error")
	}
}

func TestPathIsNormalisedBeforeRouting(t *testing.T) {
	admin := &Entry{Name: "admin"}
	table := &Table{NormalizePath: true, RejectEscapedSlashes: true, VirtualHosts: []*VirtualHost{{
		Domains: []string{"*"},
		Routes:  []*Route{{Entry: admin, Matches: func(r *message.Request, _ uint64) bool { return PathOf(r) == "/admin" }}},
	}}}
	req := &message.Request{Target: "/public/../%61dmin?x=/.."}
	if got := table.Route(req, 0); got != admin || req.Target != "/admin?x=/.." {
		t.Errorf("got %v, target %q", got, req.Target)
	}
	for _, target := range []string{"/public%2f..%2fadmin", "nopath"} {
		if got := table.Route(&message.Request{Target: target}, 0); got != BadPath {
			t.Errorf("%q: got %v", target, got)
		}
	}
}

func TestPickFollowsTheRunningSum(t *testing.T) {
	e := &Entry{Clusters: []WeightedCluster{{Name: "a", Weight: 3}, {Name: "zero"}, {Name: "b", Weight: 1}}, Total: 4}
	got := ""
	for i := range uint64(8) {
		got += e.Pick(i).Name
	}
	if got != "aaabaaab" {
		t.Errorf("got %s", got)
	}
}

func TestMutationsRunLevelByLevel(t *testing.T) {
	m := HeaderMutations{
		Remove: []string{"gone"},
		Mutate: []HeaderMutation{
			{Name: "set", Value: "route", Action: OverwriteIfExistsOrAdd},
			{Name: "only-if", Value: "no", Action: OverwriteIfExists},
			{Name: "absent", Value: "new", Action: AddIfAbsent},
			{Name: "there", Value: "no", Action: AddIfAbsent},
			{Name: "there", Value: "more"},
		},
		Then: &HeaderMutations{Mutate: []HeaderMutation{{Name: "set", Value: "vhost", Action: OverwriteIfExistsOrAdd}}},
	}
	got := fmt.Sprint(m.Apply([]message.Field{{Name: "gone", Value: "x"}, {Name: "there", Value: "1"}, {Name: "set", Value: "0"}}))
	if want := "[{there 1 false} {absent new false} {there more false} {set vhost false}]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if m.Empty() || !new(HeaderMutations).Empty() {
		t.Error("Empty is wrong")
	}
}

// TestManyWildcards: of many domains with a wildcard the longest is taken, as by a
// search through them all, without an allocation.
func TestManyWildcards(t *testing.T) {
	d := dice{rand.New(rand.NewPCG(3, 4))}
	labels := []string{"a", "b", "A", "ab", "-", "x.", ".", "80", ":"}
	name := func() (out string) {
		for range 1 + d.IntN(5) {
			out += labels[d.IntN(len(labels))]
		}
		return out
	}
	for range 200 {
		domains := map[string]bool{}
		for range 30 {
			domains[strings.ToLower([]string{name(), "*" + name(), "*" + name(), name() + "*"}[d.IntN(4)])] = true
		}
		table, err := NewTable("t", hosts(slices.Collect(maps.Keys(domains))...))
		if err != nil {
			t.Fatal(err)
		}
		for range 100 {
			authority, got := name()+name(), ""
			if host := table.VirtualHost(authority); host != nil {
				got = host.Name
			}
			if want := searched(domains, strings.ToLower(authority)); got != want {
				t.Fatalf("VirtualHost(%q) = %q, want %q of %v", authority, got, want, domains)
			}
			if n := testing.AllocsPerRun(1, func() { table.VirtualHost(authority) }); n != 0 {
				t.Fatalf("%v allocations", n)
			}
		}
	}
}

// searched gives the domain that Envoy takes: the exact one, the longest suffix,
// the longest prefix.
func searched(domains map[string]bool, authority string) string {
	if domains[authority] {
		return authority
	}
	suffix, prefix := "", ""
	for d := range domains {
		if part, ok := strings.CutPrefix(d, "*"); ok {
			if len(authority) > len(part) && strings.HasSuffix(authority, part) && len(d) > len(suffix) {
				suffix = d
			}
		} else if part, ok := strings.CutSuffix(d, "*"); ok && len(authority) > len(part) && strings.HasPrefix(authority, part) && len(d) > len(prefix) {
			prefix = d
		}
	}
	return cmp.Or(suffix, prefix)
}

func BenchmarkVirtualHost(b *testing.B) {
	for _, pattern := range []string{"s-%d.example", "*.s-%d.example", "s-%d.*"} {
		for _, n := range []int{1, 10, 1000} {
			var domains []string
			for i := range n {
				domains = append(domains, fmt.Sprintf(pattern, i))
			}
			b.Run(fmt.Sprintf("%s/%d", pattern, n), func(b *testing.B) {
				table, err := NewTable("t", hosts(domains...))
				if err != nil {
					b.Fatal(err)
				}
				authority := strings.Replace(domains[n-1], "*", "host", 1)
				b.ReportAllocs()
				for b.Loop() {
					if table.VirtualHost(authority) == nil {
						b.Fatal("none")
					}
				}
			})
		}
	}
}
