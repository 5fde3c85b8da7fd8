package raw_test

import (
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/meshc/meshc/compiler/emit/xds/raw"
)

func read(t testing.TB, text string, m proto.Message) proto.Message {
	t.Helper()
	if err := protojson.Unmarshal([]byte(text), m); err != nil {
		t.Fatal(err)
	}
	return m
}

const hcm = `"@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"`

func TestMerge(t *testing.T) {
	cluster := func() proto.Message { return new(clusterv3.Cluster) }
	routes := func() proto.Message { return new(routev3.RouteConfiguration) }
	listener := func() proto.Message { return new(listenerv3.Listener) }
	for _, c := range []struct {
		name              string
		of                func() proto.Message
		text, patch, want string
	}{
		{"scalars are set", cluster, `{"name": "c", "alt_stat_name": "a"}`, `{"alt_stat_name": "b"}`, `{"name": "c", "alt_stat_name": "b"}`},
		{"messages merge", cluster, `{"connect_timeout": "5s", "circuit_breakers": {"thresholds": [{"max_requests": 1}]}}`, `{"circuit_breakers": {"per_host_thresholds": [{"max_connections": 2}]}}`,
			`{"connect_timeout": "5s", "circuit_breakers": {"thresholds": [{"max_requests": 1}], "per_host_thresholds": [{"max_connections": 2}]}}`},
		{"a wrapped default is a value", cluster, `{"outlier_detection": {"enforcing_success_rate": 5}}`, `{"outlier_detection": {"enforcing_success_rate": 0}}`, `{"outlier_detection": {"enforcing_success_rate": 0}}`},
		{"durations are one value", cluster, `{"connect_timeout": "5s"}`, `{"connect_timeout": "0.25s"}`, `{"connect_timeout": "0.25s"}`},
		{"one of several takes the place of another", cluster, `{"type": "EDS"}`, `{"cluster_type": {"name": "x"}}`, `{"cluster_type": {"name": "x"}}`},
		{"elements merge by name", routes, `{"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [{"name": "r"}]}]}`, `{"virtual_hosts": [{"name": "v", "routes": [{"name": "r", "stat_prefix": "x"}, {"name": "n"}]}]}`,
			`{"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [{"name": "r", "stat_prefix": "x"}, {"name": "n"}]}]}`},
		{"others are added", routes, `{"internal_only_headers": ["a"]}`, `{"internal_only_headers": ["b"]}`, `{"internal_only_headers": ["a", "b"]}`},
		{"maps are set by key", cluster, `{"metadata": {"filter_metadata": {"a": {"x": 1}, "b": {"y": 1}}}}`, `{"metadata": {"filter_metadata": {"a": {"z": 2}}}}`, `{"metadata": {"filter_metadata": {"a": {"x": 1, "z": 2}, "b": {"y": 1}}}}`},
		{"filters come before the router", listener,
			`{"filter_chains": [{"name": "p", "filters": [{"name": "h", "typed_config": {` + hcm + `, "stat_prefix": "s", "http_filters": [{"name": "a"}, {"name": "envoy.filters.http.router"}]}}]}]}`,
			`{"filter_chains": [{"name": "p", "filters": [{"name": "h", "typed_config": {` + hcm + `, "http_filters": [{"name": "b"}, {"name": "c"}, {"name": "a", "is_optional": true}]}}]}]}`,
			`{"filter_chains": [{"name": "p", "filters": [{"name": "h", "typed_config": {` + hcm + `, "stat_prefix": "s", "http_filters": [{"name": "a", "is_optional": true}, {"name": "b"}, {"name": "c"}, {"name": "envoy.filters.http.router"}]}}]}]}`},
		{"another type replaces", listener,
			`{"filter_chains": [{"name": "p", "filters": [{"name": "h", "typed_config": {` + hcm + `, "stat_prefix": "s"}}]}]}`,
			`{"filter_chains": [{"name": "p", "filters": [{"name": "h", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}]}`,
			`{"filter_chains": [{"name": "p", "filters": [{"name": "h", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}]}`},
	} {
		patch := c.of()
		if err := raw.Parse(c.patch, patch); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got := read(t, c.text, c.of())
		if err := raw.Merge(got, patch); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if d := cmp.Diff(read(t, c.want, c.of()), got, protocmp.Transform()); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
	}
}

func TestPatchesThatAreNone(t *testing.T) {
	for patch, want := range map[string]string{
		``:                               "the patch is no Cluster",
		`{}`:                             "sets nothing",
		`{"nosuch": 1}`:                  `unknown field "nosuch"`,
		`{"circuit_breakers": {"x": 1}}`: `unknown field "x"`,
		`{"connect_timeout": "soon"}`:    "Duration",
		`{"alt_stat_name": ""}`:          "sets nothing",
		`{"alt_stat_name": "x", "respectDnsTtl": false}`:                                             "respectDnsTtl is set to its default",
		`{"circuit_breakers": {"thresholds": [{"max_requests": 1, "track_remaining": false}]}}`:      "circuit_breakers.thresholds[0].track_remaining is set to its default",
		`{"typed_extension_protocol_options": {"a": {"@type": "type.googleapis.com/no.such.Type"}}}`: "no.such.Type",
	} {
		if err := raw.Parse(patch, new(clusterv3.Cluster)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", patch, err, want)
		}
	}
}

// FuzzParse: foreign text never panics, and what is taken changes something.
func FuzzParse(f *testing.F) {
	f.Add(`{"alt_stat_name": "x"}`)
	f.Add(`{"connectTimeout": "1s", "circuit_breakers": {"thresholds": [{"max_requests": 1}]}}`)
	f.Add(`[{"a": {}}]`)
	f.Fuzz(func(t *testing.T, text string) {
		m := new(clusterv3.Cluster)
		if raw.Parse(text, m) != nil {
			return
		}
		into := new(clusterv3.Cluster)
		if err := raw.Merge(into, m); err != nil {
			return
		}
		if proto.Size(into) == 0 {
			t.Errorf("%q does nothing", text)
		}
	})
}
