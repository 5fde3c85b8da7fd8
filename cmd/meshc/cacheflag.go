package main

import (
	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler/cache"
	"github.com/meshc/meshc/compiler/load"
)

// cacheFlag is --cache.
type cacheFlag struct{ dir string }

func addCacheFlag(cmd *cobra.Command) *cacheFlag {
	f := &cacheFlag{}
	cmd.Flags().StringVar(&f.dir, "cache", "", "keep what was made in this directory, and use what is there (default: no cache)")
	return f
}

// open gives the cache; nil when none was asked for.
func (f *cacheFlag) open() (*cache.Dir, error) {
	if f == nil || f.dir == "" {
		return nil, nil
	}
	return cache.Open(f.dir)
}

// loadOptions are those of a load of the subtree sub with the cache, if any.
func loadOptions(sub string, c *cache.Dir) load.Options {
	o := load.Options{Dir: sub}
	if c != nil {
		o.Cache = c
	}
	return o
}
