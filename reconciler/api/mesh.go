package api

import (
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshc/meshc/reconciler/status"
)

// Mesh is one mesh: the Git reference that it follows, and what has come of it.
type Mesh struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec   MeshSpec   `json:"spec"`
	Status MeshStatus `json:"status,omitzero"`
}

// MeshSpec says where the mesh comes from. How its repository is read, with which
// credentials, is said to the controller, which reads them from mounted files.
type MeshSpec struct {
	// Repository is https://, ssh:// or, on loopback, http:// and git://.
	Repository string `json:"repository"`
	// Ref is a branch, tag, full reference or hash.
	Ref string `json:"ref,omitempty"`
	// Path is the directory of the mesh in the repository.
	Path string `json:"path,omitempty"`
	// Interval is the time between looks at the repository; 0: 30 s.
	Interval metav1.Duration `json:"interval,omitzero"`
	// AllowEmpty takes a commit that removes every service.
	AllowEmpty bool `json:"allowEmpty,omitempty"`
	// Guards bound what one commit may do.
	Guards Guards `json:"guards,omitzero"`
	// Approve is the full hash of a commit that guards let by.
	Approve string `json:"approve,omitempty"`
	// Suspend keeps what serves.
	Suspend *Suspend `json:"suspend,omitempty"`
	// Rollback has another commit serve for a time.
	Rollback *Rollback `json:"rollback,omitempty"`
}

// Defaults of a MeshSpec, which the API server fills in.
const (
	DefaultRef  = "main"
	DefaultPath = "."
)

// MeshStatus is the report of the controller (package status), and what it needs
// to go on after a crash.
type MeshStatus struct {
	status.Status `json:",inline"`

	// ObservedGeneration is the generation of the Mesh that the report is of.
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Inventory is what the controller has written to the cluster, or is about to.
	Inventory Inventory `json:"inventory,omitzero"`
	// WokenAt is when a replica that does not lead heard that something was pushed,
	// for the one that does.
	WokenAt time.Time `json:"wokenAt,omitzero"`
	// Summary is for the columns of kubectl.
	Summary Summary `json:"summary,omitzero"`
}

// Inventory names every object that was or may have been written, by manifests: a
// manifest is a ServiceConfig that lists the others of its generation. It is
// written before the first object is, and forgets an object only after that is
// known to be gone.
type Inventory struct {
	// Epoch is raised by each controller that begins to write. One that finds
	// a higher epoch than its own has been replaced and writes no more.
	Epoch int64 `json:"epoch"`
	// Holder is who raised the epoch last.
	Holder string `json:"holder,omitempty"`
	// ClaimedAt is when that was.
	ClaimedAt time.Time `json:"claimedAt,omitzero"`
	// Serving is the generation that proxies are given.
	Serving *Generation `json:"serving,omitempty"`
	// Previous served before; its objects are kept.
	Previous *Generation `json:"previous,omitempty"`
	// Pending is being written.
	Pending *Generation `json:"pending,omitempty"`
	// Retired are manifests whose objects are being deleted, as far as no other
	// generation has them.
	Retired []string `json:"retired,omitempty"`
}

// Generation is what one commit serves.
type Generation struct {
	Commit   string `json:"commit"`
	Manifest string `json:"manifest"` // name of the ServiceConfig that lists the others
	Objects  int    `json:"objects"`  // with the manifest
	Bytes    int64  `json:"bytes"`    // of all configs as JSON
}

// Named says whether to is the beginning of the commit of a generation, or of the
// digest of its manifest; nil is none.
func (g *Generation) Named(to string) bool {
	if g == nil || to == "" {
		return false
	}
	digest := g.Manifest[strings.LastIndexByte(g.Manifest, '.')+1:] // its first 16 digits
	return strings.HasPrefix(g.Commit, to) || strings.HasPrefix(digest, to) || strings.HasPrefix(to, digest)
}

// Summary says in words what columns cannot put together.
type Summary struct {
	Serving    string `json:"serving,omitempty"`    // the beginning of the hash
	Programmed string `json:"programmed,omitempty"` // n/m
}
