package behave

import "github.com/meshc/meshc/compiler/model"

// externalTable is what callers' proxies do to requests for an external.
func externalTable(e *model.External, port uint16) table {
	if e == nil || e.Port(port) == nil {
		return nowhere()
	}
	to := Destination{
		Cluster: model.ClusterName(port, "", e.Host), Name: e.Host, BasisPoints: model.BasisPointsWhole,
		Endpoints: e.Endpoints, Traffic: traffic(e.Traffic),
	}
	out := table{
		otherwise: &Outcome{Verdict: Served, To: []Destination{to}, Timeout: e.Timeout, Protocol: e.Port(port).Protocol, Announce: e.Announce},
		from:      &source{name: e.Name, origin: e.Origin, tls: e.TLSOn(port).Settings()},
	}
	if v := e.Via; v != nil {
		out.otherwise.MTLS, out.otherwise.Server, out.otherwise.As = model.MTLSStrict, v.SPIFFEID, v.SPIFFEID
		out.otherwise.Aliases = v.Aliases
	}
	for _, s := range out.from.tls {
		if s.Name != "ports" { // they are those of the tables
			out.otherwise.TLS = append(out.otherwise.TLS, s.Name+": "+s.Value)
		}
	}
	return out
}
