package dataplane

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/meshc/meshc/dataplane/admin"
	"github.com/meshc/meshc/dataplane/identity/workloadapi"
)

// serveWorkload opens the SPIFFE Workload API where the options say, unless it is open.
func (p *proxy) serveWorkload() error {
	if p.opts.Workload == "" || p.hasAPI {
		return nil
	}
	if p.source == nil {
		return errors.New("workload API: there is no identity to give")
	}
	l, err := admin.ListenUnix(p.opts.Workload, cmp.Or(p.opts.WorkloadMode, 0o600))
	if err != nil {
		return fmt.Errorf("workload API: %w", err)
	}
	p.hasAPI = true
	p.untilRetired(func(ctx context.Context) error { return workloadapi.Serve(ctx, l, p.source, p.opts.Log) })
	return nil
}
