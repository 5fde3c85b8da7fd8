// Package compress writes the bodies of responses in an encoding that the client
// takes, as envoy.filters.http.compressor does.
package compress

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	brotliv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/compression/brotli/compressor/v3"
	gzipv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/compression/gzip/compressor/v3"
	zstdv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/compression/zstd/compressor/v3"
	compressorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/compressor/v3"

	"github.com/meshc/meshc/dataplane/filter"
	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/resource/support"
	"github.com/meshc/meshc/dataplane/route"
)

const compressor = "envoy.extensions.filters.http.compressor.v3.Compressor"

// Supported lists the messages that New understands.
var Supported = []support.Message{
	{Name: compressor, Fields: []support.Field{
		support.F("compressor_library", "gzip, brotli or zstd"),
		support.F("response_direction_config", "needed"),
		support.F("choose_first", "of encodings that the client likes as much as each other"),
	}},
	{Name: compressor + ".ResponseDirectionConfig", Fields: []support.Field{
		support.F("common_config", ""),
		support.F("disable_on_etag_header", ""),
		support.F("weaken_etag_on_compress", "comes before `disable_on_etag_header`"),
		support.F("uncompressible_response_codes", ""),
	}},
	{Name: compressor + ".CommonDirectionConfig", Fields: []support.Field{
		support.F("min_content_length", "30 when absent; a response without a length is compressed"),
		support.F("content_type_matcher", "Envoy's default list when absent; of the type without parameters"),
	}},
	{Name: "envoy.extensions.compression.gzip.compressor.v3.Gzip"},
	{Name: "envoy.extensions.compression.brotli.compressor.v3.Brotli"},
	{Name: "envoy.extensions.compression.zstd.compressor.v3.Zstd"},
}

// defaultLength is Envoy's default of min_content_length.
const defaultLength = 30

// defaultTypes are Envoy's default of the types that are compressed.
var defaultTypes = []string{
	"application/javascript", "application/json", "application/xhtml+xml", "image/svg+xml", "text/css", "text/html", "text/plain", "text/xml",
	"application/x-javascript", "text/javascript", "text/x-javascript", "text/ecmascript", "text/js", "text/jscript", "text/x-js",
	"application/ecmascript", "application/x-json", "application/xml", "image/svg", "text/xhtml",
}

// Filter is one compressor of a connection manager.
type Filter struct {
	name     string
	library  string // its name in the config, for statistics
	encoding string
	stat     string // Envoy's name of the library in statistics
	encoders *store
	first    bool
	least    int64
	types    []func(string) bool
	never    []int // statuses
	etag     etag
	chain    []*Filter // all compressors of its chain, in their order
}

// etag says what becomes of a strong ETag, which the body as it is written here
// does not have any more.
type etag uint8

const (
	dropEtag etag = iota
	weakenEtag
	leaveEtagged // a response that has any is not compressed
)

// New gives the filter called name for a config that passed support.Table.Check.
func New(name string, m *compressorv3.Compressor) (*Filter, error) {
	r := m.GetResponseDirectionConfig()
	if r == nil {
		return nil, errors.New("response_direction_config: is needed")
	}
	f := &Filter{name: name, library: m.GetCompressorLibrary().GetName(), first: m.GetChooseFirst(), least: defaultLength}
	if err := f.setLibrary(m); err != nil {
		return nil, fmt.Errorf("compressor_library: %w", err)
	}
	if n := r.GetCommonConfig().GetMinContentLength(); n != nil && n.GetValue() > 0 { // to Envoy, 0 is the default
		f.least = int64(n.GetValue())
	}
	for i, t := range r.GetCommonConfig().GetContentTypeMatcher() {
		matches, err := route.CompileString(t)
		if err != nil {
			return nil, fmt.Errorf("response_direction_config: common_config: content_type_matcher[%d]: %w", i, err)
		}
		f.types = append(f.types, matches)
	}
	if f.types == nil {
		f.types = []func(string) bool{byDefault}
	}
	for _, code := range r.GetUncompressibleResponseCodes() {
		f.never = append(f.never, int(code))
	}
	switch {
	case r.GetWeakenEtagOnCompress():
		f.etag = weakenEtag
	case r.GetDisableOnEtagHeader():
		f.etag = leaveEtagged
	}
	return f, nil
}

func byDefault(t string) bool {
	return slices.ContainsFunc(defaultTypes, func(d string) bool { return strings.EqualFold(d, t) })
}

