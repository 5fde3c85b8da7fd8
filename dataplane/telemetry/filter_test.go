package telemetry

import (
	"testing"
	"time"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/meshc/meshc/dataplane/message"
)

func compiledFilter(t *testing.T, text string) Filter {
	t.Helper()
	var f accesslogv3.AccessLogFilter
	if err := protojson.Unmarshal([]byte(text), &f); err != nil {
		t.Fatal(err)
	}
	compiled, err := CompileFilter(&f)
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func TestFilters(t *testing.T) {
	const errorsOnly = `{"orFilter": {"filters": [
		{"statusCodeFilter": {"comparison": {"op": "GE", "value": {"defaultValue": 500, "runtimeKey": "k"}}}},
		{"responseFlagFilter": {}}]}}`
	const slowGet = `{"andFilter": {"filters": [
		{"durationFilter": {"comparison": {"op": "GE", "value": {"defaultValue": 250, "runtimeKey": "k"}}}},
		{"headerFilter": {"header": {"name": ":method", "stringMatch": {"exact": "GET"}}}}]}}`
	const audited = `{"metadataFilter": {"matcher": {"filter": "envoy.filters.http.rbac", "path": [{"key": "audit_shadow_engine_result"}],
		"value": {"stringMatch": {"exact": "allowed"}}}, "matchIfKeyNotFound": false}}`
	get := &message.Request{Method: "GET"}
	cases := []struct {
		name, filter string
		record       Record
		want         bool
	}{
		{"a server error", errorsOnly, Record{Status: 503}, true},
		{"a flag", errorsOnly, Record{Status: 200, Flags: "DC"}, true},
		{"a good answer", errorsOnly, Record{Status: 200}, false},
		{"slow enough", slowGet, Record{Request: get, Duration: 250 * time.Millisecond}, true},
		{"not slow enough", slowGet, Record{Request: get, Duration: 249*time.Millisecond + 999*time.Microsecond}, false},
		{"another method", slowGet, Record{Request: &message.Request{Method: "PUT"}, Duration: time.Second}, false},
		{"no request was read", slowGet, Record{Duration: time.Second}, false},
		{"one flag of two", `{"responseFlagFilter": {"flags": ["URX"]}}`, Record{Flags: "UF,URX"}, true},
		{"a flag that is part of another", `{"responseFlagFilter": {"flags": ["UF"]}}`, Record{Flags: "UFX,DC"}, false},
		{"equal", `{"statusCodeFilter": {"comparison": {"op": "EQ", "value": {"defaultValue": 404, "runtimeKey": "k"}}}}`, Record{Status: 404}, true},
		{"audited", audited, Record{Audited: "audit-0001"}, true},
		{"not audited", audited, Record{Status: 200}, false},
		{"at most", `{"statusCodeFilter": {"comparison": {"op": "LE", "value": {"defaultValue": 404, "runtimeKey": "k"}}}}`, Record{Status: 405}, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := compiledFilter(t, c.filter)(&c.record, nil); got != c.want {
				t.Errorf("logged = %v, want %v", got, c.want)
			}
		})
	}
}

func TestFilterTakesItsShare(t *testing.T) {
	f := compiledFilter(t, `{"runtimeFilter": {"runtimeKey": "k", "percentSampled": {"numerator": 1, "denominator": "TEN_THOUSAND"}, "useIndependentRandomness": true}}`)
	taken := 0
	for n := range uint64(20_000) {
		if f(&Record{}, func() uint64 { return n }) {
			taken++
		}
	}
	if taken != 2 {
		t.Errorf("%d of 20,000 values are taken, want 2", taken)
	}
}

func TestFiltersThatAreRefused(t *testing.T) {
	for _, text := range []string{
		`{"runtimeFilter": {"runtimeKey": "k"}}`,
		`{"notHealthCheckFilter": {}}`,
		`{"metadataFilter": {"matcher": {"filter": "x", "path": [{"key": "audit_shadow_engine_result"}], "value": {"stringMatch": {"exact": "allowed"}}}, "matchIfKeyNotFound": false}}`,
		`{"metadataFilter": {"matcher": {"filter": "envoy.filters.http.rbac", "path": [{"key": "audit_shadow_engine_result"}], "value": {"stringMatch": {"exact": "denied"}}}, "matchIfKeyNotFound": false}}`,
		`{"metadataFilter": {"matcher": {"filter": "envoy.filters.http.rbac", "path": [{"key": "audit_shadow_engine_result"}], "value": {"stringMatch": {"exact": "allowed"}}}}}`,
		`{"andFilter": {"filters": [{"traceableFilter": {}}, {"responseFlagFilter": {}}]}}`,
	} {
		var f accesslogv3.AccessLogFilter
		if err := protojson.Unmarshal([]byte(text), &f); err != nil {
			t.Fatal(err)
		}
		if _, err := CompileFilter(&f); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
}
