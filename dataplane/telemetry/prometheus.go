package telemetry

import (
	"io"
	"sort"
	"strconv"
)

// WritePrometheus writes every metric in the Prometheus text format, sorted.
func (r *Registry) WritePrometheus(w io.Writer) error {
	_, err := w.Write(r.appendPrometheus(nil))
	return err
}

func (r *Registry) appendPrometheus(b []byte) []byte {
	for _, f := range r.all() {
		b = f.append(b)
	}
	return b
}

// listed is a family and its series at one moment, in order.
type listed struct {
	name   string
	kind   Kind
	series []*series
}

// all lists what there is. Writing it out takes longer, and keeps nobody waiting.
func (r *Registry) all() []listed {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]listed, 0, len(r.families))
	for _, f := range r.families {
		one := listed{name: f.name, kind: f.kind, series: make([]*series, 0, len(f.series))}
		for _, s := range f.series {
			one.series = append(one.series, s)
		}
		out = append(out, one)
	}
	for _, f := range out {
		sort.Slice(f.series, func(i, j int) bool { return f.series[i].labels < f.series[j].labels })
	}
	sort.Slice(out, func(i, j int) bool { return out[i].name < out[j].name })
	return out
}

func (f *listed) append(b []byte) []byte {
	b = append(b, "# TYPE "...)
	b = append(b, f.name...)
	b = append(b, ' ')
	b = append(b, [...]string{"counter", "gauge", "histogram"}[f.kind]...)
	b = append(b, '\n')
	for _, s := range f.series {
		if f.kind == KindHistogram {
			b = appendHistogram(b, f.name, s)
			continue
		}
		b = appendSample(b, f.name, "", s.labels, "")
		b = strconv.AppendInt(b, s.sum(), 10)
		b = append(b, '\n')
	}
	return b
}

func appendHistogram(b []byte, name string, s *series) []byte {
	var cumulative uint64
	for i := 0; i <= len(Bounds); i++ {
		le := "+Inf"
		if i < len(Bounds) {
			le = strconv.FormatFloat(Bounds[i], 'g', -1, 64)
		}
		for _, h := range s.hist {
			cumulative += h.buckets[i].Load()
		}
		b = appendSample(b, name, "_bucket", s.labels, `le="`+le+`"`)
		b = strconv.AppendUint(b, cumulative, 10)
		b = append(b, '\n')
	}
	var sum uint64
	for _, h := range s.hist {
		sum += h.sumUS.Load()
	}
	b = appendSample(b, name, "_sum", s.labels, "")
	b = strconv.AppendFloat(b, float64(sum)/1000, 'f', -1, 64)
	b = append(b, '\n')
	b = appendSample(b, name, "_count", s.labels, "")
	b = strconv.AppendUint(b, cumulative, 10)
	return append(b, '\n')
}

func appendSample(b []byte, name, suffix, labels, extra string) []byte {
	b = append(b, name...)
	b = append(b, suffix...)
	if labels != "" || extra != "" {
		b = append(b, '{')
		b = append(b, labels...)
		if labels != "" && extra != "" {
			b = append(b, ',')
		}
		b = append(b, extra...)
		b = append(b, '}')
	}
	return append(b, ' ')
}
