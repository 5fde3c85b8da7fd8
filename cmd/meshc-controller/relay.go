package main

import (
	"context"
	"time"

	"github.com/meshc/meshc/reconciler/store/cluster"
)

// wake has the repository looked at now: by this replica, or by the one that leads,
// which is told by the Mesh.
func (c *inCluster) wake() {
	if r := c.running.Load(); r != nil {
		r.Wake()
		return
	}
	select {
	case c.relay <- struct{}{}:
	default: // one that waits says all that this one would
	}
}

// relayPushes tells the replica that leads of what this one heard, until ctx ends.
func (c *inCluster) relayPushes(ctx context.Context) {
	for {
		select {
		case <-c.relay:
		case <-ctx.Done():
			return
		}
		if err := cluster.Wake(ctx, c.client, c.namespace, c.mesh); err != nil && ctx.Err() == nil {
			c.process.log.Error("the replica that leads could not be told of a push and will see it at its next look", "error", err)
		}
	}
}

// hear wakes whenever another replica has heard of a push after since, until ctx
// ends.
func (c *inCluster) hear(ctx context.Context, since time.Time, wake func()) {
	for {
		changed := c.cache.Changed()
		if m, err := c.cache.Mesh(); err == nil && m != nil && !m.Status.WokenAt.Equal(since) {
			since = m.Status.WokenAt
			wake()
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}
