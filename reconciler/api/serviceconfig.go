package api

import (
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Kinds of what a ServiceConfig holds.
const (
	ConfigManifest = "Manifest" // the mesh as a whole, and the names of the others
	ConfigService  = "Service"
	ConfigGateway  = "Gateway"
)

// ServiceConfig is the compiled configuration of one service or gateway, or a part
// of it. Its name ends in a hash of its content and it never changes: another
// configuration is another object, and a generation becomes what serves by one
// write of the Mesh.
type ServiceConfig struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec ServiceConfigSpec `json:"spec"`
}

// ServiceConfigSpec has either Config or, where that would be too large for one
// object, Chunk.
type ServiceConfigSpec struct {
	// Kind says what Config is of.
	Kind string `json:"kind"`
	// Target is the service or gateway.
	Target Target `json:"target,omitzero"`
	// Digest is the SHA-256 in hex of the whole configuration as canonical JSON:
	// object keys sorted, without nulls and spaces.
	Digest string `json:"digest"`
	// Part of Parts, from 0.
	Part  int `json:"part"`
	Parts int `json:"parts"`
	// Config is the whole configuration.
	Config json.RawMessage `json:"config,omitempty"`
	// Chunk is one part of its canonical JSON.
	Chunk string `json:"chunk,omitempty"`
}

// Target names a service or a gateway of the mesh.
type Target struct {
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
}
