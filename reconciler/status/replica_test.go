package status

import (
	"encoding/json"
	"fmt"
	"testing"
)

// parsed is what another process reads of r.
func parsed(t *testing.T, name string, r *Replica) *Replica {
	t.Helper()
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseReplica(name, data)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestWhatAReplicaSaysOfANode(t *testing.T) {
	r := &Replica{Commit: "new"}
	r.Connect(Node{ID: "a", State: NodeProgrammed, Commit: "new"}, true)
	r.Connect(Node{ID: "b", State: NodeRejected, Commit: "old", Detail: "LDS refused: no"}, false)
	r.Connect(Node{ID: "c", State: NodePending, Commit: "old"}, false)
	got := parsed(t, "two", r)
	for _, c := range []struct {
		id, commit string
		want       Node
		connected  bool
	}{
		{"a", "new", Node{ID: "a", State: NodeProgrammed, Commit: "new"}, true},
		{"a", "newer", Node{ID: "a", State: NodePending, Commit: "new"}, true},
		{"b", "new", Node{ID: "b", State: NodeRejected, Commit: "old", Detail: "LDS refused: no"}, true},
		{"c", "new", Node{ID: "c", State: NodePending, Commit: "old"}, true},
		{"d", "new", Node{}, false},
	} {
		if n, connected := got.Node(c.id, c.commit); n != c.want || connected != c.connected {
			t.Errorf("%s on %s: %+v %v", c.id, c.commit, n, connected)
		}
	}
}

// What a replica says fits where it is kept, and says when it does not say all.
func TestAReplicaOfManyProxies(t *testing.T) {
	r, whole := &Replica{Commit: "c"}, true
	for i := range maxKeys + 1 {
		if !whole {
			t.Fatalf("full with %d", i)
		}
		whole = r.Connect(Node{ID: fmt.Sprintf("sidecar~default/web-%d", i), State: NodePending, Detail: fmt.Sprintf("%0999d", i)}, i%2 == 0)
	}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if whole || len(data) > 250<<10 {
		t.Errorf("whole %v, %d bytes", whole, len(data))
	}
	if n, _ := parsed(t, "two", r).Node("sidecar~default/web-2", "c"); n.State != NodeProgrammed {
		t.Errorf("%+v", n)
	}
}

func TestReplicasThatCannotBeRead(t *testing.T) {
	for _, text := range []string{"", "[]", `{"programmed":"AAAA"}`, `{"programmed":1}`} {
		if r, err := ParseReplica("two", []byte(text)); err == nil {
			t.Errorf("%q is read as %+v", text, r)
		}
	}
}

// A node that two replicas have connected is one node, and programmed only where both
// say so: one of them has yet to notice that it has gone.
func TestReplicasAgree(t *testing.T) {
	state := func(s string) Node { return Node{ID: "n", State: s} }
	for _, c := range [][3]string{
		{NodeProgrammed, NodeProgrammed, NodeProgrammed},
		{NodeProgrammed, NodePending, NodePending},
		{NodePending, NodeProgrammed, NodePending},
		{NodeRejected, NodeProgrammed, NodeRejected},
		{NodeProgrammed, NodeRejected, NodeRejected},
		{NodeDisconnected, NodeProgrammed, NodeProgrammed},
		{NodeProgrammed, NodeDisconnected, NodeProgrammed},
	} {
		if got := Agree(state(c[0]), state(c[1])); got.State != c[2] {
			t.Errorf("%s and %s: %s, want %s", c[0], c[1], got.State, c[2])
		}
	}
}

func TestABehindReplicaIsNotComplete(t *testing.T) {
	p := Programmed{Commit: "c", Done: 2, Total: 2}
	if !p.Complete() {
		t.Error("complete without other replicas")
	}
	if p.Behind = []string{"two"}; p.Complete() {
		t.Error("complete while a replica gives another commit to those that come")
	}
}
