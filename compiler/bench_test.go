package compiler_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/emit/xds/artifact"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/testdata/genmesh/gen"
)

// BenchmarkCompile measures a mesh of 1,000 services: plain directories decoded
// (auto), or everything evaluated (cue).
func BenchmarkCompile(b *testing.B) {
	fsys := large(b, gen.LargeOptions{Services: 1000})
	for name, all := range map[string]bool{"auto": false, "cue": true} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				res, err := compiler.Compile(context.Background(), fsys, compiler.Options{Now: now, Load: load.Options{InProcess: true, AllCUE: all}})
				if err != nil || res.Model == nil {
					b.Fatal(err, res)
				}
			}
		})
	}
}

// BenchmarkRender renders every proxy of 1,000 services.
func BenchmarkRender(b *testing.B) {
	fsys := large(b, gen.LargeOptions{Services: 1000})
	res, err := compiler.Compile(context.Background(), fsys, compiler.Options{Now: now, Load: load.Options{InProcess: true}})
	if err != nil || res.Model == nil {
		b.Fatal(err, res)
	}
	for b.Loop() {
		files, err := artifact.New(res.Model, xds.DefaultWorkloads(res.Model), xds.Options{Now: now})
		if err != nil {
			b.Fatal(err)
		}
		var out bytes.Buffer
		names, err := files.Names()
		if err != nil {
			b.Fatal(err)
		}
		for _, name := range names {
			out.Reset()
			if err := files.Render(&out, name); err != nil {
				b.Fatal(err)
			}
		}
	}
}
