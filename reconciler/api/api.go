// Package api is the Kubernetes API of meshc, group meshc.dev, version v1alpha1:
// Mesh, which says where a mesh comes from and how far it has come, and
// ServiceConfig, in which the reconciler keeps what it compiled. Their schemas
// are in deploy/crds; a test holds the two against each other on an API server.
package api

import (
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Names that objects in a cluster are known by.
const (
	// Group of the API.
	Group = "meshc.dev"
	// FieldManager of everything that the reconciler applies.
	FieldManager = "meshc"
	// MeshLabel of an object is the name of the Mesh that it was made for, in the
	// same namespace.
	MeshLabel = "meshc.dev/mesh"
)

// GroupVersion of the API.
var GroupVersion = schema.GroupVersion{Group: Group, Version: "v1alpha1"}

// Resources of the API.
var (
	Meshes         = GroupVersion.WithResource("meshes")
	ServiceConfigs = GroupVersion.WithResource("serviceconfigs")
)

// Kinds of the API.
const (
	MeshKind          = "Mesh"
	ServiceConfigKind = "ServiceConfig"
)

// FromUnstructured reads an object as a dynamic client gives it. Fields that are
// not known are left aside, as between any two versions of an API.
func FromUnstructured[T Mesh | ServiceConfig](u *unstructured.Unstructured) (*T, error) {
	data, err := json.Marshal(u.Object)
	if err != nil {
		return nil, err
	}
	out := new(T)
	if err := json.Unmarshal(data, out); err != nil {
		return nil, fmt.Errorf("%s %s/%s: %w", u.GetKind(), u.GetNamespace(), u.GetName(), err)
	}
	return out, nil
}

// ToUnstructured is the inverse of FromUnstructured.
func ToUnstructured[T Mesh | ServiceConfig](o *T) (*unstructured.Unstructured, error) {
	data, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(data); err != nil {
		return nil, fmt.Errorf("as an object of Kubernetes: %w", err)
	}
	return u, nil
}
