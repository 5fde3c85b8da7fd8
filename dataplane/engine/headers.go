package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/snapshot"
)

// setForwarded does what Envoy's connection manager does to a request before it
// is routed: nothing that speaks of trust between hops comes from a stranger.
func (s *stream) setForwarded() {
	h := s.chain.http
	req := s.req.Request
	if h.UseRemoteAddress {
		var kept []string
		if h.TrustedHops > 0 {
			kept = keptOfHops
		}
		req.Fields = dropInternal(req.Fields, kept)
		s.findClient(h.TrustedHops)
		s.appendForwardedFor()
		if h.TrustedHops > 0 {
			s.takeScheme()
		} else {
			req.Fields = setField(req.Fields, "x-forwarded-proto", req.Scheme)
		}
	} else {
		if len(h.Trusted) > 0 {
			req.Fields = dropInternal(req.Fields, keptOfNetworks)
			s.findClientBehind(h.Trusted)
			s.appendForwardedFor()
		} else {
			req.Fields = dropOrders(req.Fields)
		}
		s.takeScheme()
	}
	s.setRequestID()
	s.setXFCC()
}

// What proxies in front of a gateway are believed about, beside x-forwarded-for. Those
// of networks say which request it is, as in Envoy; nobody's x-envoy- is taken, for
// they may hand on what their client has written.
var (
	keptOfHops     = []string{"x-forwarded-proto"}
	keptOfNetworks = []string{"x-forwarded-proto", "x-request-id"}
)

// dropInternal removes, in every spelling that a backend might fold into it,
// what only a proxy of the mesh may say, but for what is kept. x-forwarded-for stays:
// it is appended to, and the last entry is ours.
func dropInternal(fields []message.Field, keep []string) []message.Field {
	kept := fields[:0]
	for _, f := range fields {
		if !internal(f.Name) || slices.Contains(keep, f.Name) {
			kept = append(kept, f)
		}
	}
	return kept
}

func internal(name string) bool {
	if len(name) < 8 || name[0] != 'x' || name[1] != '-' && name[1] != '_' {
		return false
	}
	n := name
	if strings.IndexByte(name, '_') >= 0 {
		n = strings.ReplaceAll(name, "_", "-")
	}
	return strings.HasPrefix(n, "x-envoy-") || n == "x-request-id" || n == "x-forwarded-proto" ||
		n != name && strings.HasPrefix(n, "x-forwarded-")
}

func (s *stream) appendForwardedFor() {
	ip := s.who.remote.Addr().String()
	fields := s.req.Fields
	for i := len(fields) - 1; i >= 0; i-- {
		if fields[i].Name == "x-forwarded-for" {
			fields[i].Value += "," + ip
			return
		}
	}
	s.req.Fields = append(fields, message.Field{Name: "x-forwarded-for", Value: ip})
}

// setRequestID makes a version 4 UUID when there is none. A stranger's is gone
// already, as in Envoy.
func (s *stream) setRequestID() {
	if !s.chain.http.GenerateRequestID {
		return
	}
	if _, ok := message.Get(s.req.Fields, "x-request-id"); ok {
		return
	}
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:], s.w.draw())
	binary.BigEndian.PutUint64(raw[8:], s.w.draw())
	raw[6] = raw[6]&0x0f | 0x40
	raw[8] = raw[8]&0x3f | 0x80
	var text [36]byte
	hex.Encode(text[:8], raw[:4])
	hex.Encode(text[9:13], raw[4:6])
	hex.Encode(text[14:18], raw[6:8])
	hex.Encode(text[19:23], raw[8:10])
	hex.Encode(text[24:], raw[10:])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	s.req.Fields = append(s.req.Fields, message.Field{Name: "x-request-id", Value: string(text[:])})
}

const xfcc = "x-forwarded-client-cert"

