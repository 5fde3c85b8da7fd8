package xds

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/model"
)

// accepts is what a path condition means.
func accepts(p model.PathMatch, path string) bool {
	if p.IgnoreCase {
		p.Value, path = strings.ToLower(p.Value), strings.ToLower(path)
	}
	switch p.Kind {
	case model.Exact:
		return path == p.Value
	case model.Prefix:
		return strings.HasPrefix(path, p.Value)
	case model.SegmentPrefix:
		prefix := strings.TrimRight(p.Value, "/")
		return path == prefix || strings.HasPrefix(path, prefix+"/")
	default:
		return regexp.MustCompile(`\A(?:` + p.Value + `)\z`).MatchString(path)
	}
}

// TestTargetPattern: on every short target, the pattern says of path and query
// what the condition says of the path.
func TestTargetPattern(t *testing.T) {
	conditions := []model.PathMatch{
		{Kind: model.Exact, Value: "/a"}, {Kind: model.Exact, Value: "/a?b"}, {Kind: model.Prefix, Value: "/a"},
		{Kind: model.Exact, Value: "/aB", IgnoreCase: true}, {Kind: model.Prefix, Value: "/A", IgnoreCase: true}, {Kind: model.SegmentPrefix, Value: "/ba", IgnoreCase: true},
		{Kind: model.SegmentPrefix, Value: "/a"}, {Kind: model.SegmentPrefix, Value: "/"}, {Kind: model.SegmentPrefix, Value: "/a/"},
	}
	for _, r := range []string{"/a.*b", "/[^a]*", "/a|/b", "(?i:/A)b?", "/a[!-~]*", `/a\?b`, "/(?s:.)*b", ".*", "(/a)+", "", "/[?]", `/a\W?b`, "(?i)/ab"} {
		conditions = append(conditions, model.PathMatch{Kind: model.Regex, Value: r})
	}
	dice := rand.New(rand.NewPCG(1, 2))
	for _, p := range conditions {
		pattern, err := targetPattern(p)
		if err != nil {
			t.Fatal(err)
		}
		full := regexp.MustCompile(`\A(?:` + pattern + `)\z`)
		for range 3000 {
			target := randomTarget(dice)
			path, _, _ := strings.Cut(target, "?")
			if got, want := full.MatchString(target), accepts(p, path); got != want {
				t.Fatalf("%s %q on %q: %s says %v, want %v", p.Kind, p.Value, target, pattern, got, want)
			}
		}
	}
}

func randomTarget(dice *rand.Rand) string {
	b := []byte("/")
	for range dice.IntN(6) {
		b = append(b, "aabbA/?!"[dice.IntN(8)])
	}
	return string(b)
}
