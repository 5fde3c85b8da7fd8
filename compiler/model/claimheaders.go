package model

import "slices"

// ClaimHeaderNames are the headers that claims are put in, sorted.
func ClaimHeaderNames(list []JWT) []string {
	var out []string
	for i := range list {
		for _, h := range list[i].ClaimHeaders {
			out = append(out, h.Header)
		}
	}
	slices.Sort(out)
	return out
}

// OfClaims says conditions on headers that claims are put in as conditions on
// those claims: what a client says under such a name is taken out.
func OfClaims(list []JWT, matches []Match) []Match {
	claims := map[string]NamedMatch{}
	for i := range list {
		for _, h := range list[i].ClaimHeaders {
			claims[h.Header] = NamedMatch{Name: ClaimName(list[i].Name, h.Claim), Yields: Preceding(list, list[i].Name)}
		}
	}
	if len(claims) == 0 {
		return matches
	}
	out := slices.Clone(matches)
	for i := range out {
		var headers []NamedMatch
		for _, h := range out[i].Headers {
			claim, ok := claims[h.Name]
			if !ok {
				headers = append(headers, h)
				continue
			}
			h.Name, h.Yields = claim.Name, claim.Yields
			out[i].Claims = append(slices.Clip(out[i].Claims), h)
		}
		out[i].Headers = headers
	}
	return out
}
