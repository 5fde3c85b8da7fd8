// Package crds has the CustomResourceDefinitions of the API group meshc.dev, whose
// Go types are in reconciler/api.
package crds

import "embed"

// Files are the definitions, each a YAML document.
//
//go:embed *.yaml
var Files embed.FS
