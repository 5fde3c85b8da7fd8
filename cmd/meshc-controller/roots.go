package main

import (
	"context"

	"github.com/meshc/meshc/compiler/emit/kube"
	"github.com/meshc/meshc/reconciler/roots"
)

// publishRoots keeps the roots of the authority in every namespace whose pods are
// injected, while this replica leads.
func (c *inCluster) publishRoots(ctx context.Context) {
	p, err := roots.New(c.config, roots.Options{
		Selector: kube.InjectKey + "=enabled", Name: kube.DefaultRootMap, Key: kube.RootFile, PEM: c.process.signer.BundlePEM, Log: c.process.log,
	})
	if err != nil {
		c.process.log.Error("the roots cannot be published", "error", err)
		return
	}
	p.Run(ctx, c.process.signer.WatchBundle(ctx))
}
