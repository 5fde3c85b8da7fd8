package resource

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/meshc/meshc/dataplane/snapshot"
)

// metadataNamespace is where the control plane says what things are.
const metadataNamespace = "meshc.dev"

// partyOf is who serves a cluster, as its metadata says it, and the one identity
// that it must show.
func partyOf(m *clusterv3.Cluster, ctx *tlsv3.UpstreamTlsContext) snapshot.Party {
	fields := m.GetMetadata().GetFilterMetadata()[metadataNamespace].GetFields()
	said := func(key string) string { return fields[key].GetStringValue() }
	return snapshot.Party{
		Service: said("service"), Namespace: said("namespace"), Host: said("host"), Version: said("version"),
		Principal: onlyIdentity(ctx),
	}
}

func onlyIdentity(ctx *tlsv3.UpstreamTlsContext) string {
	common := ctx.GetCommonTlsContext()
	names := common.GetCombinedValidationContext().GetDefaultValidationContext().GetMatchTypedSubjectAltNames()
	if len(names) == 0 {
		names = common.GetValidationContext().GetMatchTypedSubjectAltNames()
	}
	if len(names) != 1 || names[0].GetSanType() != tlsv3.SubjectAltNameMatcher_URI {
		return ""
	}
	return names[0].GetMatcher().GetExact()
}
