package xds

import (
	"sort"
	"time"

	"github.com/meshc/meshc/compiler/model"
)

// Answer is what a client said to one response.
type Answer struct {
	Nonce   string
	Version string // of the set that the response led to
	Commit  string // that the response came from
	At      time.Time
	Message string   // NACK only: the client's reason
	Names   []string // NACK only: the resources that it concerns, sorted
}

// Flight is a response that has not been answered.
type Flight struct {
	Nonce, Version, Commit string
	Since                  time.Time
	TimedOut               bool
}

// TypeStatus is where one resource type of a stream stands.
type TypeStatus struct {
	Type     Type
	Held     int // resources that the client confirmed
	Acked    *Answer
	Nacked   *Answer // the newest, also when an ACK came later
	InFlight *Flight
}

// Rejected says whether the newest answer was a NACK.
func (t *TypeStatus) Rejected() bool {
	return t.Nacked != nil && (t.Acked == nil || t.Nacked.At.After(t.Acked.At))
}

// StreamStatus is one ADS stream.
type StreamStatus struct {
	Delta            bool
	Since            time.Time
	Types            []TypeStatus // those that the client asked for
	Waits            []Wait       // those for endpoints first, then by key; at most ten
	TargetCommit     string       // what the stream is led to: after a NACK the last good commit
	ProgrammedCommit string       // newest commit that was confirmed in full
	Settled          bool         // nothing is left to send or to be confirmed
	RetryAt          time.Time    // when what the client refused is tried again; zero: never

	bundles map[string]string // confirmed versions of the trust bundles that the client asks for
}

// NodeStatus is one proxy.
type NodeStatus struct {
	Node     string // node id
	Identity string // SPIFFE ID that may read it
	Role     model.Role
	Commit   string         // desired
	Expected bool           // counts in Programmed's m
	Unplaced []string       // what the desired commit wants of the node and discovery gives no address for
	Streams  []StreamStatus // oldest first; none: not connected
}

// Connected says whether the node has a stream.
func (n *NodeStatus) Connected() bool { return len(n.Streams) > 0 }

// ProgrammedOn says whether a commit is live on the node. Of a proxy the
// newest stream counts, because an older one can only be a connection that is
// dead and not yet noticed; a gRPC application has one stream per channel, and
// all of them count. A node with something unplaced has not got all of the
// desired commit yet.
func (n *NodeStatus) ProgrammedOn(commit string) bool {
	if !n.Connected() || commit == n.Commit && len(n.Unplaced) > 0 {
		return false
	}
	streams := n.Streams
	if n.Role != model.RoleGRPC {
		streams = streams[len(streams)-1:]
	}
	for _, s := range streams {
		if s.ProgrammedCommit != commit {
			return false
		}
	}
	return true
}

const maxWaits = 10

// before puts first what somebody outside of the mesh's control plane may have
// to see to: that an instance is there.
func (w *Wait) before(o *Wait) bool {
	if w.Endpoint != o.Endpoint {
		return w.Endpoint
	}
	return w.String() < o.String()
}

// status copies what a session can say of itself.
func (s *session) status(since time.Time) StreamStatus {
	st := StreamStatus{Delta: !s.full, Since: since, ProgrammedCommit: s.programmed, Settled: s.done, RetryAt: s.retryAt}
	if s.target != nil {
		st.TargetCommit = s.target.commit
	}
	for t := range s.types {
		ts := &s.types[t]
		if !ts.seen {
			continue
		}
		one := TypeStatus{Type: Type(t), Acked: ts.lastACK, Nacked: ts.lastNACK}
		for _, r := range ts.acked {
			if r != nil {
				one.Held++
			}
		}
		if f := ts.flight; f != nil {
			one.InFlight = &Flight{Nonce: f.nonce, Version: f.version, Commit: f.commit, Since: f.since}
		}
		st.Types = append(st.Types, one)
	}
	for _, w := range s.waits {
		st.Waits = append(st.Waits, *w)
	}
	sort.Slice(st.Waits, func(i, j int) bool { return st.Waits[i].before(&st.Waits[j]) })
	if len(st.Waits) > maxWaits {
		st.Waits = st.Waits[:maxWaits]
	}
	return st
}

// late marks, in a copy, what has been unanswered for longer than timeout.
func (s StreamStatus) late(now time.Time, timeout time.Duration) StreamStatus {
	types := append([]TypeStatus(nil), s.Types...)
	for i, t := range types {
		if t.InFlight != nil && now.Sub(t.InFlight.Since) >= timeout {
			f := *t.InFlight
			f.TimedOut = true
			types[i].InFlight = &f
		}
	}
	s.Types = types
	return s
}
