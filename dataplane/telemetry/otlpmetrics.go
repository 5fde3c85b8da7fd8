package telemetry

import (
	"math"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// cumulative is AGGREGATION_TEMPORALITY_CUMULATIVE: values are totals since start.
const cumulative = 2

// maxMetrics bounds the bytes of metrics in one request: collectors take 4 MiB by default.
const maxMetrics = 1 << 20

// EachOTLP gives every metric as OTLP has it, with the values that a scrape would
// see, in batches of whole metrics, each the second field of its scope, and the number of
// its data points. It stops at the first error and gives it.
func (r *Registry) EachOTLP(start, now time.Time, send func(batch []byte, points int64) error) error {
	var batch, points []byte
	var n int64
	for _, f := range r.all() {
		for i, s := range f.series {
			points = f.appendPoint(points, s, start, now)
			n++
			if last := i == len(f.series)-1; !last && len(points) < maxMetrics {
				continue
			}
			batch = appendMessage(batch, 2, f.metric(points))
			points = points[:0]
			if len(batch) < maxMetrics {
				continue
			}
			if err := send(batch, n); err != nil {
				return err
			}
			batch, n = batch[:0], 0
		}
	}
	if n == 0 {
		return nil
	}
	return send(batch, n)
}

// metric is the Metric of these points.
func (f *listed) metric(points []byte) []byte {
	data := append([]byte(nil), points...)
	field := protowire.Number(5) // gauge
	switch f.kind {
	case KindCounter:
		field = 7 // sum
		data = appendNumber(appendNumber(data, 2, cumulative), 3, 1)
	case KindHistogram:
		field = 9
		data = appendNumber(data, 2, cumulative)
	}
	return appendMessage(appendText(nil, 1, f.name), field, data)
}

// appendPoint adds a data point of s.
func (f *listed) appendPoint(dst []byte, s *series, start, now time.Time) []byte {
	var p []byte
	if f.kind != KindGauge {
		p = appendFixed(p, 2, uint64(start.UnixNano()))
	}
	p = appendFixed(p, 3, uint64(now.UnixNano()))
	attributes := protowire.Number(7)
	if f.kind == KindHistogram {
		attributes = 9
		p = s.appendBuckets(p)
	} else {
		p = appendFixed(p, 6, uint64(s.sum()))
	}
	eachLabel(s.labels, func(name, value string) { p = appendAttribute(p, attributes, name, valid(value)) })
	return appendMessage(dst, 1, p)
}

// appendBuckets writes count, sum, the counts of the buckets and their bounds.
func (s *series) appendBuckets(p []byte) []byte {
	var counts, bounds []byte
	var total, sum uint64
	for i := range len(Bounds) + 1 {
		var n uint64
		for _, h := range s.hist {
			n += h.buckets[i].Load()
		}
		total += n
		counts = protowire.AppendFixed64(counts, n)
	}
	for _, b := range Bounds {
		bounds = protowire.AppendFixed64(bounds, math.Float64bits(b))
	}
	for _, h := range s.hist {
		sum += h.sumUS.Load()
	}
	p = appendFixed(p, 4, total)
	p = appendFixed(p, 5, math.Float64bits(float64(sum)/1000))
	return appendMessage(appendMessage(p, 6, counts), 7, bounds)
}

// eachLabel reads what renderLabels has written.
func eachLabel(rendered string, do func(name, value string)) {
	for rendered != "" {
		name, rest, ok := strings.Cut(rendered, `="`)
		if !ok {
			return
		}
		end := 0
		for end < len(rest) && rest[end] != '"' {
			if rest[end] == '\\' {
				end++
			}
			end++
		}
		if end >= len(rest) {
			return
		}
		do(name, labelUnescaper.Replace(rest[:end]))
		rendered = strings.TrimPrefix(rest[end+1:], ",")
	}
}

var labelUnescaper = strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\n`, "\n")
