package asjson_test

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/compiler/emit/xds/asjson"
)

// long is what Append is a short cut for.
func long(m proto.Message, prefix int) ([]byte, error) {
	raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return nil, err
	}
	if raw, err = json.Marshal(json.RawMessage(raw)); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = json.Indent(&out, raw, strings.Repeat(" ", prefix), "  ")
	return out.Bytes(), err
}

func compare(t *testing.T, m proto.Message) {
	t.Helper()
	for _, prefix := range []int{0, 6, 150} {
		want, wantErr := long(m, prefix)
		got, err := asjson.Append([]byte("before"), m, prefix)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%v and %v", err, wantErr)
		}
		if err == nil && string(got) != "before"+string(want) {
			t.Fatalf("have\n%s\nwant\n%s", got, want)
		}
	}
}

func packed(t *testing.T, m proto.Message) *anypb.Any {
	t.Helper()
	out, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestMessageIsWhatTheLongWayGives(t *testing.T) {
	fields, err := structpb.NewStruct(map[string]any{"b": []any{1.5, "x", nil, true, map[string]any{}}, "a": "<&>\u2028é", "": "\x7f\t\b\f\"\\\x01"})
	if err != nil {
		t.Fatal(err)
	}
	hcm := &hcmv3.HttpConnectionManager{
		StatPrefix: "a \"b\" <c>", CodecType: hcmv3.HttpConnectionManager_HTTP2,
		HttpFilters:                []*hcmv3.HttpFilter{{Name: "x", ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: packed(t, &corev3.Address{})}}},
		ServerHeaderTransformation: hcmv3.HttpConnectionManager_APPEND_IF_ABSENT,
	}
	for name, m := range map[string]proto.Message{
		"empty":          &clusterv3.Cluster{},
		"empty any":      &anypb.Any{},
		"any":            packed(t, hcm),
		"any in any":     packed(t, packed(t, hcm)),
		"special in any": packed(t, durationpb.New(1500*time.Millisecond)),
		"wrapper in any": packed(t, wrapperspb.UInt64(math.MaxUint64)),
		"unknown any":    &anypb.Any{TypeUrl: "type.googleapis.com/no.such.Type", Value: []byte("x")},
		"broken any":     &anypb.Any{TypeUrl: packed(t, hcm).TypeUrl, Value: []byte{0xff}},
		"value only":     &anypb.Any{Value: []byte("x")},
		"struct":         fields,
		"metadata":       &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{"z": fields, "a": nil, "é": {}}},
		"not UTF-8":      &corev3.Node{Id: "\xff"},
		"not a key":      &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{"\xff": {}}},
		"bytes":          &corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: []byte{0, 0xff, 0xfe}}},
		"no such enum":   &clusterv3.Cluster{LbPolicy: 77, DnsLookupFamily: -3},
		"time":           timestamppb.New(time.Unix(1, 5)),
		"no value":       &structpb.Value{},
		"no list":        &structpb.ListValue{},
		"list of none":   &structpb.ListValue{Values: []*structpb.Value{{}}},
		"not a number":   structpb.NewNumberValue(math.NaN()),
		"nested":         packed(t, &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{"a": fields}}),
		"mixed duration": &durationpb.Duration{Seconds: 1, Nanos: -1},
		"bad duration":   &durationpb.Duration{Seconds: math.MaxInt64},
		"cluster": &clusterv3.Cluster{
			Name: "outbound|80||a", ConnectTimeout: durationpb.New(-time.Nanosecond), PerConnectionBufferLimitBytes: wrapperspb.UInt32(0),
			OutlierDetection: &clusterv3.OutlierDetection{}, CleanupInterval: durationpb.New(time.Hour),
			PreconnectPolicy: &clusterv3.Cluster_PreconnectPolicy{PerUpstreamPreconnectRatio: wrapperspb.Double(1e-7)},
		},
	} {
		t.Run(name, func(t *testing.T) { compare(t, m) })
	}
}

