package route

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// domainIndex finds virtual hosts by authority. All domains are in lower case.
type domainIndex struct {
	exact    map[string]*VirtualHost
	suffixes []wildcards // longest first
	prefixes []wildcards // longest first
	any      *VirtualHost
}

// wildcards are domains of one length with their '*' taken off.
type wildcards struct {
	length int
	hosts  map[string]*VirtualHost
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
	return index, nil
}

func (x *domainIndex) add(domain string, host *VirtualHost) {
	switch {
	case domain == "*":
		x.any = host
	case strings.HasPrefix(domain, "*"):
		addWildcard(&x.suffixes, domain[1:], host)
	case strings.HasSuffix(domain, "*"):
		addWildcard(&x.prefixes, domain[:len(domain)-1], host)
	default:
		x.exact[domain] = host
	}
}

func addWildcard(to *[]wildcards, part string, host *VirtualHost) {
	i, ok := slices.BinarySearchFunc(*to, len(part), func(w wildcards, n int) int { return cmp.Compare(n, w.length) })
	if !ok {
		*to = slices.Insert(*to, i, wildcards{length: len(part), hosts: make(map[string]*VirtualHost)})
	}
	(*to)[i].hosts[part] = host
}

// inLower is how long an authority may be to be lowered without an allocation. A
// host name has at most 253 characters, with a port 259.
const inLower = 260

func (x *domainIndex) find(authority string) *VirtualHost {
	if !hasUpperASCII(authority) {
		if host, ok := x.exact[authority]; ok {
			return host
		}
	}
	if len(x.exact) == 0 && len(x.suffixes) == 0 && len(x.prefixes) == 0 {
		return x.any
	}
	var buf [inLower]byte
	lower := buf[:0]
	for i := range len(authority) {
		lower = append(lower, lowerByte(authority[i]))
	}
	return x.findLower(lower)
}

func (x *domainIndex) findLower(authority []byte) *VirtualHost {
	if host, ok := x.exact[string(authority)]; ok {
		return host
	}
	// A wildcard stands for at least one character.
	for _, w := range x.suffixes {
		if n := len(authority) - w.length; n > 0 {
			if host, ok := w.hosts[string(authority[n:])]; ok {
				return host
			}
		}
	}
	for _, w := range x.prefixes {
		if len(authority) > w.length {
			if host, ok := w.hosts[string(authority[:w.length])]; ok {
				return host
			}
		}
	}
	return x.any
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
