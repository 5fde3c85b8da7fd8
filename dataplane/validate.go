package dataplane

import (
	"context"
	"errors"
	"net/netip"

	"github.com/meshc/meshc/dataplane/bootstrap"
	"github.com/meshc/meshc/dataplane/snapshot/build"
)

// Validate says whether Run would serve this bootstrap, as far as can be told
// without sockets: static resources must be complete. The error is a
// *bootstrap.Error.
func Validate(b *bootstrap.Bootstrap) error {
	if b.ADS != nil {
		return nil
	}
	resolver := build.NewResolver(func(context.Context, string) ([]netip.Addr, error) {
		return nil, errors.New("nothing is resolved while a bootstrap is judged")
	})
	defer resolver.Close()
	set := build.NewSet()
	for _, r := range b.Static {
		set.Add(r)
	}
	if _, err := build.New(build.NewSecrets(nil), resolver).Build(set); err != nil {
		return &bootstrap.Error{File: b.File, Path: "static_resources", Reason: err.Error()}
	}
	return nil
}
