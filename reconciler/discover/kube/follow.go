package kube

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
)

// whole reads objects of a kind in the compact form of the API.
func whole(config *rest.Config, version schema.GroupVersion, path, resource string) (*toolscache.ListWatch, error) {
	c := rest.CopyConfig(config)
	c.GroupVersion, c.APIPath, c.NegotiatedSerializer = &version, path, scheme.Codecs.WithoutConversion()
	c.ContentType, c.AcceptContentTypes = runtime.ContentTypeProtobuf, runtime.ContentTypeProtobuf+","+runtime.ContentTypeJSON
	client, err := rest.RESTClientFor(c)
	if err != nil {
		return nil, err
	}
	return toolscache.NewListWatchFromClient(client, resource, metav1.NamespaceAll, fields.Everything()), nil
}

// metadataOf reads nothing of objects but their metadata.
func metadataOf(client metadata.Interface, what schema.GroupVersionResource) *toolscache.ListWatch {
	all := client.Resource(what)
	return &toolscache.ListWatch{
		ListWithContextFunc:  func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return all.List(ctx, o) },
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) { return all.Watch(ctx, o) },
	}
}

// followed tells how each call to the API server went.
type followed struct {
	*toolscache.ListWatch
	went func(error)
}

// ListWithContext implements ListerWatcherWithContext of client-go.
func (f followed) ListWithContext(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	list, err := f.ListWatch.ListWithContext(ctx, o)
	f.tell(ctx, err)
	return list, err
}

// WatchWithContext implements ListerWatcherWithContext of client-go.
func (f followed) WatchWithContext(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	w, err := f.ListWatch.WatchWithContext(ctx, o)
	f.tell(ctx, err)
	return w, err
}

func (f followed) tell(ctx context.Context, err error) {
	if err == nil || ctx.Err() == nil {
		f.went(err)
	}
}
