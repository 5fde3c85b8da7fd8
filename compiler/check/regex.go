package check

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
)

// Bounds of an expression. RE2 gives up at 8 MiB for one program; the second
// bound stays well below it, so that what compiles here compiles there.
const (
	maxRegexBytes   = 1024
	maxRegexProgram = 50_000
)

// regex checks that an expression means the same to Go and to RE2.
func (c *overIntent) regex(v intent.Value[string]) {
	if err := RE2(v.V); err != nil {
		c.report(diag.BadRegex, v.At, "regular expression %q: %s", literal.Clip(v.V), err).Help = "expressions are RE2 and match the whole value"
	}
}

// RE2 says why expr is not an expression that RE2 and Go read alike, or nil.
func RE2(expr string) error {
	if expr == "" {
		return fmt.Errorf("is empty")
	}
	if len(expr) > maxRegexBytes {
		return fmt.Errorf("is longer than %d bytes", maxRegexBytes)
	}
	if strings.ContainsAny(expr, "\x00\n\r") {
		return fmt.Errorf("holds a line break or NUL, which no path or header has")
	}
	if strings.ContainsFunc(expr, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return fmt.Errorf("holds a character outside ASCII, which Envoy reads byte by byte; write its bytes, as in \\xc3\\xa9")
	}
	if wideEscape(expr) {
		return fmt.Errorf("asks for a character above \\xff, and every byte of a value is one character")
	}
	if _, err := regexp.Compile(expr); err != nil {
		return fmt.Errorf("%s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	if name := foreignClass(expr); name != "" {
		return fmt.Errorf("RE2 does not know the character class %q", name)
	}
	if size := programSize(expr); size > maxRegexProgram {
		return fmt.Errorf("is too large once its repetitions are written out")
	}
	return nil
}

// re2Classes are the general categories that RE2 knows beside scripts.
var re2Classes = map[string]bool{
	"Any": true, "C": true, "Cc": true, "Cf": true, "Co": true, "Cs": true,
	"L": true, "Ll": true, "Lm": true, "Lo": true, "Lt": true, "Lu": true,
	"M": true, "Mc": true, "Me": true, "Mn": true, "N": true, "Nd": true, "Nl": true, "No": true,
	"P": true, "Pc": true, "Pd": true, "Pe": true, "Pf": true, "Pi": true, "Po": true, "Ps": true,
	"S": true, "Sc": true, "Sk": true, "Sm": true, "So": true, "Z": true, "Zl": true, "Zp": true, "Zs": true,
	// The scripts that every RE2 since 2010 has; Go's table grows with Unicode.
	"Arabic": true, "Armenian": true, "Bengali": true, "Cyrillic": true, "Devanagari": true, "Georgian": true,
	"Greek": true, "Han": true, "Hangul": true, "Hebrew": true, "Hiragana": true, "Katakana": true,
	"Latin": true, "Common": true, "Thai": true, "Tamil": true, "Telugu": true,
}

// foreignClass finds the first \p or \P whose name RE2 may not know: Go also
// takes long names, aliases and newer scripts.
func foreignClass(expr string) string {
	for i := 0; i+1 < len(expr); i++ {
		if expr[i] != '\\' {
			continue
		}
		i++
		switch expr[i] {
		case 'Q':
			end := strings.Index(expr[i:], `\E`)
			if end < 0 {
				return ""
			}
			i += end + 1
		case 'p', 'P':
			if name := className(expr[i+1:]); !re2Classes[name] {
				return name
			}
		}
	}
	return ""
}

// wideEscape says whether expr holds \x{...} above \xff, which RE2 refuses where
// it reads Latin-1, as in Envoy.
func wideEscape(expr string) bool {
	for i := 0; i+1 < len(expr); i++ {
		if expr[i] != '\\' {
			continue
		}
		i++
		if digits, ok := strings.CutPrefix(expr[i:], "x{"); ok {
			digits, _, _ = strings.Cut(digits, "}")
			if n, err := strconv.ParseUint(digits, 16, 32); err == nil && n > 0xff {
				return true
			}
		}
	}
	return false
}

func className(rest string) string {
	if braced, ok := strings.CutPrefix(rest, "{"); ok {
		name, _, _ := strings.Cut(braced, "}")
		return strings.TrimPrefix(name, "^")
	}
	return rest[:1]
}

// programSize estimates how many instructions RE2 needs: a range of runes
// becomes up to four byte ranges.
func programSize(expr string) int {
	parsed, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return 0
	}
	prog, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return 0
	}
	size := 0
	for i := range prog.Inst {
		size += 1 + 4*(len(prog.Inst[i].Rune)/2)
	}
	return size
}
