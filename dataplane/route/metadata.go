package route

import (
	"errors"
	"fmt"

	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/meshc/meshc/dataplane/message"
)

// CompileMetadata gives the judge of what filters have found out about a request.
// What is not there is no value: it satisfies only what is inverted.
func CompileMetadata(m *matcherv3.MetadataMatcher) (func(*message.Request) bool, error) {
	judge, err := compileJSON(m.GetValue())
	if err != nil {
		return nil, fmt.Errorf("metadata of %q: %w", m.GetFilter(), err)
	}
	var way []string
	for _, p := range m.GetPath() {
		way = append(way, p.GetKey())
	}
	filter, invert := m.GetFilter(), m.GetInvert()
	return func(req *message.Request) bool {
		value := structpb.NewStructValue(req.Metadata[filter])
		for _, name := range way {
			value = value.GetStructValue().GetFields()[name]
		}
		return (value.GetKind() != nil && judge(value)) != invert
	}, nil
}

func compileJSON(m *matcherv3.ValueMatcher) (func(*structpb.Value) bool, error) {
	switch p := m.GetMatchPattern().(type) {
	case *matcherv3.ValueMatcher_StringMatch:
		judge, err := CompileString(p.StringMatch)
		if err != nil {
			return nil, err
		}
		return func(v *structpb.Value) bool {
			text, ok := v.GetKind().(*structpb.Value_StringValue)
			return ok && judge(text.StringValue)
		}, nil
	case *matcherv3.ValueMatcher_BoolMatch:
		return func(v *structpb.Value) bool {
			truth, ok := v.GetKind().(*structpb.Value_BoolValue)
			return ok && truth.BoolValue == p.BoolMatch
		}, nil
	case *matcherv3.ValueMatcher_DoubleMatch:
		return compileNumber(p.DoubleMatch)
	case *matcherv3.ValueMatcher_PresentMatch:
		return func(*structpb.Value) bool { return p.PresentMatch }, nil
	case *matcherv3.ValueMatcher_ListMatch:
		judge, err := compileJSON(p.ListMatch.GetOneOf())
		if err != nil {
			return nil, err
		}
		return func(v *structpb.Value) bool { return anyValue(v.GetListValue().GetValues(), judge) }, nil
	case *matcherv3.ValueMatcher_OrMatch:
		return compileEither(p.OrMatch.GetValueMatchers())
	}
	return nil, errors.New("needs string_match, bool_match, double_match, present_match, list_match or or_match")
}

func compileNumber(m *matcherv3.DoubleMatcher) (func(*structpb.Value) bool, error) {
	var judge func(float64) bool
	switch p := m.GetMatchPattern().(type) {
	case *matcherv3.DoubleMatcher_Exact:
		judge = func(n float64) bool { return n == p.Exact }
	case *matcherv3.DoubleMatcher_Range:
		judge = func(n float64) bool { return p.Range.GetStart() <= n && n < p.Range.GetEnd() }
	default:
		return nil, errors.New("double_match needs exact or range")
	}
	return func(v *structpb.Value) bool {
		n, ok := v.GetKind().(*structpb.Value_NumberValue)
		return ok && judge(n.NumberValue)
	}, nil
}

func compileEither(list []*matcherv3.ValueMatcher) (func(*structpb.Value) bool, error) {
	var ways []func(*structpb.Value) bool
	for _, m := range list {
		judge, err := compileJSON(m)
		if err != nil {
			return nil, err
		}
		ways = append(ways, judge)
	}
	return func(v *structpb.Value) bool {
		for _, judge := range ways {
			if judge(v) {
				return true
			}
		}
		return false
	}, nil
}

func anyValue(list []*structpb.Value, judge func(*structpb.Value) bool) bool {
	for _, v := range list {
		if judge(v) {
			return true
		}
	}
	return false
}
