package route

import (
	"errors"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"

	"github.com/meshc/meshc/dataplane/message"
)

// PathOf is the target up to its query or fragment: what paths are matched on.
func PathOf(req *message.Request) string {
	path := req.Target
	if i := strings.IndexByte(path, '?'); i >= 0 {
		path = path[:i]
	}
	if i := strings.IndexByte(path, '#'); i >= 0 {
		path = path[:i]
	}
	return path
}

// pathRule is what a route asks of paths, in a form that an index can read.
type pathRule struct {
	kind pathKind
	fold bool   // without regard to ASCII case
	text string // in lower case, if fold
	// judge is the rule of the kind otherPath.
	judge func(string) bool
}

type pathKind uint8

const (
	anyPath pathKind = iota
	exactPath
	prefixPath
	segmentPath // "/a" takes "/a" and "/a/b", not "/ab"
	otherPath
)

// pathRuleOf reads the path specifier of a match.
func pathRuleOf(m *routev3.RouteMatch) (pathRule, error) {
	r := pathRule{fold: m.GetCaseSensitive() != nil && !m.GetCaseSensitive().GetValue()}
	switch p := m.GetPathSpecifier().(type) {
	case *routev3.RouteMatch_Prefix:
		r.kind, r.text = prefixPath, p.Prefix
		if p.Prefix == "" { // every path has it
			r.kind = anyPath
		}
	case *routev3.RouteMatch_Path:
		r.kind, r.text = exactPath, p.Path
	case *routev3.RouteMatch_PathSeparatedPrefix:
		r.kind, r.text = segmentPath, p.PathSeparatedPrefix
	case *routev3.RouteMatch_SafeRegex:
		judge, err := regexMatch(p.SafeRegex.GetRegex())
		if err != nil {
			return r, err
		}
		return pathRule{kind: otherPath, judge: judge}, nil
	default:
		return r, errors.New("needs prefix, path, safe_regex or path_separated_prefix")
	}
	if r.fold {
		r.text = lowerASCII(r.text)
	}
	return r, nil
}

// takes judges a path.
func (r *pathRule) takes(path string) bool {
	switch r.kind {
	case anyPath:
		return true
	case otherPath:
		return r.judge(path)
	}
	n := len(r.text)
	if len(path) < n || r.kind == exactPath && len(path) != n {
		return false
	}
	if r.kind == segmentPath && len(path) > n && path[n] != '/' {
		return false
	}
	if r.fold {
		return equalFoldASCII(path[:n], r.text)
	}
	return path[:n] == r.text
}
