// Package chart has the Helm chart of meshc, whose templates are the one description
// of an installation: package install renders them without Helm.
package chart

import "embed"

// Files are values.yaml and the templates.
//
//go:embed values.yaml templates/*.yaml
var Files embed.FS
