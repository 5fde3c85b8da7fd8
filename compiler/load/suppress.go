package load

import (
	"fmt"
	"path"
	"strings"
	"time"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/literal"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/schema"
)

// suppressionName is the attribute by which the user speaks to meshc.
const suppressionName = "meshc"

// readSuppressions reads the attributes @meshc of a file. One behind a field,
// or among the fields of its struct, holds for the field; one among the
// declarations of the file, for the file.
func (t *tree) readSuppressions(f *ast.File) {
	var scopes []diag.Range // of the fields around the node, innermost last
	ast.Walk(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field:
			scopes = append(scopes, rangeOf(n))
		case *ast.Attribute:
			scope := diag.Range{File: f.Filename}
			if len(scopes) > 0 {
				scope = scopes[len(scopes)-1]
			}
			if name, body := n.Split(); name == suppressionName {
				t.readSuppression(body, scope, rangeOf(n), f.PackageName())
			}
		}
		return true
	}, func(n ast.Node) {
		if _, ok := n.(*ast.Field); ok {
			scopes = scopes[:len(scopes)-1]
		}
	})
}

func (t *tree) readSuppression(body string, scope, at diag.Range, pkg string) {
	if pkg != schema.Package {
		t.diags.Add(diag.New(diag.BadSuppression, at, "a suppression in package %s has no effect: diagnostics are about package %s", pkg, schema.Package))
		return
	}
	s, err := parseSuppression(body)
	if err != nil {
		d := diag.New(diag.BadSuppression, at, "this suppression cannot be read: %v", err)
		d.Help = `write @meshc(ignore=MSHnnnn, reason="...", until="2027-01-31")`
		t.diags.Add(d)
		return
	}
	if !diag.Suppressible(s.Code) {
		d := diag.New(diag.NotSuppressible, at, "%s cannot be suppressed", s.Code)
		d.Help = "mend what it reports, and take the attribute away"
		t.diags.Add(d)
		return
	}
	s.Scope, s.At = scope, at
	t.suppressions = append(t.suppressions, s)
}

// suppressionsOf gives those of the files that selection sel takes in.
func (t *tree) suppressionsOf(sel string) []diag.Suppression {
	var out []diag.Suppression
	for _, s := range t.suppressions {
		if dir := path.Dir(s.Scope.File); within(dir, sel) || within(sel, dir) {
			out = append(out, s)
		}
	}
	return out
}

// parseSuppression reads what stands between the parentheses.
func parseSuppression(body string) (diag.Suppression, error) {
	var s diag.Suppression
	seen := map[string]bool{}
	for _, part := range splitAttribute(body) {
		key, value, found := strings.Cut(part, "=")
		key = strings.TrimSpace(key)
		text, err := attributeValue(strings.TrimSpace(value))
		switch {
		case !found:
			return s, fmt.Errorf("%q is not key=value", strings.TrimSpace(part))
		case seen[key]:
			return s, fmt.Errorf("%s is said twice", key)
		case err != nil:
			return s, fmt.Errorf("%s: %w", key, err)
		}
		seen[key] = true
		if err := setSuppression(&s, key, text); err != nil {
			return s, err
		}
	}
	if !seen["ignore"] {
		return s, fmt.Errorf("it has no ignore")
	}
	if strings.TrimSpace(s.Reason) == "" {
		return s, fmt.Errorf("it gives no reason")
	}
	return s, nil
}

func setSuppression(s *diag.Suppression, key, text string) (err error) {
	switch key {
	case "ignore":
		if _, known := diag.Lookup(diag.Code(text)); !known {
			return fmt.Errorf("%q is not the code of a diagnostic", text)
		}
		s.Code = diag.Code(text)
	case "reason":
		s.Reason = text
	case "until":
		s.Until, err = suppressionEnd(text)
	default:
		return fmt.Errorf("%q is none of ignore, reason, until", key)
	}
	return err
}

// suppressionEnd reads a date, which means its first moment in UTC, or a time.
func suppressionEnd(text string) (time.Time, error) {
	if at, err := time.Parse(time.DateOnly, text); err == nil {
		return at, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("until: %q is neither a date such as 2027-01-31 nor an RFC 3339 time", text)
	}
	return at.UTC(), nil
}

// splitAttribute splits at the commas that stand outside of quotes.
func splitAttribute(body string) []string {
	var parts []string
	start, quoted := 0, false
	for i := 0; i < len(body); i++ {
		switch {
		case quoted && body[i] == '\\':
			i++
		case body[i] == '"':
			quoted = !quoted
		case body[i] == ',' && !quoted:
			parts = append(parts, body[start:i])
			start = i + 1
		}
	}
	return append(parts, body[start:])
}

// attributeValue takes the quotes off, if there are any.
func attributeValue(s string) (string, error) {
	if !strings.HasPrefix(s, `"`) {
		return s, nil
	}
	text, err := literal.Unquote(s)
	if err != nil {
		return "", fmt.Errorf("%s is not a string", s)
	}
	return text, nil
}
