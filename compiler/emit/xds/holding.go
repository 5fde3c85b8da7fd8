package xds

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	brotliv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/compression/brotli/compressor/v3"
	gzipv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/compression/gzip/compressor/v3"
	zstdv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/compression/zstd/compressor/v3"
	bufferv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/buffer/v3"
	compressorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/compressor/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshc/meshc/compiler/model"
)

// Names of the filters that hold what goes through: a compressor writes one
// encoding, so that each has a filter of its own.
const (
	compressPrefix = "meshc.compress."
	bufferFilter   = "envoy.filters.http.buffer"
)

// partialContent is a status: the range is one of the body as it was.
const partialContent = 206

// holding puts what holds bodies around the filters that judge: responses are
// compressed last, and a request that is refused is not read.
func holding(judges []*hcmv3.HttpFilter, c *model.Compression, b *model.Buffer) ([]*hcmv3.HttpFilter, error) {
	var out []*hcmv3.HttpFilter
	if c != nil {
		for i, encoding := range c.Encodings {
			f, err := compressor(c, encoding, i == 0)
			if err != nil {
				return nil, fmt.Errorf("compression: %w", err)
			}
			out = append(out, f)
		}
	}
	out = append(out, judges...)
	if b == nil {
		return out, nil
	}
	f, err := httpFilter(bufferFilter, &bufferv3.Buffer{MaxRequestBytes: uint32Value(b.MaxBytes)})
	return append(out, f), err
}

func compressor(c *model.Compression, encoding string, first bool) (*hcmv3.HttpFilter, error) {
	library := map[string]proto.Message{"gzip": &gzipv3.Gzip{}, "br": &brotliv3.Brotli{}, "zstd": &zstdv3.Zstd{}}[encoding]
	if library == nil {
		return nil, fmt.Errorf("the encoding %q is not known", encoding)
	}
	packed, err := toEmptyAny(library)
	if err != nil {
		return nil, err
	}
	common := &compressorv3.Compressor_CommonDirectionConfig{MinContentLength: uint32Value(c.MinLength)}
	for _, t := range c.ContentTypes {
		common.ContentTypeMatcher = append(common.ContentTypeMatcher, &matcherv3.StringMatcher{
			MatchPattern: &matcherv3.StringMatcher_Exact{Exact: t}, IgnoreCase: true,
		})
	}
	return httpFilter(compressPrefix+encoding, &compressorv3.Compressor{
		CompressorLibrary: &corev3.TypedExtensionConfig{Name: encoding, TypedConfig: packed},
		ChooseFirst:       first,
		ResponseDirectionConfig: &compressorv3.Compressor_ResponseDirectionConfig{
			CommonConfig: common, WeakenEtagOnCompress: true, UncompressibleResponseCodes: []uint32{partialContent},
		},
	})
}

// unheld gives rest, which takes every request, routes in front of it for the paths
// that are left out of something. The longest prefix that fits knows of all.
func unheld(rest *routev3.Route, c *model.Compression, b *model.Buffer) ([]*routev3.Route, error) {
	var plain, streamed []string
	if c != nil {
		plain = c.NotPaths
	}
	if b != nil {
		streamed = b.NotPaths
	}
	paths := slices.Concat(plain, streamed)
	slices.SortFunc(paths, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	var out []*routev3.Route
	for _, p := range slices.Compact(paths) {
		r := proto.CloneOf(rest)
		r.Match = &routev3.RouteMatch{}
		if err := setPath(r.Match, []model.PathMatch{{Kind: model.SegmentPrefix, Value: p}}); err != nil {
			return nil, fmt.Errorf("path %q: %w", p, err)
		}
		above := func(q string) bool { return p == q || strings.HasPrefix(p, q+"/") }
		var off []string
		if slices.ContainsFunc(plain, above) {
			off = compressorNames(c)
		}
		if slices.ContainsFunc(streamed, above) {
			off = append(off, bufferFilter)
		}
		if err := switchOff(r, off); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return append(out, rest), nil
}

func compressorNames(c *model.Compression) []string {
	var out []string
	for _, encoding := range c.Encodings {
		out = append(out, compressPrefix+encoding)
	}
	return out
}

// unheldRoutes switches off, on the routes of a gateway's rule of this name, what
// the rule is left out of.
func unheldRoutes(routes []*routev3.Route, g *model.Gateway, name string) error {
	var off []string
	if c := g.Compression; c != nil && slices.Contains(c.Except, name) {
		off = compressorNames(c)
	}
	if b := g.Buffer; b != nil && slices.Contains(b.Except, name) {
		off = append(off, bufferFilter)
	}
	for _, r := range routes {
		if err := switchOff(r, off); err != nil {
			return err
		}
	}
	return nil
}

// switchOff has no filter of these names act on what r takes.
func switchOff(r *routev3.Route, filters []string) error {
	if len(filters) == 0 {
		return nil
	}
	off, err := toAny(&routev3.FilterConfig{Disabled: true})
	if err != nil {
		return err
	}
	per := map[string]*anypb.Any{}
	maps.Copy(per, r.TypedPerFilterConfig)
	for _, name := range filters {
		per[name] = off
	}
	r.TypedPerFilterConfig = per
	return nil
}
