package literal_test

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/meshc/meshc/compiler/literal"
)

// byTemplate compares a path with a template segment by segment, as its
// description says and without an expression.
func byTemplate(template, path string) bool {
	want, got := strings.Split(template, "/"), strings.Split(path, "/")
	for i, w := range want {
		switch {
		case i >= len(got):
			return false
		case w == "{**}":
			return true
		case w == "{*}" && got[i] == "", w != "{*}" && w != got[i]:
			return false
		}
	}
	return len(want) == len(got)
}

func TestTemplateTakesWhatItsSegmentsDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		segments := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b.c", "{*}", ""}), 0, 4).Draw(t, "segments")
		last := rapid.SampledFrom([]string{"{*}", "{**}"}).Draw(t, "last")
		template := "/" + strings.Join(append(segments, last), "/")
		expr, err := literal.Template(template)
		if err != nil {
			t.Fatal(err)
		}
		whole := regexp.MustCompile("^(?:" + expr + ")$")
		path := "/" + strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b.c", "bxc", "z", ""}), 1, 6).Draw(t, "path"), "/")
		if got, want := whole.MatchString(path), byTemplate(template, path); got != want {
			t.Fatalf("%s takes %s: %v, and is to be %v (%s)", template, path, got, want, expr)
		}
	})
}

func TestTemplatesThatAreNone(t *testing.T) {
	for s, want := range map[string]string{
		"":              `does not begin with "/"`,
		"{*}":           `does not begin with "/"`,
		"/a":            `has no "{*}"`,
		"/a/*":          `segment "*" is neither`,
		"/{**}/a":       "before its last segment",
		"/v{*}":         `segment "v{*}" is neither`,
		"/{id}":         `segment "{id}" is neither`,
		"/{***}":        `segment "{***}" is neither`,
		"/a/{**}/":      "before its last segment",
		"/{*}/{**}/{*}": "before its last segment",
	} {
		if _, err := literal.Template(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, and is to say %s", s, err, want)
		}
	}
}
