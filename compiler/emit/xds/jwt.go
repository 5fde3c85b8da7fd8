package xds

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	mutationv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	jwtv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	earlyv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/http/early_header_mutation/header_mutation/v3"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/meshc/meshc/compiler/model"
)

// jwtFilter verifies tokens, and is what their claims are found under.
const jwtFilter = "envoy.filters.http.jwt_authn"

const (
	keyTimeout = 5 * time.Second // of one fetch of keys
	keyRetries = 2
)

// listedClaims are texts that hold a list, parted by spaces (RFC 8693, 4.2).
var listedClaims = []string{"scope"}

// tokenFilters verify the tokens of providers; none without a provider. routed
// says that routes look at claims.
func (e *emitter) tokenFilters(providers []model.JWT, public []model.Rule, routed bool) ([]*hcmv3.HttpFilter, error) {
	if len(providers) == 0 {
		return nil, nil
	}
	auth := &jwtv3.JwtAuthentication{Providers: map[string]*jwtv3.JwtProvider{}}
	for i := range providers {
		p, err := e.provider(&providers[i])
		if err != nil {
			return nil, fmt.Errorf("tokens of %q: %w", providers[i].Name, err)
		}
		p.ClearRouteCache = routed
		auth.Providers[providers[i].Name] = p
	}
	for i := range public {
		matches, err := routeMatches(public[i].Matches())
		if err != nil {
			return nil, fmt.Errorf("public requests of %s: %w", e.self.Service, err)
		}
		for _, m := range matches {
			auth.Rules = append(auth.Rules, requirement(m, spared(providers)))
		}
	}
	every := &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}}
	auth.Rules = append(auth.Rules, requirement(every, demanded(providers)))
	f, err := httpFilter(jwtFilter, auth)
	if err != nil {
		return nil, err
	}
	return []*hcmv3.HttpFilter{f}, nil
}

func requirement(m *routev3.RouteMatch, r *jwtv3.JwtRequirement) *jwtv3.RequirementRule {
	return &jwtv3.RequirementRule{Match: m, RequirementType: &jwtv3.RequirementRule_Requires{Requires: r}}
}

// demanded is what every request is held to: a valid token of one of those that
// are required; where none is, that each token it carries is valid. It is one or
// the other: asked one after the other, the second question would not find the
// tokens that the first one has taken out, and would take its headers away.
func demanded(providers []model.JWT) *jwtv3.JwtRequirement {
	required := requiring(providers)
	switch len(required) {
	case 0:
		return allowMissing()
	case 1:
		return required[0]
	}
	return firstOf(required)
}

// spared is what public requests are held to: nothing. Of several providers that
// are required they, too, have the claims of the first alone whose token is valid
// (model.Preceding): to Envoy requests that need no token are otherwise ones of
// which it looks at every token.
func spared(providers []model.JWT) *jwtv3.JwtRequirement {
	required := requiring(providers)
	if len(required) < 2 {
		return allowMissingOrFailed()
	}
	return firstOf(append(required, allowMissingOrFailed()))
}

func requiring(providers []model.JWT) []*jwtv3.JwtRequirement {
	var out []*jwtv3.JwtRequirement
	for _, name := range model.Requiring(providers) {
		out = append(out, &jwtv3.JwtRequirement{RequiresType: &jwtv3.JwtRequirement_ProviderName{ProviderName: name}})
	}
	return out
}

func firstOf(list []*jwtv3.JwtRequirement) *jwtv3.JwtRequirement {
	return &jwtv3.JwtRequirement{RequiresType: &jwtv3.JwtRequirement_RequiresAny{RequiresAny: &jwtv3.JwtRequirementOrList{Requirements: list}}}
}

func allowMissing() *jwtv3.JwtRequirement {
	return &jwtv3.JwtRequirement{RequiresType: &jwtv3.JwtRequirement_AllowMissing{AllowMissing: &emptypb.Empty{}}}
}

func allowMissingOrFailed() *jwtv3.JwtRequirement {
	return &jwtv3.JwtRequirement{RequiresType: &jwtv3.JwtRequirement_AllowMissingOrFailed{AllowMissingOrFailed: &emptypb.Empty{}}}
}

func (e *emitter) provider(t *model.JWT) (*jwtv3.JwtProvider, error) {
	out := &jwtv3.JwtProvider{
		Issuer:                     t.Issuer,
		Audiences:                  t.Audiences,
		Forward:                    t.Forward,
		ClockSkewSeconds:           uint32(t.ClockSkew / time.Second),
		PayloadInMetadata:          t.Name,
		NormalizePayloadInMetadata: &jwtv3.JwtProvider_NormalizePayload{SpaceDelimitedClaims: listedClaims},
	}
	for _, p := range t.From {
		switch p.Source {
		case model.TokenHeader:
			out.FromHeaders = append(out.FromHeaders, &jwtv3.JwtHeader{Name: p.Name, ValuePrefix: p.Prefix})
		case model.TokenQuery:
			out.FromParams = append(out.FromParams, p.Name)
		case model.TokenCookie:
			out.FromCookies = append(out.FromCookies, p.Name)
		}
	}
	for _, h := range t.ClaimHeaders {
		out.ClaimToHeaders = append(out.ClaimToHeaders, &jwtv3.JwtClaimToHeader{HeaderName: h.Header, ClaimName: dotted(h.Claim)})
	}
	return out, e.setKeys(out, t.Keys)
}

