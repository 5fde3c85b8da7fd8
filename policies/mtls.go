package policies

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
)

// strength of what a port of a service accepts.
var strength = map[model.MTLSMode]int{model.MTLSDisable: 0, model.MTLSPermissive: 1, model.MTLSStrict: 2}

// asking is how much listeners ask of clients.
var asking = map[model.TLSMode]int{model.TLSTerminate: 1, model.TLSOptionalMutual: 2, model.TLSMutual: 3}

// loosened finds the ports, listeners and externals that take, or show, less
// than before. A port that is new is held against its service.
func (c *change) loosened() []finding {
	var out []finding
	before, after := c.paired().Before, c.paired().After
	weaker := func(kind behave.Kind, ref model.Ref, at model.Origin, port uint16, what []string) {
		of := behave.Name{Kind: kind, Ref: c.paired().Shown(ref)}
		if len(what) > 0 {
			out = append(out, finding{code: diag.PolicyMTLS, of: of, at: at,
				text: fmt.Sprintf("port %d of %s %s: %s", port, of.Kind, of.Ref, strings.Join(what, "; "))})
		}
	}
	for _, now := range after.Services {
		if old := before.Service(now.Ref); old != nil {
			gone := guarded(before, old) && !guarded(after, now)
			for _, p := range now.Ports {
				weaker(behave.ServiceKind, now.Ref, placeOf(p.Origin, now.Origin), p.Number, weakerPort(old, now, p.Number, gone))
			}
		}
	}
	for _, now := range after.Gateways {
		if old := before.Gateway(now.Ref); old != nil {
			for i := range now.Listeners {
				l := &now.Listeners[i]
				weaker(behave.GatewayKind, now.Ref, placeOf(l.Origin, now.Origin), l.Port, weakerListener(listener(old, l.Port), l))
			}
		}
	}
	for _, now := range after.Externals {
		for _, p := range now.Ports {
			at, tls := placeOf(p.Origin, now.Origin), now.TLSOn(p.Number)
			if old := before.External(now.Ref); old != nil {
				weaker(behave.ExternalKind, now.Ref, at, p.Number, weakerOrigin(old.TLSOn(p.Number), tls))
			}
			if old := before.Service(now.Ref); old != nil && guarded(before, old) && tls == nil && now.Via == nil {
				weaker(behave.ExternalKind, now.Ref, at, p.Number, plaintextNow(old, p.Number))
			}
		}
	}
	return append(out, c.patched()...)
}

func placeOf(own, whole model.Origin) model.Origin {
	if own.IsZero() {
		return whole
	}
	return own
}

// guarded says that there is a proxy beside a service, which asks for mutual TLS.
func guarded(m *model.Mesh, s *model.Service) bool {
	return m.RoleOf(s) != model.RoleGRPC && !s.Injection.Off
}

// plaintextNow says what callers of a service lose that is an external now, which
// they call in plaintext.
func plaintextNow(old *model.Service, port uint16) []string {
	mode := old.MTLS
	if old.Port(port) != nil {
		mode = old.ModeOn(port)
	}
	if mode == model.MTLSDisable {
		return nil
	}
	return []string{fmt.Sprintf("it is an external now that is called in plaintext, and mutual TLS was %s", mode)}
}

// weakerPort goes by what the proxy asks for; gone says that there is none now.
func weakerPort(old, now *model.Service, port uint16, gone bool) []string {
	before, after := old.MTLS, now.ModeOn(port)
	if old.Port(port) != nil {
		before = old.ModeOn(port)
	}
	if gone && strength[before] > strength[model.MTLSDisable] {
		return []string{fmt.Sprintf("no proxy asks for mutual TLS, which was %s", before)}
	}
	if strength[after] < strength[before] {
		return []string{fmt.Sprintf("mutual TLS is %s, and was %s", after, before)}
	}
	return nil
}

func listener(g *model.Gateway, port uint16) *model.GatewayListener {
	for i := range g.Listeners {
		if g.Listeners[i].Port == port {
			return &g.Listeners[i]
		}
	}
	return nil
}

