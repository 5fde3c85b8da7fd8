package reconciler

import (
	"encoding/json"
	"testing"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/reconciler/push/xds"
	"github.com/meshc/meshc/reconciler/status"
)

// TestNodesCountOnce: wherever a node is connected, it is one, and an application that
// is a client by itself is expected where any replica has it.
func TestNodesCountOnce(t *testing.T) {
	on := func(commit string) []xds.StreamStatus { return []xds.StreamStatus{{ProgrammedCommit: commit}} }
	nodes := []xds.NodeStatus{
		{Node: "here", Commit: "c", Expected: true, Streams: on("c")},
		{Node: "both", Commit: "c", Expected: true, Streams: on("c")},
		{Node: "there", Commit: "c", Expected: true},
		{Node: "nowhere", Commit: "c", Expected: true},
		{Node: "app", Commit: "c", Role: model.RoleGRPC},
		{Node: "idle", Commit: "c", Role: model.RoleGRPC},
	}
	say := func(commit string, programmed, others []string) *status.Replica {
		r := &status.Replica{Commit: commit}
		for _, id := range programmed {
			r.Connect(status.Node{ID: id, State: status.NodeProgrammed}, true)
		}
		for _, id := range others {
			r.Connect(status.Node{ID: id, State: status.NodePending}, false)
		}
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if r, err = status.ParseReplica("two", data); err != nil {
			t.Fatal(err)
		}
		return r
	}
	for name, c := range map[string]struct {
		others      []*status.Replica
		done, total int
	}{
		"alone":                      {nil, 2, 4},
		"another has the rest":       {[]*status.Replica{say("c", []string{"there", "nowhere", "app", "both"}, nil)}, 5, 5},
		"one moved, and is not done": {[]*status.Replica{say("c", []string{"there"}, []string{"both"})}, 2, 4},
		"another is behind":          {[]*status.Replica{say("b", []string{"there", "both"}, nil)}, 1, 4},
		"strangers":                  {[]*status.Replica{say("c", []string{"unknown"}, []string{"too"})}, 2, 4},
	} {
		if p := progress(nodes, "c", c.others); p.Done != c.done || p.Total != c.total || len(p.Nodes) != len(nodes) {
			t.Errorf("%s: %+v", name, p)
		}
	}
}
