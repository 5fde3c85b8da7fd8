package status

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
)

// Replica is what one replica of the controller says of the proxies that are connected
// to it.
type Replica struct {
	Name   string `json:"-"`
	Commit string `json:"commit"` // that it gives to proxies

	// Programmed and Others are keys of nodes, one after the other: those that run
	// Commit, and those that do not (yet).
	Programmed []byte `json:"programmed,omitempty"`
	Others     []byte `json:"others,omitempty"`
	// Late tells more of some of the others.
	Late []Node `json:"late,omitempty"`

	at map[key]bool // whether they are programmed
}

// keySize is of a key: among a million nodes two have the same one once in
// forty million meshes.
const keySize = 8

type key [keySize]byte

// Bounds of what a replica says, which is kept in an annotation (256 KiB for all of an
// object's). What is beyond them is not told of, and so not counted.
const (
	maxKeys   = 16_000
	maxLate   = 20
	maxDetail = 500 // bytes
)

func nodeKey(id string) key {
	sum := sha256.Sum256([]byte(id))
	return key(sum[:keySize])
}

// ParseReplica reads what a replica of a name has written as JSON.
func ParseReplica(name string, data []byte) (*Replica, error) {
	r := &Replica{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("replica %s: %w", name, err)
	}
	if len(r.Programmed)%keySize != 0 || len(r.Others)%keySize != 0 || len(r.Programmed)+len(r.Others) > maxKeys*keySize {
		return nil, fmt.Errorf("replica %s: %d and %d bytes are not keys of nodes", name, len(r.Programmed), len(r.Others))
	}
	r.Name, r.at = name, map[key]bool{}
	for i := 0; i < len(r.Programmed); i += keySize {
		r.at[key(r.Programmed[i:])] = true
	}
	for i := 0; i < len(r.Others); i += keySize {
		r.at[key(r.Others[i:])] = false
	}
	return r, nil
}

// Connect adds a node that is connected. It says no where there is no room left.
func (r *Replica) Connect(n Node, programmed bool) bool {
	if len(r.Programmed)+len(r.Others) >= maxKeys*keySize {
		return false
	}
	k := nodeKey(n.ID)
	if programmed {
		r.Programmed = append(r.Programmed, k[:]...)
		return true
	}
	r.Others = append(r.Others, k[:]...)
	if len(r.Late) < maxLate {
		n.Detail = strings.ToValidUTF8(n.Detail[:min(len(n.Detail), maxDetail)], "")
		r.Late = append(r.Late, n)
	}
	return true
}

// Node gives what a replica that was parsed says of a node with regard to a commit;
// false where the node is not connected to it.
func (r *Replica) Node(id, commit string) (Node, bool) {
	programmed, connected := r.at[nodeKey(id)]
	if !connected {
		return Node{}, false
	}
	n := Node{ID: id, State: NodePending}
	switch {
	case programmed:
		n.Commit = r.Commit
		if r.Commit == commit {
			n.State = NodeProgrammed
		}
	default:
		for _, late := range r.Late {
			if late.ID == id {
				n.Commit, n.Detail = late.Commit, late.Detail
				if late.State == NodeRejected {
					n.State = NodeRejected
				}
			}
		}
	}
	return n, true
}

// Agree gives what is true of a node by what two replicas say. One of them may not have
// noticed yet that it has gone: where both have it connected, it is programmed only if
// both say so.
func Agree(a, b Node) Node {
	if a.State == NodeDisconnected || a.State == NodeProgrammed && b.State != NodeDisconnected {
		return b
	}
	return a
}
