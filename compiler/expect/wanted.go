package expect

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
)

// ending is what becomes of a request, as far as expectations speak of it.
type ending struct {
	outcome  string // in the words of package answer
	status   uint32 // that a proxy answers with; 0 for none
	location string // of a redirect; "" where it is not known
	// What follows is set for requests that are let in.
	service model.Ref
	split   map[string]uint32 // basis points by version
	timeout time.Duration
	retries uint32
	faults  []string // also of what a proxy answers
}

// Words for endings that package answer has none for, because nobody in the mesh
// sends such requests.
const (
	allowed = "allowed"
	refused = "refused" // no mutual TLS
	nowhere = "nowhere" // nothing listens
)

func (e *ending) letIn() bool { return e.outcome == allowed }

// wanted is what an expectation says of endings; what is nil is not spoken of.
type wanted struct {
	to          map[string]uint32
	notTo       []string
	service     *model.Ref
	notServices []model.Ref
	outcome     *string
	status      *int
	location    *string
	timeout     *time.Duration
	retries     *int
	faults      *bool
}

// wantedOf reads an expectation of what is called owner.
func wantedOf(e *intent.Expect, owner model.Ref) *wanted {
	w := &wanted{
		outcome: valueOf(e.Outcome), status: valueOf(e.Status), location: valueOf(e.Location), retries: valueOf(e.Retries), faults: valueOf(e.Faults),
		notServices: refsOf(e.NotServices, owner.Namespace),
	}
	for _, d := range e.To {
		share, err := literal.Percent(d.Percent.V)
		if err != nil {
			panic("expect: intent was not checked: " + err.Error())
		}
		if w.to == nil {
			w.to = map[string]uint32{}
		}
		if share > 0 {
			w.to[d.Version.V] = share
		}
	}
	for _, v := range e.NotTo {
		w.notTo = append(w.notTo, v.V)
	}
	if e.Service != nil {
		ref := literal.Ref(e.Service.V, owner.Namespace)
		w.service = &ref
	}
	if e.Timeout != nil {
		d, err := literal.Duration(e.Timeout.V)
		if err != nil {
			panic("expect: intent was not checked: " + err.Error())
		}
		w.timeout = &d
	}
	return w
}

func valueOf[T any](v *intent.Value[T]) *T {
	if v == nil {
		return nil
	}
	return &v.V
}

// unmet says what is not as it is wanted, in the order of the schema.
func (w *wanted) unmet(e *ending) []string {
	var out []string
	miss := func(field, want, got string) {
		out = append(out, fmt.Sprintf("%s: want %s, got %s", field, want, got))
	}
	if w.service != nil && !(e.letIn() && e.service == *w.service) {
		miss("service", w.service.String(), e.whither(e.service.String()))
	}
	for _, s := range w.notServices {
		if e.letIn() && e.service == s {
			miss("notServices", "not "+s.String(), "it")
		}
	}
	if w.to != nil && !(e.letIn() && sameSplit(w.to, e.split)) {
		miss("to", splitText(w.to), e.whither(splitText(e.split)))
	}
	for _, v := range w.notTo {
		if e.letIn() && e.split[v] > 0 {
			miss("notTo", "nothing to "+v, splitText(e.split))
		}
	}
	if w.outcome != nil && *w.outcome != e.outcome {
		miss("outcome", *w.outcome, e.outcome)
	}
	if w.status != nil && uint32(*w.status) != e.status {
		miss("status", fmt.Sprint(*w.status), cmp.Or(statusText(e.status), "none by a proxy: "+e.outcome))
	}
	if w.location != nil && *w.location != e.location {
		miss("location", *w.location, cmp.Or(e.location, "none: "+e.outcome))
	}
	return append(out, w.unmetOnWay(e)...)
}

// unmetOnWay is about how the request is sent on.
func (w *wanted) unmetOnWay(e *ending) []string {
	var out []string
	miss := func(field, want, got string) {
		out = append(out, fmt.Sprintf("%s: want %s, got %s", field, want, got))
	}
	if w.timeout != nil && !(e.letIn() && e.timeout == *w.timeout) {
		miss("timeout", limitText(*w.timeout), e.whither(limitText(e.timeout)))
	}
	if w.retries != nil && !(e.letIn() && e.retries == uint32(*w.retries)) {
		miss("retries", fmt.Sprint(*w.retries), e.whither(fmt.Sprint(e.retries)))
	}
	if w.faults != nil && *w.faults != (len(e.faults) > 0) {
		miss("faults", map[bool]string{true: "some", false: "none"}[*w.faults], cmp.Or(strings.Join(e.faults, ", "), "none"))
	}
	return out
}

// whither is what it comes to for requests that are let in; others have none.
func (e *ending) whither(text string) string {
	if e.letIn() {
		return text
	}
	return "none: " + e.outcome
}

func statusText(status uint32) string {
	if status == 0 {
		return ""
	}
	return fmt.Sprint(status)
}

func limitText(d time.Duration) string {
	if d == 0 {
		return "no limit"
	}
	return d.String()
}

func sameSplit(want, got map[string]uint32) bool {
	for v, share := range got {
		if share > 0 && want[v] != share {
			return false
		}
	}
	for v, share := range want {
		if got[v] != share {
			return false
		}
	}
	return true
}

func splitText(split map[string]uint32) string {
	var parts []string
	for v, share := range split {
		if share > 0 {
			parts = append(parts, v+" "+model.Hundredths(share)+" %")
		}
	}
	slices.Sort(parts)
	return cmp.Or(strings.Join(parts, ", "), "nothing")
}