// What emit makes is written from its bytes, and what is not as proto.Marshal
// writes it by way of a message.
func TestPlainBytes(t *testing.T) {
	fields, err := structpb.NewStruct(map[string]any{"b": []any{1.5, "x", nil, true}, "a": map[string]any{}})
	if err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]proto.Message{
		"cluster": &clusterv3.Cluster{
			Name: "a", ConnectTimeout: durationpb.New(time.Second), PerConnectionBufferLimitBytes: wrapperspb.UInt32(0),
			TypedExtensionProtocolOptions: map[string]*anypb.Any{"b": packed(t, &corev3.Address{}), "a": packed(t, &hcmv3.HttpConnectionManager{StatPrefix: "x"})},
			Metadata:                      &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{"z": {Fields: map[string]*structpb.Value{"a": structpb.NewStringValue("b")}}}},
			CommonLbConfig:                &clusterv3.Cluster_CommonLbConfig{},
		},
		"retry": &routev3.RetryPolicy{RetriableStatusCodes: []uint32{0, 500, 1 << 31}, RetryOn: "a"},
	} {
		if !asjson.Plain(m) {
			t.Errorf("%s is not written from its bytes", name)
		}
		compare(t, m)
	}
	for name, b := range map[string]string{
		"twice":              "\x0a\x01a\x0a\x01b",
		"a zero":             "\x10\x00",
		"cut short":          "\x0a\x05a",
		"group":              "\x0b\x0c",
		"another type":       "\x08\x01",
		"two of one choice":  "\x1a\x00\x1a\x00",
		"not a field number": "\x00",
		"unknown field":      "\xfa\x7f\x01a",
	} {
		for _, kind := range []proto.Message{&hcmv3.HttpConnectionManager{}, &routev3.RouteAction{}, &corev3.DataSource{}} {
			compare(t, &anypb.Any{TypeUrl: packed(t, kind).TypeUrl, Value: []byte(b)})
		}
		if name != "unknown field" && asjson.PlainBytes(&corev3.DataSource{}, []byte(b)) {
			t.Errorf("%s: decided without a message", name)
		}
	}
	compare(t, fields)
}

func TestFloats(t *testing.T) {
	for _, n := range []float64{0, math.Copysign(0, -1), 1, -1, 1.5, 1e-6, 9.9e-7, 1e-7, 1e-10, -1e-9, 1e20, 1e21, 1e22, math.MaxFloat64, math.SmallestNonzeroFloat64, math.NaN(), math.Inf(1), math.Inf(-1)} {
		compare(t, wrapperspb.Double(n))
		compare(t, wrapperspb.Float(float32(n)))
		compare(t, packed(t, &clusterv3.Cluster_PreconnectPolicy{PredictivePreconnectRatio: wrapperspb.Double(n)}))
	}
}

func TestDurations(t *testing.T) {
	for _, d := range []time.Duration{0, 1, -1, 10, 1000, 1_000_000, 1_500_000, 999_999_999, time.Second, -1500 * time.Millisecond, time.Hour + 1, math.MaxInt64, math.MinInt64} {
		compare(t, durationpb.New(d))
	}
	for _, seconds := range []int64{315_576_000_000, -315_576_000_000, 315_576_000_001} {
		compare(t, &durationpb.Duration{Seconds: seconds})
	}
}

// FuzzAppend reads any bytes as each of some messages.
func FuzzAppend(f *testing.F) {
	f.Add([]byte("\n\x01a"))
	f.Add([]byte{0x0a, 2, '<', '&', 0x12, 2, 8, 3})
	f.Add([]byte{0x0a, 1, 'a', 0x0a, 1, 'b', 0x10, 0}) // said twice, and a zero
	f.Add([]byte("\b\x18\xa8\xd5\xb0\xc7\x1c\x1c"))    // a field beyond all numbers
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, m := range []proto.Message{&hcmv3.HttpConnectionManager{}, &corev3.Metadata{}, &clusterv3.Cluster{}, &routev3.RouteAction{}, &endpointv3.ClusterLoadAssignment{}} {
			compare(t, &anypb.Any{TypeUrl: packed(t, m).TypeUrl, Value: data})
		}
		for _, m := range []proto.Message{&clusterv3.Cluster{}, &listenerv3.Listener{}, &routev3.RouteConfiguration{}, &hcmv3.HttpConnectionManager{}, &structpb.Struct{}, &durationpb.Duration{}, &routev3.RouteAction{}} {
			if proto.Unmarshal(data, m) == nil {
				compare(t, m)
			}
		}
	})
}
