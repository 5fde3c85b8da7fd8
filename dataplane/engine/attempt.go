package engine

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/meshc/meshc/dataplane/endpoint"
	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/route"
	"github.com/meshc/meshc/dataplane/snapshot"
)

// What bounds one attempt, and where the next one goes, as in Envoy's router.

// choose picks the endpoint of an attempt. -1: there is none.
func (s *stream) choose() int {
	c, r := s.cluster, &s.retry
	s.ask = endpoint.Ask{Draw: s.w.draw, Load: c, Now: time.Duration(s.w.now), Hash: s.hash}
	if !s.hashed && c.picker.Hashes() {
		s.ask.Hash = s.w.draw() // without a key, hashing is as good as random
	}
	i := c.pick(&s.ask)
	if i < 0 || r.policy == nil || !r.policy.AvoidTried {
		return i
	}
	i = s.untried(i)
	r.tried = append(r.tried, c.hosts[i])
	return i
}

// untried draws again, as often as the policy says, while what was drawn has been
// tried. When nothing else comes it gives one that was not the last to fail: Envoy
// takes the last draw, which round robin among two, both of which were tried, makes
// the same endpoint each time, whatever has become of the other.
func (s *stream) untried(i int) int {
	c, r := s.cluster, &s.retry
	spare := i
	for range r.policy.HostDraws {
		if !slices.Contains(r.tried, c.hosts[i]) {
			return i
		}
		if c.hosts[i] != r.tried[len(r.tried)-1] {
			spare = i
		}
		s.ask.Attempt++
		if i = c.pick(&s.ask); i < 0 {
			return spare
		}
	}
	if n := len(r.tried); n > 0 && c.hosts[i] == r.tried[n-1] {
		return spare
	}
	return i
}

// startTry starts the attempt's own clocks: once it has a connection and all of
// the request. They run for every method, whether it would be retried or not.
func (s *stream) startTry() {
	p := s.route.Retry
	if p == nil {
		return
	}
	s.tryFrom = s.w.now
	// A limit that the route's timeout undercuts is none (FilterUtility::finalTimeout).
	if p.PerTry > 0 && (s.route.Timeout == 0 || p.PerTry < s.route.Timeout) {
		s.tryBy = s.w.now + int64(p.PerTry)
	}
	if p.PerTry > 0 || p.PerTryIdle > 0 {
		s.armTimer()
	}
}

// trySilentBy is when the attempt has been silent for too long; 0: never.
func (s *stream) trySilentBy() int64 {
	if s.tryFrom == 0 || s.up == nil || s.route.Retry.PerTryIdle == 0 {
		return 0
	}
	return max(s.tryFrom, s.lastMove) + int64(s.route.Retry.PerTryIdle)
}

// trySilent ends an attempt that is silent for too long. Unlike per_try_timeout
// it does so after the response has begun, too.
func (s *stream) trySilent() {
	s.cluster.pool.stats.perTryIdleTimeout.Inc()
	if s.headSent {
		o := &outcomes[failPerTryIdle]
		s.expire(o.body, o.flag, o.details)
		return
	}
	s.fail(failPerTryIdle)
}

// setHash finds the request's place among the endpoints of a cluster that hashes.
func (s *stream) setHash() {
	if lb := s.cluster.snap.LB; len(s.route.Hash) == 0 || lb != snapshot.RingHash && lb != snapshot.Maglev {
		return
	}
	s.hash, s.hashed = route.Hash(s.route.Hash, s.req.Request, s.source(), s.makeCookie)
}

// source is the client's address: where x-forwarded-for is not ours to write, its
// last entry, as in Envoy's connection manager.
func (s *stream) source() netip.Addr {
	if h := s.chain.http; !h.UseRemoteAddress && len(h.Trusted) == 0 {
		for i := len(s.req.Fields) - 1; i >= 0; i-- {
			if s.req.Fields[i].Name != "x-forwarded-for" {
				continue
			}
			value := s.req.Fields[i].Value
			if ip, err := netip.ParseAddr(strings.TrimSpace(value[strings.LastIndexByte(value, ',')+1:])); err == nil {
				return ip
			}
			break
		}
	}
	if s.client.IsValid() {
		return s.client.Unmap()
	}
	return s.who.remote.Addr().Unmap()
}

// makeCookie gives the client a cookie that will lead it to the same endpoint.
func (s *stream) makeCookie(k *route.HashKey) string {
	value := route.CookieValue(s.who.peer.Remote, s.who.peer.Local)
	s.cookies = append(s.cookies, message.Field{Name: "set-cookie", Value: k.SetCookie(value)})
	return value
}

// answered tells what is known of the endpoint how it has answered; a gRPC status
// in the head counts as what it means in HTTP.
func (s *stream) answered(head *responseHead) {
	if s.host.known == nil {
		return
	}
	means := head.Status
	if message.IsGRPC(s.req.Fields) {
		if v, ok := message.Get(head.Fields, "grpc-status"); ok {
			means = grpcHTTP(v)
		}
	}
	s.host.known.Answered(head.Status, means)
}

// blame tells what is known of the endpoint how the attempt has failed. What a
// limit of the cluster turned away says nothing of it.
func (s *stream) blame(why failure) {
	switch {
	case s.host == nil || why == failOverflow:
	case why == failPerTry || why == failPerTryIdle:
		s.host.known.TimedOut()
	default:
		s.host.known.Failed()
	}
}
