// Package rbac has what each role of meshc-controller may do in a cluster. A test
// compares it with what it does.
package rbac

import _ "embed"

// Controller is a Role, YAML, for the namespace of the Mesh: of a controller with
// the roles reconcile and serve.
//
//go:embed controller.yaml
var Controller []byte

// Discovery is a ClusterRole, YAML: what a controller reads to find out what runs.
// Of pods and nodes it asks for the metadata alone, which RBAC does not tell apart.
//
//go:embed discovery.yaml
var Discovery []byte

// CA is a ClusterRole, YAML: what the role ca needs beside it with
// --ca-attest=token-review.
//
//go:embed ca.yaml
var CA []byte

// Inject is a Role, YAML, for the namespace of the Mesh: of a controller that has the
// role inject alone.
//
//go:embed inject.yaml
var Inject []byte

// Webhook is a ClusterRole, YAML: what the role inject needs beside it where its
// certificate is made by itself.
//
//go:embed webhook.yaml
var Webhook []byte

// Roots is a ClusterRole, YAML: what a controller with --publish-roots needs beside
// its others.
//
//go:embed roots.yaml
var Roots []byte
