package main

import (
	"context"

	"github.com/meshc/meshc/reconciler"
	"github.com/meshc/meshc/reconciler/discover"
	"github.com/meshc/meshc/reconciler/discover/kube"
)

// discover follows what runs: in the file that --workloads names, else in the
// cluster itself, which is read once while syncing lasts.
func (c *inCluster) discover(ctx, syncing context.Context) error {
	p := c.process
	if p.workloads != "" {
		c.workloads = reconciler.Discover(ctx, &discover.File{Path: p.workloads}, p.log)
		return nil
	}
	found, err := kube.New(c.config)
	if err != nil {
		return err
	}
	p.background(func() { found.Run(ctx) })
	if err := found.Synced(syncing); err != nil {
		return err
	}
	c.workloads = reconciler.Discover(ctx, found, p.log)
	return nil
}
