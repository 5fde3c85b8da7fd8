// Package jwt verifies the tokens (RFC 7519) of requests, as
// envoy.filters.http.jwt_authn does: it lets requests in by them, and makes their
// claims known to what comes behind.
package jwt

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	jwtv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/resource/support"
	"github.com/meshc/meshc/dataplane/route"
)

const prefix = "envoy.extensions.filters.http.jwt_authn.v3."

// Supported lists the messages that New understands.
var Supported = []support.Message{
	{Name: prefix + "JwtAuthentication", Fields: []support.Field{support.F("providers", ""), support.F("rules", "the first that matches")}},
	{Name: prefix + "RequirementRule", Fields: []support.Field{support.F("match", ""), support.F("requires", "absent: nothing is asked")}},
	{Name: prefix + "JwtRequirement", Fields: []support.Field{
		support.F("provider_name", ""), support.F("requires_any", "of `provider_name`, and `allow_missing_or_failed`"),
		support.F("allow_missing", ""), support.F("allow_missing_or_failed", ""),
	}},
	{Name: prefix + "JwtRequirementOrList", Fields: []support.Field{support.F("requirements", "")}},
	{Name: prefix + "JwtProvider", Fields: []support.Field{
		support.F("issuer", ""), support.F("audiences", ""), support.F("local_jwks", "a file is read again until it has keys"), support.F("remote_jwks", ""),
		support.F("forward", "a token in a cookie is always forwarded"), support.F("from_headers", ""), support.F("from_params", ""), support.F("from_cookies", ""),
		support.F("payload_in_metadata", ""), support.F("normalize_payload_in_metadata", ""), support.F("clock_skew_seconds", "60 when 0"),
		support.F("claim_to_headers", "not claims that no header can hold"), support.F("clear_route_cache", "of all providers or of none"),
	}},
	{Name: prefix + "JwtProvider.NormalizePayload", Fields: []support.Field{support.F("space_delimited_claims", "")}},
	{Name: prefix + "JwtHeader", Fields: []support.Field{support.F("name", ""), support.F("value_prefix", "")}},
	{Name: prefix + "JwtClaimToHeader", Fields: []support.Field{support.F("header_name", ""), support.F("claim_name", "")}},
	{Name: prefix + "RemoteJwks", Fields: []support.Field{
		support.F("http_uri", ""), support.F("cache_duration", "10 min when absent, 1 s at least"),
		support.F("async_fetch", "required; the first requests wait for the first fetch"), support.F("retry_policy", ""),
	}},
	{Name: prefix + "JwksAsyncFetch"},
	{Name: "google.protobuf.Empty"},
	{Name: "envoy.config.core.v3.HttpUri", Fields: []support.Field{support.F("uri", ""), support.F("cluster", ""), support.F("timeout", "above 0")}},
	{Name: "envoy.config.core.v3.RetryPolicy", Fields: []support.Field{support.F("num_retries", "up to 9")}},
}

const defaultSkew = 60 * time.Second // of Envoy

type provider struct {
	name, issuer string
	audiences    []string
	from         []place
	keys         *source
	skew         time.Duration
	forward      bool
	metadata     string
	listed       []string // claims that are lists parted by spaces
	headers      []*jwtv3.JwtClaimToHeader
}

// Filter is the HTTP filter.
type Filter struct {
	name      string
	providers []*provider // by name
	headers   []string    // that only claims fill
	rules     []rule
	reroute   bool
	now       func() time.Time
	cache     *cache
}

type rule struct {
	matches func(*message.Request, uint64) bool // nil: every request
	demand  []demand                            // one of them must hold; none: nothing is asked
}

// demand is one question: of which providers tokens are looked for, and what may
// be wrong.
type demand struct {
	providers        []*provider
	places           []place
	missing, invalid bool // that is allowed
}

