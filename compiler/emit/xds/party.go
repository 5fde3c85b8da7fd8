package xds

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/meshc/meshc/compiler/model"
)

// party says who serves a cluster, for the metrics of the included proxy: what a
// cluster is called does not tell the service of a host of its own.
func party(ref model.Ref, host, version string) *corev3.Metadata {
	fields := map[string]string{"service": ref.Name, "namespace": ref.Namespace, "host": host}
	if version != "" {
		fields["version"] = version
	}
	return &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{MetadataNamespace: stringStruct(fields)}}
}
