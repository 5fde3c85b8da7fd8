package model

import (
	"cmp"
	"fmt"
	"slices"
)

// DefaultZipkinPath is where collectors of Zipkin take spans.
const DefaultZipkinPath = "/api/v2/spans"

// DefaultSampleBasisPoints is the share of traces that are kept when nobody says
// otherwise: 1 %.
const DefaultSampleBasisPoints = 100

// TraceFormat is how spans are sent, and which trace context goes with requests.
type TraceFormat string

// Formats.
const (
	OTLP   TraceFormat = "otlp"
	Zipkin TraceFormat = "zipkin"
)

// Tracing makes spans of requests.
type Tracing struct {
	Format      TraceFormat
	Collector   Collector
	Path        string // of Zipkin
	W3C         bool   // of Zipkin: the context of W3C beside B3
	BasisPoints uint32 // of traces that begin here
	Tags        []TraceTag
	Origin      Origin
}

// Collector is where telemetry is sent.
type Collector struct {
	To      Ref
	Port    uint16
	Version string // the only one of a service; "" of an external
	Origin  Origin
}

// TraceTag is what spans say beside the usual; sorted by name.
type TraceTag struct {
	Name string
	From TagSource
	// Value is the text, or the name of the header or variable.
	Value   string
	Default string // without the header or variable; "": the tag is left out
}

// TagSource says where a tag comes from.
type TagSource string

// Sources.
const (
	TagLiteral TagSource = "literal"
	TagHeader  TagSource = "header"
	TagEnv     TagSource = "env"
)

// Collectors are where the proxies of s send telemetry.
func (s *Service) Collectors() []Collector { return collectors(s.Tracing, &s.AccessLog) }

// Collectors are where g sends telemetry.
func (g *Gateway) Collectors() []Collector { return collectors(g.Tracing, &g.AccessLog) }

func collectors(t *Tracing, log *AccessLog) []Collector {
	var out []Collector
	if t != nil {
		out = append(out, t.Collector)
	}
	if log.OTLP != nil {
		out = append(out, *log.OTLP)
	}
	slices.SortFunc(out, func(a, b Collector) int { return cmp.Or(a.To.Compare(b.To), cmp.Compare(a.Port, b.Port)) })
	return slices.CompactFunc(out, func(a, b Collector) bool { return a.To == b.To && a.Port == b.Port })
}

// Settings lists what t sets, in the order of the schema; nothing for nil.
func (t *Tracing) Settings() []Setting {
	if t == nil {
		return nil
	}
	s := &settings{at: t.Origin}
	s.add(string(t.Format), t.Collector.Text())
	if t.Format == Zipkin {
		s.add("zipkin.path", t.Path)
		s.add("zipkin.w3c", fmt.Sprint(t.W3C))
	}
	s.percent("sample", t.BasisPoints)
	for _, tag := range t.Tags {
		value := string(tag.From) + " " + tag.Value
		if tag.Default != "" {
			value += fmt.Sprintf(", else %q", tag.Default)
		}
		s.add(fmt.Sprintf("tags[%s]", tag.Name), value)
	}
	return s.list
}

// Text names the service or external and its port.
func (c Collector) Text() string { return fmt.Sprintf("%s:%d", c.To, c.Port) }
