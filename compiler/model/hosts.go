package model

import (
	"cmp"
	"strings"
)

// Host patterns are "*", "*.example.com" (any number of labels in place of the
// star, at least one) and exact names, in lower case.

// HostAccepts says whether pattern accepts host, a lower-case name without
// port.
func HostAccepts(pattern, host string) bool {
	if suffix, ok := strings.CutPrefix(pattern, "*"); ok {
		return len(host) > len(suffix) && strings.HasSuffix(host, suffix)
	}
	return pattern == host
}

// HostCovers says that every host that inner accepts, outer accepts too.
func HostCovers(outer, inner string) bool {
	if outer == "*" || outer == inner {
		return true
	}
	if inner == "*" {
		return false
	}
	suffix, wild := strings.CutPrefix(outer, "*")
	if !wild {
		return false
	}
	name := strings.TrimPrefix(inner, "*")
	return strings.HasSuffix(name, suffix) && len(name) > len(suffix)
}

// CompareHosts orders patterns as a proxy asks them: exact names first, then
// wildcards from the longest, then "*".
func CompareHosts(a, b string) int {
	return cmp.Or(cmp.Compare(hostClass(a), hostClass(b)), wildLength(b)-wildLength(a), cmp.Compare(a, b))
}

func hostClass(p string) int {
	switch {
	case p == "*":
		return 2
	case strings.HasPrefix(p, "*"):
		return 1
	}
	return 0
}

// wildLength is the length of a wildcard pattern, 0 for an exact name.
func wildLength(p string) int {
	if strings.HasPrefix(p, "*") {
		return len(p)
	}
	return 0
}
