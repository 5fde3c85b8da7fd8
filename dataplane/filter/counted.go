package filter

import "strings"

// Counted is a filter that counts what it does, under Envoy's names.
type Counted interface {
	HTTP
	// Counters are what it counts. They are told apart by the label, or where
	// there is none by the connection manager that they are in.
	Counters() (names []string, label Label)
}

// Label is one label of a metric.
type Label struct{ Name, Value string }

// Counter is one event loop's part of a counter.
type Counter interface{ Inc() }

// Count counts in the i-th of the filter's Counters.
func (s *Stream) Count(i int) {
	if i < len(s.Counts) {
		s.Counts[i].Inc()
	}
}

// Counters implements Counted for a filter that is switched on by routes.
func (f switched) Counters() (names []string, label Label) {
	if c, ok := f.HTTP.(Counted); ok {
		return c.Counters()
	}
	return nil, Label{}
}

// MetricName is a name as Prometheus takes it.
func MetricName(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return '_'
	}, name)
}
