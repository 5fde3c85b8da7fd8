package xds

import (
	"fmt"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
)

// delta feeds one request of the incremental protocol to the session.
func (s *session) delta(now time.Time, r *discoveryv3.DeltaDiscoveryRequest) error {
	s.done, s.calm = false, false // until it is planned anew
	t, ok := typeOf(r.GetTypeUrl())
	if !ok {
		return fmt.Errorf("resource type %q is not served", r.GetTypeUrl())
	}
	if nonce := r.GetResponseNonce(); nonce != "" {
		s.answer(now, t, nonce, r.GetErrorDetail() != nil, r.GetErrorDetail().GetMessage())
	}
	if err := s.subscribe(t, r.GetResourceNamesSubscribe(), r.GetInitialResourceVersions()); err != nil {
		return err
	}
	s.unsubscribe(t, r.GetResourceNamesUnsubscribe())
	return nil
}

// delta encodes a response. The version of the whole is for people:
// the protocol compares the versions of single resources.
func (r *response) delta() *discoveryv3.DeltaDiscoveryResponse {
	out := &discoveryv3.DeltaDiscoveryResponse{
		TypeUrl:           r.typ.URL(),
		Nonce:             r.nonce,
		SystemVersionInfo: r.version,
		RemovedResources:  r.removed,
	}
	for _, res := range r.resources {
		out.Resources = append(out.Resources, &discoveryv3.Resource{Name: res.Name, Version: res.Version, Resource: res.Body})
	}
	return out
}