// setXFCC follows forward_client_cert_details. Forwarding trusts a client that
// has shown a certificate, and only that one.
func (s *stream) setXFCC() {
	mode := s.chain.http.ForwardClientCert
	if mode == snapshot.AlwaysForwardOnlyXFCC {
		return
	}
	mutual := s.who.xfcc != ""
	fields := s.req.Fields
	switch {
	case mutual && mode == snapshot.ForwardOnlyXFCC:
	case mutual && mode == snapshot.AppendForwardXFCC:
		for i := range fields {
			if fields[i].Name == xfcc {
				fields[i].Value += "," + s.who.xfcc
				return
			}
		}
		s.req.Fields = append(fields, message.Field{Name: xfcc, Value: s.who.xfcc})
	default:
		s.req.Fields = removeSpellings(fields, xfcc)
		if mutual && mode == snapshot.SanitizeSetXFCC {
			s.req.Fields = append(s.req.Fields, message.Field{Name: xfcc, Value: s.who.xfcc})
		}
	}
}

// identify takes down who the client is, once per connection.
func (d *dconn) identify() {
	cs := d.connectionState()
	d.peer.TLS, d.peer.Identity = true, d.w.e.opts.Identity
	if len(cs.PeerCertificates) == 0 {
		return
	}
	if id, ok := peerID(*cs); ok {
		d.peer.SPIFFEID = id
	}
	hash := sha256.Sum256(cs.PeerCertificates[0].Raw)
	var b strings.Builder
	if own := d.w.e.opts.Identity; own != "" {
		b.WriteString("By=" + own + ";")
	}
	b.WriteString("Hash=" + hex.EncodeToString(hash[:]))
	if d.peer.SPIFFEID != "" {
		b.WriteString(";URI=" + d.peer.SPIFFEID)
	}
	d.xfcc = b.String()
}

// mutateResponse applies the route's response headers, in Envoy's order.
func (s *stream) mutateResponse(fields []message.Field) []message.Field {
	if s.dest != nil {
		fields = s.dest.Response.Apply(fields)
	}
	if s.route != nil {
		fields = s.route.Response.Apply(fields)
	}
	return fields
}

// finishResponse adds what filters set, and what every response has: a date (RFC
// 9110 §6.6.1) and the configured server name.
func (s *stream) finishResponse(fields []message.Field) []message.Field {
	for _, f := range s.fs.Set {
		fields = setField(fields, f.Name, f.Value)
	}
	fields = append(fields, s.fs.Add...)
	fields = s.fs.Change.Apply(fields)
	if name := s.chain.http.ServerName; name != "" {
		fields = setField(fields, "server", name)
	}
	if _, ok := message.Get(fields, "date"); !ok {
		fields = append(fields, message.Field{Name: "date", Value: s.w.dateField()})
	}
	return fields
}

// without is the fields but for those of these names.
func without(fields []message.Field, names []string) []message.Field {
	for _, name := range names {
		fields = slices.DeleteFunc(fields, func(f message.Field) bool { return f.Name == name })
	}
	return fields
}

func setField(fields []message.Field, name, value string) []message.Field {
	kept := fields[:0]
	for _, f := range fields {
		if f.Name != name {
			kept = append(kept, f)
		}
	}
	return append(kept, message.Field{Name: name, Value: value})
}

func removeSpellings(fields []message.Field, name string) []message.Field {
	kept := fields[:0]
	for _, f := range fields {
		if len(f.Name) != len(name) || strings.ReplaceAll(f.Name, "_", "-") != name {
			kept = append(kept, f)
		}
	}
	return kept
}

// ignoredUpgrade: offers of a newer HTTP may be declined in silence (RFC 9110
// §7.8), and some clients make them with every request. Anything else is for the
// route to allow.
func ignoredUpgrade(to string) bool {
	return strings.EqualFold(to, "h2c") || strings.HasPrefix(to, "HTTP/") || strings.HasPrefix(to, "TLS/")
}
