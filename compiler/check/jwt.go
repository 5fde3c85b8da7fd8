package check

import (
	"path"
	"slices"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// tokens judges whose tokens are verified, and what needs none.
func (o *ruleOwner) tokens() {
	issuers, headers := map[string]diag.Range{}, map[string]diag.Range{}
	for _, t := range o.sec.JWT {
		if first, again := issuers[t.Issuer.V]; again {
			o.report(diag.SameIssuer, t.Issuer.At, "%s %q has two providers of issuer %q", o.kind, o.name, literal.Clip(t.Issuer.V)).
				Related = []diag.Related{{Range: first, Message: "the first one"}}
		}
		issuers[t.Issuer.V] = t.Issuer.At
		if first := o.sec.JWT[0]; t.Required.V != first.Required.V {
			o.report(diag.MixedRequired, t.Required.At, "%s %q requires tokens of some providers, and of others not", o.kind, o.name).
				Related = []diag.Related{{Range: first.Required.At, Message: "another one"}}
		}
		o.provider(t)
		o.claimHeaders(t, headers)
	}
	if len(o.sec.JWT) > 0 && o.service != nil && !slices.ContainsFunc(o.service.Ports, scope.IsHTTP) && len(o.service.Ports) > 0 {
		o.ofHTTP(o.sec.JWT[0].At, "jwt", "service \""+o.name+"\"")
	}
	if len(o.sec.Public) > 0 && len(o.sec.JWT) == 0 {
		o.report(diag.PublicAnyway, o.sec.Public[0].At, "%s %q has public requests, and asks for no token", o.kind, o.name).Help = "take `public` away, or write `jwt`"
	}
	o.someRequests(o.sec.Public, "is public")
}

// someRequests judges conditions on requests only; what says what those are that
// meet them.
func (o *ruleOwner) someRequests(list []*intent.Rule, what string) {
	for _, r := range list {
		if list := r.EmptyList(); list != "" {
			o.report(diag.RuleNeverHolds, r.At, "%s %q: `%s` of these requests is empty, and none %s", o.kind, o.name, list, what).Help = "leave `" + list + "` out"
		}
		o.hostPatterns(r.Hosts)
		o.methods(r.Methods)
		for _, p := range r.Paths {
			o.path(p)
		}
	}
}

func (o *ruleOwner) provider(t *intent.JWT) {
	if t.Issuer.V == "" {
		o.report(diag.WrongValue, t.Issuer.At, "provider %q has no issuer", t.Name.V)
	}
	if t.Audiences != nil && len(t.Audiences) == 0 {
		o.report(diag.WrongValue, t.At, "provider %q: `audiences` is an empty list", t.Name.V).Help = "leave it out to take tokens for everybody"
	}
	o.listedTwice("`audiences`", t.Audiences, same)
	o.jwks(t)
	if t.From != nil && len(t.From) == 0 {
		o.report(diag.BadTokenPlace, t.At, "provider %q: `from` is an empty list", t.Name.V).Help = "leave it out for the header authorization"
	}
	structTwice(o.overIntent, "`from`", t.From, func(p *intent.TokenPlace) diag.Range { return p.At })
	for _, p := range t.From {
		o.tokenPlace(t, p)
	}
	if t.ClockSkew != nil {
		o.wholeSeconds(*t.ClockSkew, "clockSkew")
	}
}

// wholeSeconds refuses fractions, and more than a proxy can count.
func (c *overIntent) wholeSeconds(v intent.Value[string], field string) {
	d, err := literal.Duration(v.V)
	switch {
	case err != nil:
		meantDuration(c.report(diag.BadDuration, v.At, "%s", err), v)
	case d%time.Second != 0:
		c.report(diag.WrongValue, v.At, "`%s` is %s, and counts whole seconds", field, v.V)
	}
}

func (o *ruleOwner) jwks(t *intent.JWT) {
	k := t.JWKS
	switch {
	case (k.External == nil) == (k.File == nil):
		o.report(diag.BadKeys, k.At, "provider %q: `jwks` is exactly one of external and file", t.Name.V)
	case k.File != nil:
		if !path.IsAbs(k.File.V) || path.Clean(k.File.V) != k.File.V {
			o.report(diag.BadKeys, k.File.At, "provider %q: %q is not the absolute path of a file", t.Name.V, literal.Clip(k.File.V))
		}
		for name, v := range map[string]*intent.Value[string]{"port": k.Port, "path": k.Path, "cache": k.Cache} {
			if v != nil {
				o.report(diag.BadKeys, v.At, "provider %q: `%s` is about an external, and the keys are in a file", t.Name.V, name).Help = "leave it out"
			}
		}
	default:
		o.keysOf(t, k)
	}
}

// keysOf judges keys that an external serves.
func (o *ruleOwner) keysOf(t *intent.JWT, k *intent.JWKS) {
	switch {
	case k.Path == nil:
		o.report(diag.BadKeys, k.At, "provider %q: `path` of the keys is missing", t.Name.V)
	case !strings.HasPrefix(k.Path.V, "/") || strings.ContainsFunc(k.Path.V, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '#' }):
		o.report(diag.BadKeys, k.Path.At, "provider %q: %q is not the path of a URL", t.Name.V, literal.Clip(k.Path.V))
	}
	if k.Cache != nil {
		if d, err := literal.Duration(k.Cache.V); err != nil {
			meantDuration(o.report(diag.BadDuration, k.Cache.At, "%s", err), *k.Cache)
		} else if d < time.Second {
			o.report(diag.WrongValue, k.Cache.At, "provider %q: keys are kept for a second at least", t.Name.V)
		}
	}
	ref := literal.Ref(k.External.V, o.ref.Namespace)
	e := o.scope.External(ref)
	if e == nil {
		var known []string
		for _, x := range o.mesh.Externals {
			known = append(known, written(scope.ExternalRef(x), o.ref.Namespace))
		}
		meantText(o.report(diag.UnknownKeys, k.External.At, "provider %q: there is no external %q", t.Name.V, k.External.V), *k.External, known, nil)
		return
	}
	o.needsUse(*k.External)
	port := scope.KeyPort(e, k)
	switch {
	case port == nil && k.Port != nil:
		var known []string
		for _, p := range e.Ports {
			known = append(known, p.Name.V)
		}
		meantText(o.report(diag.UnknownKeys, k.Port.At, "provider %q: external %q has no port %q", t.Name.V, e.Name.V, k.Port.V), *k.Port, known, nil)
	case port == nil:
		o.report(diag.UnknownKeys, k.External.At, "provider %q: external %q has %d ports", t.Name.V, e.Name.V, len(e.Ports)).Help = "write `port`"
	case !scope.IsHTTP(port) || port.Protocol.V == string(model.GRPC):
		o.report(diag.UnknownKeys, k.External.At, "provider %q: port %q of external %q is %s, and keys are served by http", t.Name.V, port.Name.V, e.Name.V, port.Protocol.V)
	default:
		o.verified(t, k, e, port)
	}
}

