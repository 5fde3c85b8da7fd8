package resource

import (
	"testing"

	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/config/metrics/v3"
	"google.golang.org/protobuf/encoding/protojson"
)

func TestStatsConfig(t *testing.T) {
	for text, want := range map[string]map[string]bool{
		`{"stats_matcher": {"reject_all": true}}`: {"server.live": false},
		`{"stats_matcher": {"inclusion_list": {"patterns": [{"prefix": "cluster."}, {"safe_regex": {"regex": ".*\\.(?:live|upstream_rq_[1-5]xx)"}}]}}}`: {
			"cluster.a.upstream_cx_total": true, "server.live": true, "server.liveness": false, "http.a.upstream_rq_2xx": true,
		},
		`{"stats_matcher": {"exclusion_list": {"patterns": [{"suffix": "_total"}]}}}`: {"cluster.a.upstream_cx_total": false, "cluster.a.upstream_cx_active": true},
	} {
		config := new(metricsv3.StatsConfig)
		if err := protojson.Unmarshal([]byte(text), config); err != nil {
			t.Fatal(err)
		}
		if err := Supported.Check(config); err != nil {
			t.Fatal(err)
		}
		keep, err := DecodeStatsConfig(config)
		if err != nil {
			t.Fatal(err)
		}
		for name, kept := range want {
			if keep(name) != kept {
				t.Errorf("%s: %s is counted: %v", text, name, !kept)
			}
		}
	}
	for _, text := range []string{`{}`, `{"stats_matcher": {"reject_all": false}}`} {
		config := new(metricsv3.StatsConfig)
		if err := protojson.Unmarshal([]byte(text), config); err != nil {
			t.Fatal(err)
		}
		if keep, err := DecodeStatsConfig(config); keep != nil || err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}
