// Package checkup looks whether a cluster can have an installation of meshc, and how
// one that is there does. It only reads, and asks what the caller may do.
package checkup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	yamlutil "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/meshc/meshc/reconciler/api"
)

// State of a finding.
type State string

// States.
const (
	OK      State = "ok"
	Bad     State = "bad"
	Unknown State = "unknown" // it could not be told
)

// Finding is what came of one look.
type Finding struct {
	What   string `json:"what"`
	State  State  `json:"state"`
	Detail string `json:"detail,omitempty"`
	Fix    string `json:"fix,omitempty"`
}

// Checker looks at one cluster.
type Checker struct {
	client    dynamic.Interface
	discovery discovery.ServerVersionInterface
	groups    *discovery.DiscoveryClient
	namespace string
	found     []Finding
}

// New makes a Checker of the installation in a namespace.
func New(config *rest.Config, namespace string) (*Checker, error) {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	d, err := discovery.NewDiscoveryClientForConfig(config)
	return &Checker{client: client, discovery: d, groups: d, namespace: namespace}, err
}

func (c *Checker) add(what string, s State, detail, fix string) {
	c.found = append(c.found, Finding{what, s, detail, fix})
}

// failed adds what an error means: what was forbidden could not be told.
func (c *Checker) failed(what string, err error, missing string) {
	switch {
	case apierrors.IsNotFound(err):
		c.add(what, Bad, "it is not there", missing)
	default:
		c.add(what, Unknown, err.Error(), "")
	}
}

// minMinor is the oldest minor version of Kubernetes 1 that has native sidecars.
const minMinor = 29

// Pre looks whether the manifests can be applied by the caller. The error is for a
// cluster that does not answer.
func (c *Checker) Pre(ctx context.Context, manifests []byte) ([]Finding, error) {
	v, err := c.discovery.ServerVersion()
	if err != nil {
		return nil, fmt.Errorf("the API server does not answer: %w", err)
	}
	c.version(v)
	objects, err := decode(manifests)
	if err != nil {
		return nil, err
	}
	c.served(objects)
	c.allowed(ctx, objects)
	return c.found, nil
}

func (c *Checker) version(v *version.Info) {
	minor, err := strconv.Atoi(strings.TrimRight(v.Minor, "+"))
	switch {
	case err != nil:
		c.add("version of Kubernetes", Unknown, v.GitVersion, "")
	case v.Major == "1" && minor < minMinor:
		c.add("version of Kubernetes", Bad, v.GitVersion, fmt.Sprintf("1.%d has native sidecars; before that, start the webhook with --inject-classic", minMinor))
	default:
		c.add("version of Kubernetes", OK, v.GitVersion, "")
	}
}

// served looks whether the server has the kinds that are not meshc's own.
func (c *Checker) served(objects []*unstructured.Unstructured) {
	seen := map[schema.GroupVersion]bool{}
	var missing []string
	for _, o := range objects {
		gv := o.GroupVersionKind().GroupVersion()
		if seen[gv] || gv == api.GroupVersion {
			continue
		}
		seen[gv] = true
		if _, err := c.groups.ServerResourcesForGroupVersion(gv.String()); err != nil {
			missing = append(missing, gv.String())
		}
	}
	if _, err := c.groups.ServerResourcesForGroupVersion("discovery.k8s.io/v1"); err != nil {
		missing = append(missing, "discovery.k8s.io/v1")
	}
	if len(missing) > 0 {
		c.add("versions of the API", Bad, "not served: "+strings.Join(missing, ", "), "a cluster of Kubernetes 1.29 or later has them")
		return
	}
	c.add("versions of the API", OK, fmt.Sprintf("%d are served", len(seen)+1), "")
}

var reviews = schema.GroupVersionResource{Group: "authorization.k8s.io", Version: "v1", Resource: "selfsubjectaccessreviews"}

// allowed asks whether the caller may apply each object.
func (c *Checker) allowed(ctx context.Context, objects []*unstructured.Unstructured) {
	type ask struct{ verb, resource, group, namespace string }
	seen := map[ask]bool{}
	var denied []string
	for _, o := range objects {
		gvk := o.GroupVersionKind()
		for _, verb := range []string{"create", "patch"} { // of server-side apply
			a := ask{verb, resourceOf(gvk.Kind), gvk.Group, o.GetNamespace()}
			if seen[a] {
				continue
			}
			seen[a] = true
			u := &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
				"spec": map[string]any{"resourceAttributes": map[string]any{"verb": a.verb, "resource": a.resource, "group": a.group, "namespace": a.namespace}},
			}}
			got, err := c.client.Resource(reviews).Create(ctx, u, metav1.CreateOptions{})
			if err != nil {
				c.add("permission to install", Unknown, err.Error(), "")
				return
			}
			if yes, _, _ := unstructured.NestedBool(got.Object, "status", "allowed"); !yes {
				denied = append(denied, strings.TrimSuffix(a.verb+" "+a.resource+"."+a.group, "."))
			}
		}
	}
	if len(denied) > 0 {
		c.add("permission to install", Bad, "you may not "+strings.Join(denied, ", "), "an administrator of the cluster applies the manifests")
		return
	}
	c.add("permission to install", OK, fmt.Sprintf("for %d objects", len(objects)), "")
}

// resourceOf is the plural of the kinds of an installation.
func resourceOf(kind string) string {
	lower := strings.ToLower(kind)
	switch {
	case strings.HasSuffix(lower, "policy"):
		return strings.TrimSuffix(lower, "y") + "ies"
	case strings.HasSuffix(lower, "sh"):
		return lower + "es"
	}
	return lower + "s"
}

// decode gives the objects of a text of YAML.
func decode(text []byte) ([]*unstructured.Unstructured, error) {
	d := yamlutil.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	var out []*unstructured.Unstructured
	for {
		u := &unstructured.Unstructured{}
		err := d.Decode(&u.Object)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("manifests: %w", err)
		}
		if len(u.Object) > 0 {
			out = append(out, u)
		}
	}
}
