package xds

import (
	"regexp/syntax"
	"sync"
)

// without gives an RE2 expression for the strings of pattern that do not have
// r. A mesh has few patterns and says each to many proxies, and writing one
// down costs most of what a route does: results are kept.
func without(pattern string, r rune) (string, error) {
	key := patternWithout{pattern, r}
	patterns.Lock()
	text, known := patterns.text[key]
	patterns.Unlock()
	if known {
		return text, nil
	}
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return "", err
	}
	text = withoutRune(tree, r).String()
	patterns.Lock()
	defer patterns.Unlock()
	if patterns.text == nil || len(patterns.text) >= maxPatterns {
		patterns.text = make(map[patternWithout]string)
	}
	patterns.text[key] = text
	return text, nil
}

type patternWithout struct {
	pattern string
	r       rune
}

// maxPatterns bounds what a process keeps that compiles for long.
const maxPatterns = 4096

// patterns are the results of without; all of them go when there are too many.
var patterns struct {
	sync.Mutex
	text map[patternWithout]string
}
