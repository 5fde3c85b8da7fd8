package model

import (
	"slices"
	"strings"
)

const spiffe = "spiffe://"

// Unaliased gives the identity of the trust domain that id counts as when it is
// one of an alias; id itself otherwise.
func Unaliased(id, trustDomain string, aliases []string) string {
	rest, ok := strings.CutPrefix(id, spiffe)
	domain, path, found := strings.Cut(rest, "/")
	if !ok || !found || !slices.Contains(aliases, domain) {
		return id
	}
	return spiffe + trustDomain + "/" + path
}

// Aliased are id, or the beginning of identities, and what it is in each of the
// aliases of its trust domain.
func Aliased(id string, aliases []string) []string {
	out := []string{id}
	rest, ok := strings.CutPrefix(id, spiffe)
	_, path, found := strings.Cut(rest, "/")
	if !ok || !found {
		return out
	}
	for _, a := range aliases {
		out = append(out, spiffe+a+"/"+path)
	}
	return out
}

// IdentityText names an identity for people, with the trust domains that it may
// be of as well.
func IdentityText(id string, aliases []string) string {
	if len(aliases) == 0 {
		return id
	}
	return id + " (or of " + strings.Join(aliases, ", ") + ")"
}
