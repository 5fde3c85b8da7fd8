package resource

import (
	"errors"

	metricsv3 "github.com/envoyproxy/go-control-plane/envoy/config/metrics/v3"
	otlpsinkv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/stat_sinks/open_telemetry/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshc/meshc/dataplane/snapshot"
)

// DecodeStatsSink is where a sink of the bootstrap sends metrics.
func DecodeStatsSink(s *metricsv3.StatsSink) (snapshot.Collector, error) {
	config := new(otlpsinkv3.SinkConfig)
	if err := s.GetTypedConfig().UnmarshalTo(config); err != nil {
		return snapshot.Collector{}, err
	}
	for _, b := range []*wrapperspb.BoolValue{config.GetEmitTagsAsAttributes(), config.GetUseTagExtractedName()} {
		if b != nil && !b.GetValue() {
			return snapshot.Collector{}, errors.New("emit_tags_as_attributes and use_tag_extracted_name: must be true")
		}
	}
	return collector(config.GetGrpcService())
}