// weakerListener says what clients are asked for no more. Of TLS that is passed
// through the service asks, whatever it is.
func weakerListener(old, now *model.GatewayListener) []string {
	if old == nil || old.TLS == nil {
		return nil
	}
	if now.TLS == nil {
		return []string{fmt.Sprintf("it is %s without TLS of its own, and TLS was %s", now.Protocol, old.TLS.Mode)}
	}
	var out []string
	if asking[now.TLS.Mode] < asking[old.TLS.Mode] {
		out = append(out, fmt.Sprintf("TLS is %s, and was %s", now.TLS.Mode, old.TLS.Mode))
	}
	if now.TLS.MinVersion < old.TLS.MinVersion {
		out = append(out, fmt.Sprintf("TLS %s is taken, and the least was %s", now.TLS.MinVersion, old.TLS.MinVersion))
	}
	if asking[old.TLS.Mode] > asking[model.TLSTerminate] {
		if len(old.TLS.Pins) > 0 && (len(now.TLS.Pins) == 0 || !within(now.TLS.Pins, old.TLS.Pins)) {
			out = append(out, "clients may have other keys than those that were pinned")
		}
		if now.TLS.CA != nil && !reflect.DeepEqual(nameOf(now.TLS.CA), nameOf(old.TLS.CA)) {
			out = append(out, "another CA vouches for clients")
		}
	}
	return out
}

// weakerOrigin says what servers are asked for no more, or callers show no more.
func weakerOrigin(old, now *model.ExternalTLS) []string {
	switch {
	case old == nil:
		return nil
	case now == nil:
		return []string{"it is called in plaintext, and was not"}
	}
	var out []string
	if now.Insecure != nil && old.Insecure == nil {
		out = append(out, "its certificate is not verified any more")
	}
	if old.Mode == model.TLSMutual && now.Mode != model.TLSMutual {
		out = append(out, "callers show no certificate any more")
	}
	if now.MinVersion < old.MinVersion {
		out = append(out, fmt.Sprintf("TLS %s is taken, and the least was %s", now.MinVersion, old.MinVersion))
	}
	if !within(now.SANs, old.SANs) {
		out = append(out, "its certificate may have other names: "+strings.Join(now.SANs, ", "))
	}
	if !reflect.DeepEqual(nameOf(now.CA), nameOf(old.CA)) {
		out = append(out, "another CA vouches for it")
	}
	return out
}

func within(some, all []string) bool {
	return !slices.ContainsFunc(some, func(s string) bool { return !slices.Contains(all, s) })
}

// nameOf is a secret without its place; the zero value for none.
func nameOf(s *model.Secret) model.Secret {
	if s == nil {
		return model.Secret{}
	}
	out := *s
	out.Origin = model.Origin{}
	return out
}

// patched says that it is not known where a patch may loosen anything: one that
// comes or goes, for the proxies that it names.
func (c *change) patched() []finding {
	before, after := plain(c.paired().Before.Raw), plain(c.paired().After.Raw)
	var out []finding
	for i, r := range after {
		if !has(before, r) {
			out = append(out, patch(r, c.after.Raw[i].Origin)...)
		}
	}
	for _, r := range before {
		if !has(after, r) {
			out = append(out, patch(r, model.Origin{})...)
		}
	}
	return out
}

func patch(r model.Raw, at model.Origin) []finding {
	kind := behave.ServiceKind
	if r.OfGateways() {
		kind = behave.GatewayKind
	}
	of := []behave.Name{{}} // every proxy: nobody can be exempt
	if len(r.Proxies) > 0 {
		of = nil
	}
	for _, ref := range r.Proxies {
		of = append(of, behave.Name{Kind: kind, Ref: ref})
	}
	var out []finding
	for _, name := range of {
		out = append(out, finding{code: diag.PolicyUnknown, of: name, at: at,
			text: fmt.Sprintf("it cannot be told whether mutual TLS is loosened by patch %q of `raw`, which comes, goes or changes", r.Name)})
	}
	return out
}

// plain are patches without their places.
func plain(all []model.Raw) []model.Raw {
	out := slices.Clone(all)
	for i := range out {
		out[i].Origin, out[i].PatchOrigin, out[i].HashOrigin = model.Origin{}, model.Origin{}, model.Origin{}
	}
	return out
}

func has(all []model.Raw, r model.Raw) bool {
	return slices.ContainsFunc(all, func(o model.Raw) bool { return reflect.DeepEqual(o, r) })
}