// verified wants keys to come from who is meant.
func (o *ruleOwner) verified(t *intent.JWT, k *intent.JWKS, e *intent.External, port *intent.Port) {
	tls := e.TLS
	named := func(v intent.Value[string]) bool { return v.V == port.Name.V }
	why := ""
	switch {
	case tls == nil || tls.Ports != nil && !slices.ContainsFunc(tls.Ports, named):
		why = "is asked in plaintext"
	case tls.Insecure != nil:
		why = "shows a certificate that is not verified"
	default:
		return
	}
	d := o.report(diag.KeysUnverified, k.External.At, "provider %q: external %q %s, so anybody on the way can exchange the keys", t.Name.V, e.Name.V, why)
	d.Help = "write `tls: {}` there"
	d.Related = []diag.Related{{Range: e.At, Message: "the external"}}
}

// needsUse wants what the proxy of a service asks to be declared.
func (o *ruleOwner) needsUse(name intent.Value[string]) {
	if o.service == nil {
		return
	}
	ref := literal.Ref(name.V, o.ref.Namespace)
	for _, u := range o.service.Uses {
		if literal.Ref(u.Ref.V, o.ref.Namespace) == ref {
			return
		}
	}
	d := o.report(diag.NeedsUse, name.At, "service %q does not declare to use %q, which its proxy asks", o.name, name.V)
	d.Help = "add `uses: \"" + written(ref, o.ref.Namespace) + "\": {}`"
}

