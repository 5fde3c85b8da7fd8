package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/pflag"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"

	"github.com/meshc/meshc/reconciler/api"
	"github.com/meshc/meshc/reconciler/status"
	"github.com/meshc/meshc/reconciler/store"
	"github.com/meshc/meshc/reconciler/store/cluster"
)

// clusterFlags say which Mesh of which cluster is meant, in place of a state directory.
type clusterFlags struct{ mesh, kubeconfig, context string }

func (c *clusterFlags) register(f *pflag.FlagSet) {
	f.StringVar(&c.mesh, "mesh", "", "NAMESPACE/NAME of a Mesh in a cluster, in place of a state directory")
	c.registerKubeconfig(f)
}

func (c *clusterFlags) registerKubeconfig(f *pflag.FlagSet) {
	f.StringVar(&c.kubeconfig, "kubeconfig", "", "how to reach the cluster (default: as kubectl does)")
	f.StringVar(&c.context, "context", "", "context of the kubeconfig (default: its current one)")
}

// check refuses flags that exclude each other or do nothing.
func (c *clusterFlags) check(state string) error {
	switch {
	case c.mesh == "" && c.kubeconfig != "":
		return errors.New("--kubeconfig is for --mesh")
	case c.mesh == "" && c.context != "":
		return errors.New("--context is for --mesh")
	case c.mesh != "" && state != "":
		return errors.New("--state and --mesh exclude each other")
	}
	if c.mesh == "" {
		return nil
	}
	if _, _, err := meshNames(c.mesh); err != nil {
		return fmt.Errorf("--mesh %w", err)
	}
	return nil
}

// meshNames reads NAMESPACE/NAME.
func meshNames(mesh string) (namespace, name string, err error) {
	namespace, name, ok := strings.Cut(mesh, "/")
	if !ok || namespace == "" || name == "" || strings.Contains(name, "/") {
		return "", "", fmt.Errorf("%q is not NAMESPACE/NAME", mesh)
	}
	return namespace, name, nil
}

// config is how the cluster is reached: by --kubeconfig, KUBECONFIG or where kubectl
// looks.
func (c *clusterFlags) config() (*rest.Config, error) {
	klog.SetOutput(io.Discard) // errors are told by what returns them
	klog.LogToStderr(false)
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = c.kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: c.context}).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("the cluster: %w", err)
	}
	config.UserAgent, config.Timeout, config.QPS = "meshc", requestTime, -1
	return config, nil
}

// requestTime bounds one request to the API server.
const requestTime = 20 * time.Second

// inCluster is a Mesh in a cluster.
type inCluster struct {
	client          dynamic.Interface
	namespace, name string
}

// open reaches the Mesh.
func (c *clusterFlags) open() (*inCluster, error) {
	namespace, name, err := meshNames(c.mesh)
	if err != nil {
		return nil, err
	}
	config, err := c.config()
	if err != nil {
		return nil, err
	}
	client, err := dynamic.NewForConfig(config)
	return &inCluster{client, namespace, name}, err
}

// report gives what the controller last reported, and why that is not of the present,
// or nothing.
func (c *inCluster) report(ctx context.Context) (*status.Status, string, error) {
	u, err := c.client.Resource(api.Meshes).Namespace(c.namespace).Get(ctx, c.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, "", fmt.Errorf("there is no Mesh %s/%s: %w", c.namespace, c.name, err)
	}
	if err != nil {
		return nil, "", fmt.Errorf("mesh %s/%s: %w", c.namespace, c.name, err)
	}
	m, err := api.FromUnstructured[api.Mesh](u)
	if err != nil {
		return nil, "", fmt.Errorf("mesh %s/%s: %w", c.namespace, c.name, err)
	}
	if len(m.Status.Conditions) == 0 {
		return nil, "", fmt.Errorf("mesh %s/%s: no controller has reported yet: %w", c.namespace, c.name, store.ErrNothing)
	}
	gone := c.absent(ctx)
	if gone == "" && m.Status.ObservedGeneration < m.Generation {
		gone = "the report is of an older specification of the Mesh"
	}
	return &m.Status.Status, gone, nil
}

var leases = schema.GroupVersionResource{Group: "coordination.k8s.io", Version: "v1", Resource: "leases"}

// absent says that no controller leads, by its Lease, or nothing.
func (c *inCluster) absent(ctx context.Context) string {
	name := "meshc-" + c.name
	u, err := c.client.Resource(leases).Namespace(c.namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return fmt.Sprintf("whether a controller runs cannot be told: %v", err)
	}
	holder, _, _ := unstructured.NestedString(u.Object, "spec", "holderIdentity")
	lasts, _, _ := unstructured.NestedInt64(u.Object, "spec", "leaseDurationSeconds")
	text, _, _ := unstructured.NestedString(u.Object, "spec", "renewTime")
	renewed, err := time.Parse(time.RFC3339, text)
	switch {
	case holder == "":
		return "no controller leads"
	case err != nil:
		return fmt.Sprintf("whether a controller runs cannot be told: Lease %s says that it was renewed at %q", name, text)
	case time.Since(renewed) > max(2*time.Duration(lasts)*time.Second, status.Patience):
		return fmt.Sprintf("the controller %s has given no sign of life since %s", holder, renewed.UTC().Format(time.RFC3339))
	}
	return ""
}

// readTime bounds the reading of what serves.
const readTime = time.Minute

// serving reads what serves.
func (c *inCluster) serving(ctx context.Context) (*store.Generation, error) {
	cache, err := cluster.NewCache(c.client, c.namespace, c.name)
	if err != nil {
		return nil, err
	}
	// Who may not read is told so, which the watches of the cache would not.
	if _, err := c.client.Resource(api.ServiceConfigs).Namespace(c.namespace).List(ctx, metav1.ListOptions{Limit: 1}); err != nil {
		return nil, err
	}
	if _, _, err := c.report(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, readTime)
	ended := make(chan struct{})
	go func() { defer close(ended); cache.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	if err := cache.Synced(ctx); err != nil {
		return nil, err
	}
	return cache.Serving()
}