// New gives the filter of a JwtAuthentication that passed support.Table.Check.
func New(name string, p *jwtv3.JwtAuthentication) (*Filter, error) {
	f := &Filter{name: name, now: time.Now, cache: newCache(cached)}
	for _, key := range slices.Sorted(maps.Keys(p.GetProviders())) {
		one, err := newProvider(key, p.GetProviders()[key])
		if err != nil {
			return nil, fmt.Errorf("providers[%q]: %w", key, err)
		}
		f.providers = append(f.providers, one)
		for _, h := range one.headers {
			f.headers = append(f.headers, strings.ToLower(h.GetHeaderName()))
		}
		f.reroute = f.reroute || p.GetProviders()[key].GetClearRouteCache()
	}
	for i, r := range p.GetRules() {
		matches, err := route.CompileMatch(r.GetMatch())
		if err != nil {
			return nil, fmt.Errorf("rules[%d]: match: %w", i, err)
		}
		demands, err := f.demands(r.GetRequires())
		if err != nil {
			return nil, fmt.Errorf("rules[%d]: requires: %w", i, err)
		}
		f.rules = append(f.rules, rule{matches, demands})
	}
	return f, nil
}

func newProvider(name string, p *jwtv3.JwtProvider) (*provider, error) {
	out := &provider{
		name: name, issuer: p.GetIssuer(), audiences: p.GetAudiences(), from: placesOf(p), forward: p.GetForward(),
		skew: time.Duration(p.GetClockSkewSeconds()) * time.Second, metadata: p.GetPayloadInMetadata(),
		listed: p.GetNormalizePayloadInMetadata().GetSpaceDelimitedClaims(), headers: p.GetClaimToHeaders(),
	}
	if out.skew == 0 {
		out.skew = defaultSkew
	}
	if p.GetRemoteJwks() != nil && p.GetRemoteJwks().GetAsyncFetch() == nil {
		return nil, errors.New("remote_jwks: async_fetch must be set")
	}
	var err error
	out.keys, err = newSource(p)
	return out, err
}

func (f *Filter) demands(r *jwtv3.JwtRequirement) ([]demand, error) {
	switch m := r.GetRequiresType().(type) {
	case nil:
		return nil, nil
	case *jwtv3.JwtRequirement_ProviderName:
		i := slices.IndexFunc(f.providers, func(p *provider) bool { return p.name == m.ProviderName })
		if i < 0 {
			return nil, fmt.Errorf("there is no provider %q", m.ProviderName)
		}
		list := f.providers[i : i+1]
		return []demand{{providers: list, places: places(list)}}, nil
	case *jwtv3.JwtRequirement_RequiresAny:
		return f.anyOf(m.RequiresAny.GetRequirements())
	case *jwtv3.JwtRequirement_AllowMissing:
		return []demand{{providers: f.providers, places: places(f.providers), missing: true}}, nil
	case *jwtv3.JwtRequirement_AllowMissingOrFailed:
		return []demand{spare(f.providers)}, nil
	}
	return nil, errors.New("is not supported")
}

// anyOf asks one question after the other. That tokens may be missing or failed is
// asked last, wherever it stands, and of the providers of the other questions, as
// in Envoy.
func (f *Filter) anyOf(list []*jwtv3.JwtRequirement) ([]demand, error) {
	var out []demand
	var named []*provider
	spared := false
	for _, one := range list {
		if one.GetAllowMissingOrFailed() != nil {
			spared = true
			continue
		}
		if one.GetProviderName() == "" {
			return nil, errors.New("requires_any: only provider_name and allow_missing_or_failed are supported")
		}
		d, err := f.demands(one)
		if err != nil {
			return nil, err
		}
		out, named = append(out, d...), append(named, d[0].providers...)
	}
	if spared {
		out = append(out, spare(named))
	}
	return out, nil
}

// spare looks at the tokens of providers, and is content without.
func spare(list []*provider) demand {
	return demand{providers: list, places: places(list), missing: true, invalid: true}
}

// Name implements filter.HTTP.
func (f *Filter) Name() string { return f.name }