func (o *ruleOwner) tokenPlace(t *intent.JWT, p *intent.TokenPlace) {
	n := 0
	for _, v := range []*intent.Value[string]{p.Header, p.Query, p.Cookie} {
		if v != nil {
			n++
		}
	}
	switch {
	case n != 1:
		o.report(diag.BadTokenPlace, p.At, "provider %q: a place for tokens is exactly one of header, query and cookie", t.Name.V)
	case p.Prefix != nil && p.Header == nil:
		o.report(diag.BadTokenPlace, p.Prefix.At, "provider %q: `prefix` goes with header", t.Name.V).Help = "leave it out"
	case p.Header != nil && unusableHeader(strings.ToLower(p.Header.V)) != "":
		o.report(diag.BadTokenPlace, p.Header.At, "provider %q: header %q carries no token: %s", t.Name.V, p.Header.V, unusableHeader(strings.ToLower(p.Header.V)))
	case p.Query != nil && (p.Query.V == "" || strings.ContainsFunc(p.Query.V, outsideQueryName)):
		o.report(diag.BadTokenPlace, p.Query.At, "provider %q: %q is no name of a query parameter", t.Name.V, literal.Clip(p.Query.V))
	case p.Cookie != nil && (p.Cookie.V == "" || strings.ContainsAny(p.Cookie.V, " \t;=,\"")):
		o.report(diag.BadTokenPlace, p.Cookie.At, "provider %q: %q is no name of a cookie", t.Name.V, literal.Clip(p.Cookie.V))
	}
}

func outsideQueryName(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("&=#%+", r) }

// claimHeaders judges the headers of one provider; taken are those of others.
func (o *ruleOwner) claimHeaders(t *intent.JWT, taken map[string]diag.Range) {
	for _, h := range t.ClaimHeaders {
		name := strings.ToLower(h.Key.V)
		if why := unchangeableHeader(name); why != "" {
			o.report(diag.ClaimHeader, h.Key.At, "provider %q: header %q holds no claim: %s", t.Name.V, h.Key.V, why)
		}
		if first, again := taken[name]; again {
			o.report(diag.ClaimHeader, h.Key.At, "header %q holds two claims", name).Related = []diag.Related{{Range: first, Message: "the first one"}}
		}
		taken[name] = h.Key.At
		if why := badClaim(h.Value.V); why != "" {
			o.report(diag.BadClaim, h.Value.At, "provider %q: %q %s", t.Name.V, literal.Clip(h.Value.V), why)
			continue
		}
		if slices.ContainsFunc(model.ClaimPath(h.Value.V), func(s string) bool { return strings.Contains(s, ".") }) {
			o.report(diag.BadClaim, h.Value.At, "provider %q: claim %q cannot be put into a header: Envoy reads its dots as steps", t.Name.V, literal.Clip(h.Value.V))
		}
	}
}

// badClaim says why a name leads to no claim, or "".
func badClaim(claim string) string {
	switch {
	case claim == "":
		return "names no claim"
	case slices.Contains(model.ClaimPath(claim), ""):
		return "has an empty name in it"
	case strings.HasPrefix(claim, "/") && strings.Contains(strings.NewReplacer("~0", "", "~1", "").Replace(claim), "~"):
		return "is no JSON Pointer (RFC 6901): after \"~\" comes 0 or 1"
	}
	return ""
}
