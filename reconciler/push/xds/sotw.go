package xds

import (
	"fmt"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
)

// world feeds one request of the state-of-the-world protocol to the session.
// A request whose nonce is not the newest is stale: the client will answer the
// newer response too, and say there what it subscribes to.
func (s *session) world(now time.Time, r *discoveryv3.DiscoveryRequest) error {
	s.done, s.calm = false, false // until it is planned anew
	t, ok := typeOf(r.GetTypeUrl())
	if !ok {
		return fmt.Errorf("resource type %q is not served", r.GetTypeUrl())
	}
	ts, nonce := &s.types[t], r.GetResponseNonce()
	first := !ts.seen
	switch {
	case nonce == "":
	case ts.flight != nil && nonce == ts.flight.nonce:
		s.answer(now, t, nonce, r.GetErrorDetail() != nil, r.GetErrorDetail().GetMessage())
	case ts.flight == nil && nonce == ts.lastNonce:
	default:
		return nil
	}
	if err := s.setNames(t, r.GetResourceNames()); err != nil {
		return err
	}
	if first && r.GetVersionInfo() != "" {
		s.resume(t, r.GetVersionInfo())
	}
	return nil
}

// resume spares a reconnecting client the set that it holds already.
func (s *session) resume(t Type, version string) {
	held := map[string]*Resource{}
	for _, name := range s.candidates(t) {
		if want, v := s.wanted(Key{t, name}); v == send {
			held[name] = want
		}
	}
	if len(held) == 0 || setVersion(held) != version {
		s.types[t].strange = true
		return
	}
	s.types[t].acked, s.types[t].answered = held, s.types[t].wild
}

// world encodes a response with the whole set.
func (r *response) world() *discoveryv3.DiscoveryResponse {
	out := &discoveryv3.DiscoveryResponse{TypeUrl: r.typ.URL(), Nonce: r.nonce, VersionInfo: r.version}
	for _, res := range r.resources {
		out.Resources = append(out.Resources, res.Body)
	}
	return out
}