// Run implements filter.Background: keys are fetched until ctx ends.
func (f *Filter) Run(ctx context.Context, dial filter.Dial) {
	var all sync.WaitGroup
	for _, p := range f.providers {
		if p.keys.cluster != "" {
			all.Go(func() { p.keys.run(ctx, dial) })
		}
	}
	all.Wait()
}

// Inherit implements filter.Background: keys that have been fetched from the same
// place stay until others have come, also while the place does not answer.
func (f *Filter) Inherit(from filter.Background) {
	old, ok := from.(*Filter)
	if !ok {
		return
	}
	f.cache = old.cache // which knows by whose keys a token was found good
	for _, p := range f.providers {
		for _, o := range old.providers {
			p.keys.inherit(o.keys)
		}
	}
}

// What is counted, as Envoy names it.
const (
	countAllowed = iota
	countDenied
)

// Counters implements filter.Counted.
func (f *Filter) Counters() ([]string, filter.Label) {
	return []string{"jwt_authn_allowed", "jwt_authn_denied"}, filter.Label{}
}

// OnRequest implements filter.HTTP.
func (f *Filter) OnRequest(s *filter.Stream) filter.Verdict {
	v := f.decide(s)
	switch {
	case v.Until != nil: // keys are on their way
	case v.Status != 0:
		s.Count(countDenied)
	default:
		s.Count(countAllowed)
	}
	return v
}

// decide takes headers that claims are put in away first, whatever is asked of the
// request.
func (f *Filter) decide(s *filter.Stream) filter.Verdict {
	for _, name := range f.headers {
		removeField(s.Request, name)
	}
	for i := range f.rules {
		r := &f.rules[i]
		if r.matches != nil && !r.matches(s.Request, s.Random) {
			continue
		}
		if len(r.demand) == 0 {
			return filter.Verdict{}
		}
		return f.judge(s, r.demand)
	}
	return filter.Verdict{}
}

// judge asks one question after the other until one is answered well.
func (f *Filter) judge(s *filter.Stream, list []demand) filter.Verdict {
	var last failure
	for i := range list {
		d := &list[i]
		var room [4]found
		tokens := room[:0]
		for j := range d.places {
			tokens = d.places[j].find(s.Request, tokens)
		}
		good, wait, why := f.verify(d, tokens)
		if wait != nil {
			return filter.Verdict{Until: wait}
		}
		if last = why; last == fine {
			return filter.Verdict{Reroute: f.take(s, good) && f.reroute}
		}
	}
	return denied(s, last)
}

// verified is a token that is valid, and whose it is.
type verified struct {
	found
	by     *provider
	claims *structpb.Struct
}

// verify looks at all tokens. Envoy begins with the last; where a token may be
// missing, the one it looks at last decides, elsewhere all must be valid.
func (f *Filter) verify(d *demand, tokens []found) (good []verified, wait *filter.Event, why failure) {
	if len(tokens) == 0 {
		if d.missing {
			return nil, nil, fine
		}
		return nil, nil, missing
	}
	for _, t := range slices.Backward(tokens) {
		one, wait, failed := f.one(d, t)
		if wait != nil {
			return nil, wait, fine
		}
		if why = failed; failed == fine {
			good = append(good, one)
			continue
		}
		if !d.missing && !d.invalid {
			return nil, nil, why
		}
	}
	if d.invalid {
		why = fine
	}
	return good, nil, why
}

