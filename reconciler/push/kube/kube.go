// Package kube brings objects to a cluster and takes them away again: by
// server-side apply, so that every field has the manager that wrote it, and by
// deletes that hit the very object that was meant. It overwrites others only in
// objects that it made, and says whom and where.
package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

// Ref names an object of a cluster.
type Ref struct {
	Resource        schema.GroupVersionResource
	Namespace, Name string
}

// String gives resource and name as kubectl takes them.
func (r Ref) String() string {
	name := r.Resource.GroupResource().String() + "/" + r.Name
	if r.Namespace != "" {
		name = r.Namespace + ": " + name
	}
	return name
}

// Object is what an object should be.
type Object struct {
	Ref
	// Content gives the JSON of the object, whenever it is to be applied: so that of
	// thousands only those under way are held.
	Content func() ([]byte, error)
}

// Drift is an object of ours that others had changed, and what they hold in it.
type Drift struct {
	Object Ref
	Owners []Owner
}

// Applier applies and prunes on behalf of one mesh. Its methods are safe for
// concurrent use.
type Applier struct {
	// Client of the cluster.
	Client dynamic.Interface
	// Manager of the fields that are applied.
	Manager string
	// Label and Value mark what belongs to the mesh: only that is pruned.
	Label, Value string
	// Parallel bounds the requests under way; 0: 8.
	Parallel int
	// Timeout bounds one object, with all requests that it takes; 0: 30 s.
	Timeout time.Duration
}

// bounded gives the context of one object.
func (a *Applier) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if a.Timeout > 0 {
		return context.WithTimeout(ctx, a.Timeout)
	}
	return context.WithTimeout(ctx, 30*time.Second)
}

// Apply makes every object what it should be. One that fails does not keep the
// others from it: the error joins all. drifted are those that were overwritten
// because others had changed what is ours.
func (a *Applier) Apply(ctx context.Context, objects []Object) (drifted []Drift, err error) {
	var mu sync.Mutex
	var errs []error
	a.each(ctx, len(objects), func(i int) {
		owners, err := a.applyOne(ctx, objects[i])
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			errs = append(errs, &ApplyError{objects[i].Ref, err})
		}
		if len(owners) > 0 {
			drifted = append(drifted, Drift{objects[i].Ref, owners})
		}
	})
	slices.SortFunc(drifted, func(x, y Drift) int { return cmp.Compare(x.Object.String(), y.Object.String()) })
	return drifted, errors.Join(append(sorted(errs), context.Cause(ctx))...)
}

// ApplyError is why one object could not be applied.
type ApplyError struct {
	Object Ref
	Err    error
}

// Error names the object.
func (e *ApplyError) Error() string { return fmt.Sprintf("apply %s: %v", e.Object, e.Err) }

// Unwrap gives what the API server said.
func (e *ApplyError) Unwrap() error { return e.Err }

// NotApplied gives the objects that an error of Apply is about.
func NotApplied(err error) map[Ref]bool {
	out := map[Ref]bool{}
	var all func(error)
	all = func(err error) {
		if one, ok := err.(*ApplyError); ok {
			out[one.Object] = true
		}
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range joined.Unwrap() {
				all(e)
			}
		}
	}
	all(err)
	return out
}

// sorted puts errors into an order that does not depend on who came first.
func sorted(errs []error) []error {
	slices.SortFunc(errs, func(x, y error) int { return cmp.Compare(x.Error(), y.Error()) })
	return errs
}

