package checkup

import (
	"context"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/meshc/meshc/reconciler/api"
	"github.com/meshc/meshc/reconciler/status"
)

var (
	definitions = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	webhooks    = schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "mutatingwebhookconfigurations"}
	deployments = appsv1.SchemeGroupVersion.WithResource("deployments")
	namespaces  = corev1.SchemeGroupVersion.WithResource("namespaces")
)

// injected selects the namespaces whose pods get proxies.
const injected = "meshc.dev/inject=enabled"

// rootMap and rootKey are where pods are given the roots of the authority.
const (
	rootMap = "meshc-root"
	rootKey = "root.pem"
)

// applied says how to get what is missing.
const applied = "meshc install --print | kubectl apply --server-side -f -"

// Installed looks how an installation does. The error is for a cluster that does not
// answer.
func (c *Checker) Installed(ctx context.Context) ([]Finding, error) {
	if _, err := c.discovery.ServerVersion(); err != nil {
		return nil, fmt.Errorf("the API server does not answer: %w", err)
	}
	for _, r := range []schema.GroupVersionResource{api.Meshes, api.ServiceConfigs} {
		c.defined(ctx, r.Resource+"."+r.Group)
	}
	c.deployed(ctx, "meshc-controller", true)
	if c.webhook(ctx, "meshc-inject") {
		c.deployed(ctx, "meshc-inject", false)
		c.opted(ctx)
	}
	c.meshes(ctx)
	c.expiries(ctx)
	return c.found, nil
}

func (c *Checker) defined(ctx context.Context, name string) {
	what := "definition " + name
	u, err := c.client.Resource(definitions).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		c.failed(what, err, applied)
		return
	}
	if is, why := condition(u, "Established"); !is {
		c.add(what, Bad, "it is not served: "+why, "")
		return
	}
	c.add(what, OK, "", "")
}

// condition reads a condition of an object.
func condition(u *unstructured.Unstructured, kind string) (is bool, why string) {
	list, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	for _, o := range list {
		if c, _ := o.(map[string]any); c["type"] == kind {
			message, _ := c["message"].(string)
			return c["status"] == "True", message
		}
	}
	return false, "no condition " + kind
}

func (c *Checker) deployed(ctx context.Context, name string, needed bool) {
	what := "deployment " + name
	u, err := c.client.Resource(deployments).Namespace(c.namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) && !needed {
		return
	}
	if err != nil {
		c.failed(what, err, applied)
		return
	}
	var d appsv1.Deployment
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &d); err != nil {
		c.add(what, Unknown, err.Error(), "")
		return
	}
	want := int32(1)
	if d.Spec.Replicas != nil {
		want = *d.Spec.Replicas
	}
	detail := fmt.Sprintf("%d of %d available", d.Status.AvailableReplicas, want)
	if d.Status.ObservedGeneration < d.Generation || d.Status.AvailableReplicas < want {
		c.add(what, Bad, detail, "kubectl -n "+c.namespace+" describe deployment "+name)
		return
	}
	c.add(what, OK, detail, "")
}

// webhook looks whether the API server trusts the webhook, and says whether there is
// one at all.
func (c *Checker) webhook(ctx context.Context, name string) bool {
	what := "webhook " + name
	u, err := c.client.Resource(webhooks).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return false // an installation without
	}
	if err != nil {
		c.failed(what, err, "")
		return true
	}
	list, _, _ := unstructured.NestedSlice(u.Object, "webhooks")
	for _, o := range list {
		hook, _ := o.(map[string]any)
		if bundle, _, _ := unstructured.NestedString(hook, "clientConfig", "caBundle"); bundle == "" {
			c.add(what, Bad, "the API server has no root to trust its certificate by", "the webhook adds it when it runs; see its log")
			return true
		}
	}
	c.add(what, OK, "", "")
	return true
}

// opted tells in which namespaces pods get proxies.
func (c *Checker) opted(ctx context.Context) {
	list, err := c.client.Resource(namespaces).List(ctx, metav1.ListOptions{LabelSelector: injected})
	if err != nil {
		c.failed("namespaces", err, "")
		return
	}
	var names []string
	for _, u := range list.Items {
		names = append(names, u.GetName())
	}
	detail := "pods get proxies in none: label one meshc.dev/inject=enabled"
	if len(names) > 0 {
		detail = "pods get proxies in " + strings.Join(names, ", ")
	}
	c.add("namespaces", OK, detail, "")
}

func (c *Checker) meshes(ctx context.Context) {
	list, err := c.client.Resource(api.Meshes).Namespace(c.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		c.failed("meshes", err, applied)
		return
	}
	if len(list.Items) == 0 {
		c.add("meshes", Bad, "there is no Mesh in namespace "+c.namespace, "make one that names the repository")
	}
	for i := range list.Items {
		what := "mesh " + list.Items[i].GetName()
		m, err := api.FromUnstructured[api.Mesh](&list.Items[i])
		if err != nil {
			c.add(what, Unknown, err.Error(), "")
			continue
		}
		c.mesh(what, m)
	}
}

// mesh tells what its conditions say.
func (c *Checker) mesh(what string, m *api.Mesh) {
	ready, told := m.Status.Condition(status.Ready)
	if !told {
		c.add(what, Bad, "no controller has reported yet", "")
		return
	}
	state := Bad
	switch ready.Status {
	case status.True:
		state = OK
	case status.Unknown:
		state = Unknown
	}
	c.add(what, state, ready.Reason+": "+ready.Message, "")
	if d, told := m.Status.Condition(status.Discovered); told && d.Status != status.True {
		c.add(what+", what runs", Bad, d.Message, "")
	}
	if d, told := m.Status.Condition(status.Drifted); told && d.Status == status.True {
		c.add(what+", drift", Bad, d.Message, "")
	}
}