// one judges one token. What is known of it by its signature alone is asked of the
// cache; its time, and whose it is, are looked at each time.
func (f *Filter) one(d *demand, at found) (out verified, wait *filter.Event, why failure) {
	var name tokenName
	var known vouched
	short := len(at.text) <= maxCached // a name costs a hash of all of it
	if short {
		name = nameOf(at.text)
		known = f.cache.get(name)
	}
	t := known.token
	if t == nil {
		if t, why = parse(at.text); why != fine {
			return out, nil, why
		}
	}
	issuer := t.text("iss")
	if !at.at.takes(issuer) {
		return out, nil, unknownIssuer
	}
	p := byIssuer(d.providers, issuer)
	if p == nil {
		return out, nil, unknownIssuer
	}
	now := f.now()
	if why := t.inTime(float64(now.Unix()), p.skew.Seconds()); why != fine {
		if known.token != nil {
			f.cache.drop(name)
		}
		return out, nil, why
	}
	if len(p.audiences) > 0 && !slices.ContainsFunc(t.audiences(), func(a string) bool { return a != "" && slices.Contains(p.audiences, a) }) {
		return out, nil, wrongAudience
	}
	keys := p.keys.keys()
	switch {
	case keys == nil && p.keys.waits():
		return out, &p.keys.first, fine
	case keys == nil && p.keys.cluster != "":
		return out, nil, keysNotThere
	case keys == nil:
		return out, nil, noKeys
	case known.by == keys:
		return verified{at, p, t.claims}, nil, fine
	}
	if why = keys.verify(t); why == fine && short {
		f.cache.put(name, vouched{t, keys})
	}
	return verified{at, p, t.claims}, nil, why
}

// byIssuer finds the provider of an issuer, else the one that is for every issuer.
func byIssuer(list []*provider, issuer string) *provider {
	var any *provider
	for _, p := range list {
		switch p.issuer {
		case issuer:
			return p
		case "":
			if any == nil {
				any = p
			}
		}
	}
	return any
}

// take makes known what the tokens say; false: there are none.
func (f *Filter) take(s *filter.Stream, good []verified) bool {
	for i := range good {
		v := &good[i]
		for _, h := range v.by.headers {
			if value := headerValue(v.claims, h.GetClaimName()); value != "" {
				s.Request.Fields = append(s.Request.Fields, message.Field{Name: strings.ToLower(h.GetHeaderName()), Value: value})
			}
		}
		if !v.by.forward {
			v.at.remove(s.Request)
		}
		if v.by.metadata != "" {
			if s.Request.Metadata == nil {
				s.Request.Metadata = make(map[string]*structpb.Struct)
			}
			known := s.Request.Metadata[f.name]
			if known == nil {
				known = &structpb.Struct{Fields: make(map[string]*structpb.Value)}
				s.Request.Metadata[f.name] = known
			}
			known.Fields[v.by.metadata] = structpb.NewStructValue(normal(v.claims, v.by.listed))
		}
	}
	return len(good) > 0
}

// normal is the claims with those as lists that are texts parted by spaces. The
// claims themselves stay as they are: other requests have them too.
func normal(claims *structpb.Struct, listed []string) *structpb.Struct {
	if len(listed) > 0 {
		claims = &structpb.Struct{Fields: maps.Clone(claims.GetFields())}
	}
	for _, name := range listed {
		text, ok := claims.GetFields()[name].GetKind().(*structpb.Value_StringValue)
		if !ok {
			continue
		}
		list := &structpb.ListValue{}
		for word := range strings.FieldsSeq(text.StringValue) {
			list.Values = append(list.Values, structpb.NewStringValue(word))
		}
		claims.Fields[name] = structpb.NewListValue(list)
	}
	return claims
}

// denied is the answer to a request: 403 where the token is for others, else 401
// with what to do about it (RFC 6750, 3).
func denied(s *filter.Stream, why failure) filter.Verdict {
	status, challenge := 401, `Bearer realm="`+realm(s.Request)+`"`
	switch why {
	case wrongAudience:
		status, challenge = 403, ""
	case missing:
	default:
		challenge += `, error="invalid_token"`
	}
	if challenge != "" {
		s.Add = append(s.Add, message.Field{Name: "www-authenticate", Value: challenge})
	}
	return filter.Verdict{
		Status: status, Body: string(why), Flag: "UAEX",
		Details: accessDeniedMark + "{" + strings.ReplaceAll(string(why), " ", "_") + "}",
	}
}

// realm is the URL of the request without its query. A quote or backslash would
// end the text that it is put in.
func realm(req *message.Request) string {
	return strings.NewReplacer(`"`, "%22", `\`, "%5C").Replace(req.Scheme + "://" + req.Authority + route.PathOf(req))
}