func (f *Filter) setLibrary(m *compressorv3.Compressor) error {
	config, err := m.GetCompressorLibrary().GetTypedConfig().UnmarshalNew()
	if err != nil {
		return err
	}
	switch config.(type) {
	case *gzipv3.Gzip:
		f.encoding, f.stat, f.encoders = "gzip", "gzip", gzips
	case *brotliv3.Brotli:
		f.encoding, f.stat, f.encoders = "br", "brotli", brotlis
	case *zstdv3.Zstd:
		f.encoding, f.stat, f.encoders = "zstd", "zstd", zstds
	default:
		return fmt.Errorf("%s is not a compressor of this proxy", config.ProtoReflect().Descriptor().FullName())
	}
	return nil
}

// Name implements filter.HTTP.
func (f *Filter) Name() string { return f.name }

// OnRequest implements filter.HTTP: what the client takes is what it has asked
// for, whatever becomes of the field on the way.
func (f *Filter) OnRequest(s *filter.Stream) filter.Verdict {
	if s.Accepts != "" {
		return filter.Verdict{}
	}
	for _, field := range s.Request.Fields {
		switch {
		case field.Name != "accept-encoding":
		case s.Accepts == "":
			s.Accepts = field.Value
		default:
			s.Accepts += "," + field.Value
		}
	}
	return filter.Verdict{}
}

// Join tells the compressors of a chain of each other: the client's choice is one
// among all of them.
func Join(filters []filter.HTTP) {
	var all []*Filter
	for _, f := range filters {
		if c, ok := f.(*Filter); ok {
			all = append(all, c)
		}
	}
	for _, f := range all {
		f.chain = all
	}
}

// Counters of a Filter.
const (
	countDone = iota
	countNot
)

// Counters implements filter.Counted.
func (f *Filter) Counters() ([]string, filter.Label) {
	prefix := "compressor_" + filter.MetricName(f.library) + "_" + f.stat + "_response_"
	return []string{prefix + "compressed", prefix + "not_compressed"}, filter.Label{}
}

// OnResponse implements filter.Responder (CompressorFilter::encodeHeaders).
func (f *Filter) OnResponse(s *filter.Stream, h *filter.ResponseHead) filter.Encoder {
	if !f.mayCompress(h) {
		s.Count(countNot)
		return nil
	}
	fields := &h.Response.Fields
	var out filter.Encoder
	if !h.Bare && f.encoding == f.chosen(s, contentType(*fields)) {
		*fields = f.retag(*fields)
		*fields = append(*fields, message.Field{Name: "content-encoding", Value: f.encoding})
		out = f.encoders.get()
		s.Count(countDone)
	} else {
		s.Count(countNot)
	}
	// A cache is told that there are other forms, whether or not this is one.
	*fields = vary(*fields)
	return out
}

// mayCompress says that the response may be compressed, for a client that takes it.
func (f *Filter) mayCompress(h *filter.ResponseHead) bool {
	if h.Length >= 0 && h.Length < f.least || slices.Contains(f.never, h.Response.Status) {
		return false
	}
	typ, typed := "", false
	for _, field := range h.Response.Fields {
		switch field.Name {
		case "content-encoding":
			return false
		case "cache-control":
			for token := range strings.SplitSeq(field.Value, ",") {
				if strings.EqualFold(strings.TrimSpace(token), "no-transform") {
					return false
				}
			}
		case "etag":
			if f.etag == leaveEtagged {
				return false
			}
		case "content-type":
			typ, typed = essence(field.Value), true
		}
	}
	return !typed || f.takes(typ)
}

func (f *Filter) takes(contentType string) bool {
	return slices.ContainsFunc(f.types, func(matches func(string) bool) bool { return matches(contentType) })
}

// essence is a content type without its parameters.
func essence(contentType string) string {
	contentType, _, _ = strings.Cut(contentType, ";")
	return strings.TrimSpace(contentType)
}

func contentType(fields []message.Field) string {
	v, _ := message.Get(fields, "content-type")
	return essence(v)
}

// retag takes a strong ETag away, or makes it a weak one.
func (f *Filter) retag(fields []message.Field) []message.Field {
	for i := range fields {
		if v := fields[i].Value; fields[i].Name != "etag" || len(v) <= 2 || strings.HasPrefix(v, "W/") || strings.HasPrefix(v, "w/") {
			continue
		}
		if f.etag != weakenEtag {
			return slices.Delete(fields, i, i+1)
		}
		fields[i].Value = "W/" + fields[i].Value
		break
	}
	return fields
}

// vary says that the response depends on the encodings that the client takes.
func vary(fields []message.Field) []message.Field {
	const name = "Accept-Encoding"
	last := -1
	for i := range fields {
		if fields[i].Name != "vary" {
			continue
		}
		last = i
		for token := range strings.SplitSeq(fields[i].Value, ",") {
			if strings.TrimSpace(token) == name { // to Envoy, not in another spelling
				return fields
			}
		}
	}
	if last < 0 {
		return append(fields, message.Field{Name: "vary", Value: name})
	}
	fields[last].Value += ", " + name
	return fields
}
