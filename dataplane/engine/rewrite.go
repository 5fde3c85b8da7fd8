package engine

import (
	"strings"

	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/route"
)

// rewrite changes what the upstream gets. As Envoy's router it keeps what was
// asked for in x-envoy-original-path and x-envoy-original-host. It gives false
// for a new path that no request may have: what is left of a client's path could
// else be an absolute URL, whose host counts more than ours (RFC 9112 §3.2.2), or
// climb out of where the route leads.
func (s *stream) rewrite(r *route.Rewrite) bool {
	if r == nil {
		return true
	}
	if r.Path != nil {
		old := s.req.Target
		s.req.Fields = setField(s.req.Fields, "x-envoy-original-path", old)
		s.req.Target = r.Path.Apply(old)
		if path := s.req.Path(); s.req.Target != old && (!strings.HasPrefix(path, "/") || message.AmbiguousPath(path)) {
			return false
		}
	}
	if r.Host != "" {
		s.req.Fields = setField(s.req.Fields, "x-envoy-original-host", s.req.Authority)
		s.req.Authority = r.Host
	}
	return true
}

// location says where a redirect leads. It goes before the route's changes of
// response headers, as Envoy's does.
func (s *stream) location(fields []message.Field) []message.Field {
	if s.details != "direct_response" || s.route == nil || s.route.Redirect == nil {
		return fields
	}
	return append(fields, message.Field{Name: "location", Value: s.route.Redirect.Location(s.req.Request)})
}

// takeScheme believes x-forwarded-proto, which says how the client came to the
// first proxy (Envoy: ConnectionManagerUtility::mutateRequestHeaders).
func (s *stream) takeScheme() {
	req := s.req.Request
	switch proto, ok := message.Get(req.Fields, "x-forwarded-proto"); {
	case !ok:
		req.Fields = append(req.Fields, message.Field{Name: "x-forwarded-proto", Value: req.Scheme})
	case proto == "http" || proto == "https":
		req.Scheme = proto
	}
}
