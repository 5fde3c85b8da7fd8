// Package xds is the ADS server: it takes a desired state (a commit's model
// and the workloads that run it) and leads every proxy to its own part of it
// over the delta and the state-of-the-world protocol.
//
// What a stream may see is decided by the peer's verified certificate; node.id
// only says which of the identity's workloads it is. Each node has a set of
// its own, and no resource outside of it exists for the node.
//
// Versions are content hashes, so an unrelated commit sends nothing. Changes
// are made before breaks: a route is sent when the proxy confirmed the
// clusters it leads to and the endpoints and secrets that those warm on; a
// resource is removed when nothing that the proxy may hold refers to it. A
// refused resource is not sent again at once; its commit stops on that node,
// which goes back to the last set it confirmed in full, and is tried again after
// pauses that grow. A route that serves is not led to a cluster without an
// endpoint before the timeout.
//
// resource, refs and build make the sets; session, plan and gate are the pure
// protocol of one stream; stream and server are the gRPC around it.
package xds
