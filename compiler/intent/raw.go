package intent

import "github.com/meshc/meshc/compiler/diag"

// Raw is one patch of Envoy's own configuration.
type Raw struct {
	Name     Value[string]
	Resource Value[string] // listener | routes | cluster
	Target   Value[string] // the name of the resource
	Proxies  []Value[string]
	Patch    Value[string] // JSON
	Hash     Value[string]
	At       diag.Range
}
