package route

import (
	"fmt"
	"slices"
	"strings"
)

// domainIndex finds virtual hosts by authority. All domains are in lower case.
type domainIndex struct {
	exact    map[string]*VirtualHost
	suffixes []wildcard // longest first
	prefixes []wildcard // longest first
	any      *VirtualHost
}

// wildcard is a domain with its '*' taken off.
type wildcard struct {
	part string
	host *VirtualHost
}

func indexDomains(hosts []*VirtualHost) (*domainIndex, error) {
	index := &domainIndex{exact: make(map[string]*VirtualHost)}
	seen := make(map[string]string)
	for _, host := range hosts {
		for _, domain := range host.Domains {
			lower := lowerASCII(domain)
			if other, dup := seen[lower]; dup {
				return nil, fmt.Errorf("virtual host %q: domain %q is already claimed by virtual host %q", host.Name, domain, other)
			}
			seen[lower] = host.Name
			index.add(lower, host)
		}
	}
	longestFirst := func(a, b wildcard) int { return len(b.part) - len(a.part) }
	slices.SortStableFunc(index.suffixes, longestFirst)
	slices.SortStableFunc(index.prefixes, longestFirst)
	return index, nil
}

func (x *domainIndex) add(domain string, host *VirtualHost) {
	switch {
	case domain == "*":
		x.any = host
	case strings.HasPrefix(domain, "*"):
		x.suffixes = append(x.suffixes, wildcard{domain[1:], host})
	case strings.HasSuffix(domain, "*"):
		x.prefixes = append(x.prefixes, wildcard{domain[:len(domain)-1], host})
	default:
		x.exact[domain] = host
	}
}

func (x *domainIndex) find(authority string) *VirtualHost {
	if len(x.exact) > 0 {
		if host := x.findExact(authority); host != nil {
			return host
		}
	}
	// A wildcard stands for at least one character.
	for _, w := range x.suffixes {
		if n := len(authority) - len(w.part); n > 0 && equalFoldASCII(authority[n:], w.part) {
			return w.host
		}
	}
	for _, w := range x.prefixes {
		if len(authority) > len(w.part) && equalFoldASCII(authority[:len(w.part)], w.part) {
			return w.host
		}
	}
	return x.any
}

// findExact lowers the authority on the stack, so that a lookup costs no
// allocation. A host name has at most 253 characters, with a port 259; a
// longer authority equals no domain that is one.
func (x *domainIndex) findExact(authority string) *VirtualHost {
	if host, ok := x.exact[authority]; ok && !hasUpperASCII(authority) {
		return host
	}
	if !hasUpperASCII(authority) {
		return nil
	}
	var buf [512]byte
	if len(authority) > len(buf) {
		return x.exact[lowerASCII(authority)]
	}
	for i := range len(authority) {
		buf[i] = lowerByte(authority[i])
	}
	return x.exact[string(buf[:len(authority)])]
}

// trimPort takes ":port" off an authority; "[::1]" has none.
func trimPort(authority string) string {
	i := strings.LastIndexByte(authority, ':')
	if i < 0 || i == len(authority)-1 || strings.IndexByte(authority[i:], ']') >= 0 {
		return authority
	}
	for _, c := range []byte(authority[i+1:]) {
		if c < '0' || c > '9' {
			return authority
		}
	}
	return authority[:i]
}
