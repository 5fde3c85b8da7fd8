package reconciler

import (
	"testing"
	"time"

	"github.com/meshc/meshc/reconciler/push/xds"
	"github.com/meshc/meshc/reconciler/status"
)

// The report says for each proxy what it waits for or refused, and when that is
// tried again.
func TestWhatIsSaidOfAProxy(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	route, cluster := xds.Key{Type: xds.RDS, Name: "outbound|9080||reviews"}, xds.Key{Type: xds.CDS, Name: "outbound|9080|v4|reviews"}
	nack := &xds.Answer{Commit: "c2", At: at, Message: "the port is taken"}
	for name, c := range map[string]struct {
		stream xds.StreamStatus
		want   status.Node
	}{
		"waits for an instance": {
			xds.StreamStatus{ProgrammedCommit: "c1", Waits: []xds.Wait{{Key: route, On: cluster, Endpoint: true}}},
			status.Node{State: status.NodePending, Commit: "c1", Detail: "RDS outbound|9080||reviews waits for CDS outbound|9080|v4|reviews to have an endpoint"},
		},
		"refused, and went back": {
			xds.StreamStatus{ProgrammedCommit: "c1", TargetCommit: "c1", RetryAt: at,
				Types: []xds.TypeStatus{{Type: xds.LDS, Nacked: nack, Acked: &xds.Answer{Commit: "c1", At: at.Add(time.Second)}}}},
			status.Node{State: status.NodeRejected, Commit: "c1", Detail: "tried again at 03:04:05Z: LDS refused: the port is taken"},
		},
		"took it at last": {
			xds.StreamStatus{ProgrammedCommit: "c2", Types: []xds.TypeStatus{{Type: xds.LDS, Nacked: nack, Acked: &xds.Answer{Commit: "c2", At: at.Add(time.Second)}}}},
			status.Node{State: status.NodeProgrammed, Commit: "c2"},
		},
	} {
		n := xds.NodeStatus{Node: "n", Commit: "c2", Streams: []xds.StreamStatus{c.stream}}
		c.want.ID = "n"
		if got := describe(&n, "c2"); got != c.want {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, c.want)
		}
	}
}
