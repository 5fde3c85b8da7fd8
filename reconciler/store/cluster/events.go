package cluster

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/meshc/meshc/reconciler/api"
	"github.com/meshc/meshc/reconciler/status"
)

// Reasons of the events on a Mesh.
const (
	EventApplied  = "Applied"  // another commit serves
	EventRejected = "Rejected" // a commit was refused, or is kept from serving
	EventNACK     = "NACK"     // a proxy refused what it was sent
	EventDrifted  = "Drifted"  // what serves was changed by others
	EventFought   = "Fought"   // it is changed again and again, and is left alone
)

// Bounds of the events of one term: they are for people, and what they tell stands in
// the status as well.
const (
	eventsWaiting = 64                     // more are dropped
	eventsPause   = 200 * time.Millisecond // between two
	eventTime     = 10 * time.Second       // for one
	maxEventText  = 1000                   // bytes of a message
	maxNACKs      = 5                      // in one report
)

var eventResource = schema.GroupVersionResource{Version: "v1", Resource: "events"}

// event is what is told of a Mesh.
type event struct {
	reason, text string
	warning      bool
	at           time.Time
}

// tell has an event written soon; it never waits.
func (s *Store) tell(reason string, warning bool, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if len(text) > maxEventText {
		text = text[:maxEventText]
	}
	select {
	case s.events <- event{reason, text, warning, now()}:
	default:
	}
}

// writeEvents writes events until the term ends. One that cannot be written is lost.
func (s *Store) writeEvents() {
	for {
		select {
		case e := <-s.events:
			if err := s.writeEvent(e); err != nil && s.ctx.Err() == nil {
				s.Log.Warn("an event could not be written", "reason", e.reason, "error", err)
			}
		case <-s.ctx.Done():
			return
		}
		select {
		case <-time.After(eventsPause):
		case <-s.ctx.Done():
			return
		}
	}
}

func (s *Store) writeEvent(e event) error {
	ctx, cancel := context.WithTimeout(s.ctx, min(s.RequestTime, eventTime))
	defer cancel()
	kind, at := "Normal", e.at.Format(time.RFC3339)
	if e.warning {
		kind = "Warning"
	}
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Event", "type": kind, "reason": e.reason, "message": e.text, "count": int64(1), "firstTimestamp": at, "lastTimestamp": at,
		"source": map[string]any{"component": "meshc-controller"}, "reportingComponent": "meshc.dev/controller", "reportingInstance": s.Identity,
		"involvedObject": map[string]any{"apiVersion": api.GroupVersion.String(), "kind": api.MeshKind, "namespace": s.Namespace, "name": s.Mesh, "uid": string(s.uid)},
	}}
	u.SetName(fmt.Sprintf("%s.%x", s.Mesh, e.at.UnixNano()+s.told.Add(1)))
	u.SetNamespace(s.Namespace)
	_, err := s.Client.Resource(eventResource).Namespace(s.Namespace).Create(ctx, u, metav1.CreateOptions{FieldManager: api.FieldManager})
	return err
}

// tellNews tells what a report says that the one before did not.
func (s *Store) tellNews(old, next *status.Status) {
	if old == nil {
		old = &s.before
	}
	if next.Serving != nil && (old.Serving == nil || old.Serving.Commit != next.Serving.Commit) {
		s.tell(EventApplied, false, "commit %s serves", next.Serving.Commit)
	}
	if a := next.Attempted; a != nil && a.Error != "" && (old.Attempted == nil || old.Attempted.Commit != a.Commit || old.Attempted.Error != a.Error) {
		ready, _ := next.Condition(status.Ready)
		s.tell(EventRejected, true, "commit %s does not serve (%s): %s", a.Commit, ready.Reason, a.Error)
	}
	refused := map[string]string{}
	for _, n := range old.Programmed.Nodes {
		if n.State == status.NodeRejected {
			refused[n.ID] = old.Programmed.Commit
		}
	}
	told := 0
	for _, n := range next.Programmed.Nodes {
		if commit, known := refused[n.ID]; n.State != status.NodeRejected || known && commit == next.Programmed.Commit || told == maxNACKs {
			continue
		}
		told++
		s.tell(EventNACK, true, "%s refused commit %s: %s", n.ID, next.Programmed.Commit, n.Detail)
	}
}