// dotted is how Envoy writes the way to a claim.
func dotted(claim string) string {
	out := ""
	for i, name := range model.ClaimPath(claim) {
		if i > 0 {
			out += "."
		}
		out += name
	}
	return out
}

// setKeys says where keys come from. A listener that newly wants keys does not
// take its place before they have been asked for.
func (e *emitter) setKeys(out *jwtv3.JwtProvider, k model.JWKS) error {
	if k.File != "" {
		out.JwksSourceSpecifier = &jwtv3.JwtProvider_LocalJwks{LocalJwks: &corev3.DataSource{
			Specifier: &corev3.DataSource_Filename{Filename: k.File},
		}}
		return nil
	}
	x := e.mesh.External(k.External)
	if x == nil {
		return fmt.Errorf("no external %s in the mesh", k.External)
	}
	scheme, standard := "http", uint16(80)
	if x.TLSOn(k.Port) != nil {
		scheme, standard = "https", 443
	}
	host := x.Host
	if k.Port != standard {
		host = net.JoinHostPort(host, strconv.Itoa(int(k.Port)))
	}
	out.JwksSourceSpecifier = &jwtv3.JwtProvider_RemoteJwks{RemoteJwks: &jwtv3.RemoteJwks{
		HttpUri: &corev3.HttpUri{
			Uri:              scheme + "://" + host + k.Path,
			HttpUpstreamType: &corev3.HttpUri_Cluster{Cluster: model.ClusterName(k.Port, "", x.Host)},
			Timeout:          duration(keyTimeout),
		},
		CacheDuration: duration(k.Cache),
		AsyncFetch:    &jwtv3.JwksAsyncFetch{},
		RetryPolicy:   &corev3.RetryPolicy{NumRetries: uint32Value(keyRetries)},
	}}
	return nil
}

// keyClusters adds the clusters that keys are fetched through, where the proxy
// does not have them for its application.
func (e *emitter) keyClusters(providers []model.JWT) error {
	for _, k := range model.KeySources(providers) {
		x := e.mesh.External(k.External)
		if x == nil || x.Port(k.Port) == nil {
			return fmt.Errorf("no port %d of external %s in the mesh", k.Port, k.External)
		}
		if e.hasCluster(model.ClusterName(k.Port, "", x.Host)) {
			continue
		}
		if err := e.reachExternal(x, *x.Port(k.Port)); err != nil {
			return err
		}
	}
	return nil
}

// hasCluster says that a cluster is among those collected so far.
func (e *emitter) hasCluster(name string) bool {
	for _, c := range e.out.Clusters {
		if c.Name == name {
			return true
		}
	}
	return e.page != nil && e.page.hasCluster(name)
}

// routesByClaims says that a route of a listener asks for claims, or for the
// headers they are put in, so that it is chosen anew when they are known.
func routesByClaims(g *model.Gateway, port uint16) bool {
	headers := model.ClaimHeaderNames(g.JWT)
	asks := func(m model.Match) bool {
		return len(m.Claims) > 0 || slices.ContainsFunc(m.Headers, func(h model.NamedMatch) bool { return slices.Contains(headers, h.Name) })
	}
	for _, l := range g.Listeners {
		if l.Port != port {
			continue
		}
		for _, h := range l.Hosts {
			for _, r := range h.Routes {
				for _, v := range r.Route.Variants() {
					if slices.ContainsFunc(v.Match, asks) {
						return true
					}
				}
			}
		}
	}
	return false
}

// claimsOnly takes out what clients say under the names of headers that claims
// are put in before a route is chosen: the filter of tokens does so too late, and
// only where a token of their provider is looked for.
func claimsOnly(hcm *hcmv3.HttpConnectionManager, providers []model.JWT) error {
	names := model.ClaimHeaderNames(providers)
	if len(names) == 0 {
		return nil
	}
	out := &earlyv3.HeaderMutation{}
	for _, name := range names {
		out.Mutations = append(out.Mutations, &mutationv3.HeaderMutation{Action: &mutationv3.HeaderMutation_Remove{Remove: name}})
	}
	packed, err := toAny(out)
	if err != nil {
		return err
	}
	hcm.EarlyHeaderMutationExtensions = []*corev3.TypedExtensionConfig{{Name: "envoy.http.early_header_mutation.header_mutation", TypedConfig: packed}}
	return nil
}
