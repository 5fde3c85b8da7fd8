package reconciler

import (
	"fmt"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/reconciler/push/xds"
	"github.com/meshc/meshc/reconciler/status"
)

// ADS makes the Pusher of an ADS server.
func ADS(server *xds.Server) Pusher { return ads{server} }

// Judge makes a Pusher that only says whether the ADS server would take a mesh: it
// is given what serves by a Follower. It counts proxies that are connected to others too.
func Judge(server *xds.Server, others Replicas) Pusher { return judge{ads{server}, others} }

type judge struct {
	ads
	others Replicas
}

func (j judge) SetDesired(commit string, m *model.Mesh, workloads []*model.Workload) error {
	return j.server.Check(commit, &xds.Desired{Mesh: m, Workloads: workloads})
}

// Changed is told by what knows of all replicas.
func (j judge) Changed() <-chan struct{} { return j.others.Changed() }

func (j judge) Progress(commit string) status.Programmed {
	others := j.others.Live()
	p := progress(j.server.Status(), commit, others)
	for _, r := range others {
		if r.Commit != commit && len(p.Behind) < maxBehind {
			p.Behind = append(p.Behind, r.Name)
		}
	}
	if own := j.server.Commit(); own != commit && own != "" {
		p.Behind = append(p.Behind, "the one that leads")
	}
	return p
}

// maxBehind is how many replicas are named.
const maxBehind = 99

type ads struct{ server *xds.Server }

func (a ads) SetDesired(commit string, m *model.Mesh, workloads []*model.Workload) error {
	return a.server.SetDesired(commit, &xds.Desired{Mesh: m, Workloads: workloads})
}

func (a ads) Changed() <-chan struct{} { return a.server.Changed() }

// Progress counts by one reading of the server's status, so that the counts
// and the nodes agree.
func (a ads) Progress(commit string) status.Programmed {
	return progress(a.server.Status(), commit, nil)
}

// progress is of the nodes that a server knows, by itself and by what other replicas say
// of them. A node counts once, wherever it is connected.
func progress(nodes []xds.NodeStatus, commit string, others []*status.Replica) status.Programmed {
	p := status.Programmed{Commit: commit}
	for _, n := range nodes {
		node, expected := describe(&n, commit), n.Expected
		for _, r := range others {
			if there, connected := r.Node(n.Node, commit); connected {
				node, expected = status.Agree(node, there), true
			}
		}
		p.Nodes = append(p.Nodes, node)
		if expected {
			p.Total++
			if node.State == status.NodeProgrammed {
				p.Done++
			}
		}
	}
	return p
}

func describe(n *xds.NodeStatus, commit string) status.Node {
	node := status.Node{ID: n.Node, State: status.NodeDisconnected}
	if !n.Connected() {
		return node
	}
	newest := n.Streams[len(n.Streams)-1]
	node.Commit = newest.ProgrammedCommit
	node.Detail = refusal(n.Commit, &newest)
	switch {
	case n.ProgrammedOn(commit):
		node.State, node.Detail = status.NodeProgrammed, ""
	case node.Detail != "":
		node.State = status.NodeRejected
	case len(n.Unplaced) > 0 && commit == n.Commit:
		node.State = status.NodePending
		node.Detail = "no address for " + strings.Join(n.Unplaced, ", ")
	default:
		node.State = status.NodePending
		node.Detail = waitingFor(&newest)
	}
	return node
}

// refusal says what a proxy refused of a commit and when it is tried again; what
// it confirmed later may be what it went back to.
func refusal(commit string, s *xds.StreamStatus) (detail string) {
	for i := range s.Types {
		if t := &s.Types[i]; t.Rejected() || t.Nacked != nil && t.Nacked.Commit == commit {
			detail = fmt.Sprintf("%s refused: %s", t.Type, t.Nacked.Message)
		}
	}
	if detail != "" && !s.RetryAt.IsZero() {
		detail = fmt.Sprintf("tried again at %s: %s", s.RetryAt.UTC().Format(time.TimeOnly+"Z"), detail)
	}
	return detail
}

// waitingFor names the first thing that a stream waits for.
func waitingFor(s *xds.StreamStatus) string {
	if len(s.Waits) > 0 {
		return s.Waits[0].String()
	}
	for _, t := range s.Types {
		if t.InFlight != nil && t.InFlight.TimedOut {
			return fmt.Sprintf("has not answered %s", t.Type)
		}
	}
	return ""
}
