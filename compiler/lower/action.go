package lower

import (
	"regexp"
	"strings"

	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// DefaultRedirect is the status of a redirect that writes none.
const DefaultRedirect = 301

func redirect(r *intent.Route) *model.Redirect {
	w := r.Redirect
	if w == nil {
		return nil
	}
	out := &model.Redirect{
		Scheme:     scope.Or(w.Scheme, ""),
		Host:       strings.ToLower(scope.Or(w.Host, "")),
		Port:       uint16(scope.Or(w.Port, 0)),
		Path:       scope.Or(w.Path, ""),
		Status:     uint32(scope.Or(w.Status, DefaultRedirect)),
		StripQuery: !scope.Or(w.KeepQuery, true),
		Origin:     w.At,
	}
	if w.Prefix != nil {
		out.Rewrite = prefixSubstitution(r.Match, w.Prefix.V)
	}
	return out
}

func respond(w *intent.Respond) *model.Respond {
	if w == nil {
		return nil
	}
	return &model.Respond{Status: uint32(w.Status.V), Body: scope.Or(w.Body, ""), ContentType: scope.Or(w.ContentType, ""), Origin: w.At}
}

func rewrite(r *intent.Route) *model.Rewrite {
	w := r.Rewrite
	if w == nil {
		return nil
	}
	out := &model.Rewrite{Host: strings.ToLower(scope.Or(w.Host, "")), Origin: w.At}
	switch {
	case w.Path != nil:
		out.Path = &model.Substitution{Pattern: "^.+$", Text: verbatim(w.Path.V)}
	case w.Prefix != nil:
		out.Path = prefixSubstitution(r.Match, w.Prefix.V)
	case w.Regex != nil:
		out.Path = &model.Substitution{Pattern: w.Regex.Pattern.V, Text: w.Regex.Substitution.V}
	}
	return out
}

// prefixSubstitution puts by in place of the prefix that every match has; check
// has seen that it is one and the same. A segment prefix is joined to the rest
// by one slash.
func prefixSubstitution(any []*intent.Match, by string) *model.Substitution {
	p := path(any[0].Path)
	pattern := "^" + quotePath(p)
	if p.Kind == model.SegmentPrefix {
		if by = strings.TrimRight(by, "/"); by == "" {
			pattern, by = pattern+"/?", "/"
		}
	}
	return &model.Substitution{Pattern: pattern, Text: verbatim(by)}
}

// quotePath is RE2 for the text of p. Only ASCII letters have two cases.
func quotePath(p model.PathMatch) string {
	if !p.IgnoreCase {
		return regexp.QuoteMeta(p.Value)
	}
	return literal.QuoteFold(p.Value)
}

// verbatim is text as a substitution that stands for itself.
func verbatim(text string) string { return strings.ReplaceAll(text, `\`, `\\`) }
