package check_test

import (
	"testing"

	"github.com/meshc/meshc/compiler/check"
	"github.com/meshc/meshc/compiler/reach"
)

func TestRE2(t *testing.T) {
	for _, good := range []string{"a", `/v[0-9]+(/.*)?`, `(?i)\pL+`, `\p{Greek}`, `\P{^Lu}`, `\Q\p{Foo}\E`, `[[:alpha:]]`, `\xc3\xa9`, `\x{ff}`, `\\x{100}`, `\d{1,1000}`, `(?P<x>a)`} {
		if err := check.RE2(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "(", `\1`, `(?=a)`, `\p{Letter}`, `\p{Adlam}`, `a\C`, "a\nb", "é", `\x{100}`, `[\x{0}-\x{1F600}]`, `\pL{1000}`, `a{1001}`, "\xff"} {
		if check.RE2(bad) == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func FuzzRE2(f *testing.F) {
	for _, s := range []string{`\p`, `\p{`, `\Q`, `\Q\E\p{x}`, `a{1,}`, `[^\pL]`} {
		f.Add(s, "x")
	}
	f.Fuzz(func(t *testing.T, expr, value string) {
		if check.RE2(expr) == nil {
			reach.AcceptsRegex(expr, value)
		}
	})
}