// each calls f for 0 to n-1, some at a time, until ctx ends.
func (a *Applier) each(ctx context.Context, n int, f func(i int)) {
	parallel := a.Parallel
	if parallel <= 0 {
		parallel = 8
	}
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(parallel, n) {
		workers.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	workers.Wait()
}

func (a *Applier) client(r Ref) dynamic.ResourceInterface {
	if r.Namespace == "" {
		return a.Client.Resource(r.Resource)
	}
	return a.Client.Resource(r.Resource).Namespace(r.Namespace)
}

// applyOne gives whom it took fields from.
func (a *Applier) applyOne(ctx context.Context, o Object) ([]Owner, error) {
	ctx, cancel := a.bounded(ctx)
	defer cancel()
	data, err := o.Content()
	if err != nil {
		return nil, err
	}
	err = a.patch(ctx, o.Ref, data, false)
	owners := conflicts(err)
	if len(owners) == 0 {
		return nil, err
	}
	live, err := a.client(o.Ref).Get(ctx, o.Name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("look at what conflicts: %w", err)
	}
	if !a.made(live) {
		return nil, &ConflictError{Object: o.Ref, Owners: owners}
	}
	mine := &unstructured.Unstructured{}
	if err := mine.UnmarshalJSON(data); err != nil {
		return nil, err
	}
	mine.SetUID(live.GetUID()) // this very object and no other
	if data, err = mine.MarshalJSON(); err != nil {
		return nil, err
	}
	return owners, a.patch(ctx, o.Ref, data, true)
}

// patch is one server-side apply.
func (a *Applier) patch(ctx context.Context, r Ref, data []byte, force bool) error {
	_, err := a.client(r).Patch(ctx, r.Name, types.ApplyPatchType, data, metav1.PatchOptions{FieldManager: a.Manager, Force: &force})
	return err
}

// made says whether an object is one that the manager has applied.
func (a *Applier) made(live *unstructured.Unstructured) bool {
	return slices.ContainsFunc(live.GetManagedFields(), func(f metav1.ManagedFieldsEntry) bool {
		return f.Manager == a.Manager && f.Operation == metav1.ManagedFieldsOperationApply && f.Subresource == ""
	})
}

// Outcome of a prune.
type Outcome int

// Outcomes. What is Terminating is asked for again later.
const (
	Gone        Outcome = iota
	Terminating         // deleted, and kept by a finalizer
	Disowned            // it bears the label no more, and was left alone
)

// Target is an object to delete. With a UID it is that one and no other of its
// name.
type Target struct {
	Ref
	UID types.UID
}

// Prune deletes objects that bear the label, and gives what came of each, in
// their order; where that is not known the error says why.
func (a *Applier) Prune(ctx context.Context, refs []Target) ([]Outcome, error) {
	out := make([]Outcome, len(refs))
	errs := make([]error, len(refs))
	for i := range errs {
		errs[i] = context.Canceled // of those that are not come to
	}
	a.each(ctx, len(refs), func(i int) {
		out[i], errs[i] = a.pruneOne(ctx, refs[i])
	})
	for i, err := range errs {
		if err != nil {
			out[i], errs[i] = Terminating, fmt.Errorf("delete %s: %w", refs[i].Ref, err)
		}
	}
	return out, errors.Join(errs...)
}

// pruneTries is how often an object is looked at anew that changed between the
// look and the delete.
const pruneTries = 5

func (a *Applier) pruneOne(ctx context.Context, t Target) (Outcome, error) {
	ctx, cancel := a.bounded(ctx)
	defer cancel()
	r := t.Ref
	var err error
	for range pruneTries {
		var live *unstructured.Unstructured
		live, err = a.client(r).Get(ctx, r.Name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			return Gone, nil
		case err != nil:
			return Terminating, err
		case t.UID != "" && live.GetUID() != t.UID:
			return Gone, nil
		case live.GetLabels()[a.Label] != a.Value:
			return Disowned, nil
		case live.GetDeletionTimestamp() != nil:
			return Terminating, nil
		}
		uid, version := live.GetUID(), live.GetResourceVersion()
		err = a.client(r).Delete(ctx, r.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid, ResourceVersion: &version}})
		switch {
		case apierrors.IsNotFound(err):
			return Gone, nil
		case err == nil && len(live.GetFinalizers()) > 0:
			return Terminating, nil
		case err == nil:
			return Gone, nil
		case !apierrors.IsConflict(err):
			return Terminating, err
		}
	}
	return Terminating, err
}
