package model

import (
	"strconv"
	"strings"
)

// Compare orders refs by namespace, then name.
func (r Ref) Compare(o Ref) int {
	if c := strings.Compare(r.Namespace, o.Namespace); c != 0 {
		return c
	}
	return strings.Compare(r.Name, o.Name)
}

// SPIFFEID is the identity of a service account
// (docs/ARCHITECTURE.md: spiffe://<trust-domain>/ns/<ns>/sa/<sa>).
func SPIFFEID(trustDomain, namespace, account string) string {
	return "spiffe://" + trustDomain + "/ns/" + namespace + "/sa/" + account
}

// ClusterName is "outbound|<port>|<version>|<host>"; an external has no
// version.
func ClusterName(port uint16, version, host string) string {
	return "outbound|" + portText(port) + "|" + version + "|" + host
}

// OutboundName is the listener, and the route configuration, of one used
// service port: "outbound|<port>||<host>".
func OutboundName(port uint16, host string) string { return ClusterName(port, "", host) }

// InboundName is the listener, route configuration and cluster of one port on
// the server's side: "inbound|<port>".
func InboundName(port uint16) string { return "inbound|" + portText(port) }

// GatewayName is the listener and route configuration of one gateway port:
// "gateway|<port>".
func GatewayName(port uint16) string { return "gateway|" + portText(port) }

func portText(port uint16) string { return strconv.Itoa(int(port)) }
