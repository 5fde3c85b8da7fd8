// Package telemetry counts and writes down what the proxy does: counters and
// histograms sharded by event loop, their Prometheus exposition under Envoy's
// names, and access logs in Envoy's format language.
package telemetry

import (
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
)

// Label is one Prometheus label.
type Label struct{ Name, Value string }

// Kind of a metric.
type Kind uint8

// Kinds.
const (
	KindCounter Kind = iota
	KindGauge
	KindHistogram
)

// Registry holds metrics. Looking one up takes a lock; counting does not.
type Registry struct {
	shards int
	keep   func(stat string) bool // nil: every one

	mu       sync.Mutex
	families map[string]*family
	groups   map[string]*Group // by rendered labels
	nowhere  series            // where what is not kept is counted
}

type family struct {
	name   string
	kind   Kind
	series map[string]*series // by rendered labels
}

type series struct {
	labels string
	cells  []Cell       // one per shard, then one shared
	hist   []*histogram // one per shard
}

// Cell is one shard of a counter or gauge, alone on its cache line. Inc and Add
// are for the one goroutine that owns the shard; anyone may read.
type Cell struct {
	v atomic.Int64
	_ [56]byte
}

// Inc adds one. A plain load and store is enough for a single writer and costs
// no bus lock.
func (c *Cell) Inc() { c.v.Store(c.v.Load() + 1) }

// Add adds n, which may be negative for a gauge.
func (c *Cell) Add(n int64) { c.v.Store(c.v.Load() + n) }

// Set makes it n.
func (c *Cell) Set(n int64) { c.v.Store(n) }

// New makes a registry for the given number of event loops.
func New(shards int) *Registry {
	return &Registry{shards: max(shards, 1), families: map[string]*family{}}
}

// KeepOnly has the metrics for which keep says no shown nowhere, and take no memory.
// keep gets the name that Envoy has for one before labels are taken out of it. It is for
// a registry that has no metrics yet.
func (r *Registry) KeepOnly(keep func(stat string) bool) { r.keep = keep }

// Shards is the number of event loops it was made for.
func (r *Registry) Shards() int { return r.shards }

// Metric is a counter or gauge as seen by everyone.
type Metric struct {
	s      *series
	shared *Cell
}

// Counter gives the counter of this name and labels, made at first use. The
// name is Envoy's, in Prometheus spelling.
func (r *Registry) Counter(name string, labels ...Label) Metric {
	return r.metric(KindCounter, name, labels)
}

// Gauge gives the gauge of this name and labels, made at first use.
func (r *Registry) Gauge(name string, labels ...Label) Metric {
	return r.metric(KindGauge, name, labels)
}

func (r *Registry) metric(kind Kind, name string, labels []Label) Metric {
	key := renderLabels(labels)
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counted(kind, name, labels, key)
}

// counted gives a counter or gauge by its labels, which are rendered as key; r.mu is
// held.
func (r *Registry) counted(kind Kind, name string, labels []Label, key string) Metric {
	s := r.lookup(kind, name, labels, key)
	if s.cells == nil {
		s.cells = make([]Cell, r.shards+1)
	}
	return Metric{s: s, shared: &s.cells[r.shards]}
}

func (r *Registry) lookup(kind Kind, name string, labels []Label, key string) *series {
	f := r.families[name]
	if f != nil && f.series[key] != nil {
		return f.series[key]
	}
	if r.keep != nil && !r.keep(statName(name, labels)) {
		return &r.nowhere
	}
	if f == nil {
		f = &family{name: name, kind: kind, series: map[string]*series{}}
		r.families[name] = f
	}
	s := &series{labels: key}
	f.series[key] = s
	return s
}

// Shard is the cell of one event loop.
func (m Metric) Shard(i int) *Cell { return &m.s.cells[i] }

// Inc adds one, from any goroutine.
func (m Metric) Inc() { m.shared.v.Add(1) }

// Add adds n, from any goroutine.
func (m Metric) Add(n int64) { m.shared.v.Add(n) }

// Set sets a gauge that no event loop counts in, from any goroutine.
func (m Metric) Set(n int64) { m.shared.v.Store(n) }

// Value is the sum over all shards.
func (m Metric) Value() int64 { return m.s.sum() }

func (s *series) sum() (n int64) {
	for i := range s.cells {
		n += s.cells[i].v.Load()
	}
	return n
}

// Drop forgets every series that has all of the labels: the metrics of a cluster that
// is gone, so that names that come and go do not pile up.
func (r *Registry) Drop(labels ...Label) {
	var want []string
	for _, l := range labels {
		want = append(want, renderLabels([]Label{l}))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, f := range r.families {
		for key := range f.series {
			if !slices.ContainsFunc(want, func(l string) bool { return !hasLabel(key, l) }) {
				delete(f.series, key)
			}
		}
		if len(f.series) == 0 {
			delete(r.families, name)
		}
	}
}

// hasLabel: both are rendered, so a quote inside a value is always escaped and
// `name="value"` cannot occur inside another label's value.
func hasLabel(rendered, label string) bool {
	i := strings.Index(rendered, label)
	return i >= 0 && (i == 0 || rendered[i-1] == ',')
}

func renderLabels(labels []Label) string {
	if len(labels) == 0 {
		return ""
	}
	sorted := append([]Label(nil), labels...)
	sort.Slice(sorted, func(i, j int) bool { return sorted[i].Name < sorted[j].Name })
	var b strings.Builder
	for i, l := range sorted {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(l.Name)
		b.WriteString(`="`)
		b.WriteString(labelEscaper.Replace(l.Value))
		b.WriteByte('"')
	}
	return b.String()
}

var labelEscaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
