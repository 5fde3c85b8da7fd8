// Package snapshot reads a recorded state of clusters: what `meshc vet
// --snapshot` holds a mesh against, without a cluster. docs/snapshot.md says
// what its fields are.
package snapshot

import (
	"time"

	"github.com/meshc/meshc/compiler/diag"
)

// Version and kind of the format.
const (
	APIVersion = "meshc.dev/v1alpha1"
	Kind       = "ClusterSnapshot"
)

// MaxSize bounds a snapshot, in bytes.
const MaxSize = 256 << 20

// Snapshot is the state of one or more clusters at one time. Fields without
// "omitempty" are required.
type Snapshot struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Taken      time.Time `json:"taken"`
	Clusters   []Cluster `json:"clusters"`

	At diag.Range `json:"-"`
}

// Cluster is one Kubernetes cluster.
type Cluster struct {
	Name       string      `json:"name"`
	Namespaces []Namespace `json:"namespaces"`
	Services   []Service   `json:"services"`
	Pods       []Pod       `json:"pods"`
	Secrets    []Secret    `json:"secrets,omitempty"`
	CRDs       []CRD       `json:"crds,omitempty"`

	At diag.Range `json:"-"`
}

// Namespace and its labels.
type Namespace struct {
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels,omitempty"`

	At diag.Range `json:"-"`
}

// Service is a Kubernetes Service.
type Service struct {
	Namespace string            `json:"namespace"`
	Name      string            `json:"name"`
	Type      string            `json:"type,omitempty"` // default ClusterIP
	Selector  map[string]string `json:"selector,omitempty"`
	Ports     []ServicePort     `json:"ports,omitempty"`

	At diag.Range `json:"-"`
}

// ServicePort is a port of a Service. Exactly one of TargetPort and TargetName
// is meant; without both it is Port.
type ServicePort struct {
	Name        string `json:"name,omitempty"`
	Port        int    `json:"port"`
	TargetPort  int    `json:"targetPort,omitempty"`
	TargetName  string `json:"targetName,omitempty"`
	AppProtocol string `json:"appProtocol,omitempty"`

	At diag.Range `json:"-"`
}

// Pod is a running pod.
type Pod struct {
	Namespace      string            `json:"namespace"`
	Name           string            `json:"name"`
	Labels         map[string]string `json:"labels,omitempty"`
	ServiceAccount string            `json:"serviceAccount,omitempty"` // default "default"
	Ports          []PodPort         `json:"ports,omitempty"`
	RunAsUser      *int64            `json:"runAsUser,omitempty"`  // of the application's containers
	ProxyImage     string            `json:"proxyImage,omitempty"` // of the injected proxy; "": none

	At diag.Range `json:"-"`
}

// PodPort is a port that a container of a pod declares.
type PodPort struct {
	Name string `json:"name,omitempty"`
	Port int    `json:"port"`

	At diag.Range `json:"-"`
}

// Secret is what may be seen of a Secret: never its keys.
type Secret struct {
	Namespace   string `json:"namespace"`
	Name        string `json:"name"`
	Certificate string `json:"certificate,omitempty"` // PEM of tls.crt
	CA          string `json:"ca,omitempty"`          // PEM of ca.crt
	HasKey      bool   `json:"hasKey,omitempty"`      // tls.key is there

	At diag.Range `json:"-"`
}

// CRD is a CustomResourceDefinition and the versions that it serves.
type CRD struct {
	Name   string   `json:"name"`
	Served []string `json:"served"`

	At diag.Range `json:"-"`
}
