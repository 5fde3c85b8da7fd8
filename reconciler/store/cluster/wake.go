package cluster

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"

	"github.com/meshc/meshc/reconciler/api"
)

// Wake notes in the status of a Mesh that something was pushed, for the replica that
// leads. It needs no term: the time is all that it writes, against the
// version that was read.
func Wake(ctx context.Context, client dynamic.Interface, namespace, mesh string) error {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	meshes := client.Resource(api.Meshes).Namespace(namespace)
	var err error
	for range writeTries {
		got, readErr := meshes.Get(ctx, mesh, metav1.GetOptions{})
		if readErr != nil {
			return fmt.Errorf("read mesh %s/%s: %w", namespace, mesh, readErr)
		}
		m, readErr := api.FromUnstructured[api.Mesh](got)
		if readErr != nil {
			return readErr
		}
		if m.Status.Inventory.Epoch == 0 {
			return nil // nobody has led yet: a term begins with a look
		}
		m.Status.WokenAt = now()
		u, convErr := api.ToUnstructured(m)
		if convErr != nil {
			return convErr
		}
		if _, err = meshes.UpdateStatus(ctx, u, metav1.UpdateOptions{FieldManager: api.FieldManager}); !apierrors.IsConflict(err) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("note a push in mesh %s/%s: %w", namespace, mesh, err)
	}
	return nil
}
