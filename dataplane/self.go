package dataplane

import (
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/meshc/meshc/dataplane/snapshot"
)

// selfOf is whose proxy a node is: what its metadata says under "service",
// "namespace" and "version", else node.cluster, "namespace/service", and the role
// and namespace of node.id, "role~namespace/workload".
func selfOf(node *corev3.Node, spiffeID string) snapshot.Party {
	said := func(key string) string { return node.GetMetadata().GetFields()[key].GetStringValue() }
	p := snapshot.Party{Service: said("service"), Namespace: said("namespace"), Version: said("version"), Host: said("host"), Principal: spiffeID}
	if p.Service == "" {
		if ns, name, ok := strings.Cut(node.GetCluster(), "/"); ok && !strings.Contains(name, "/") {
			p.Namespace, p.Service = ns, name
		}
	}
	role, _, _ := strings.Cut(node.GetId(), "~")
	p.Gateway = role == "gateway"
	return p
}
