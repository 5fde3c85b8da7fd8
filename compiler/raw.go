package compiler

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/emit/xds/valid"
	"github.com/meshc/meshc/compiler/model"
)

// rawPatches makes the resources of every proxy that a raw patch is for, and
// says which patches do not fit them. What a proxy gets later differs in
// addresses and in faults that have ended, which no hash is about: here all
// faults are on.
func rawPatches(m *model.Mesh) diag.List {
	if len(m.Raw) == 0 {
		return nil
	}
	c := &rawCheck{seen: map[string]*rawSeen{}}
	sound := *m
	sound.Raw = nil
	for i := range m.Raw {
		r := &m.Raw[i]
		if _, err := xds.ParseRaw(r); err != nil {
			c.bad(r, err)
			continue
		}
		sound.Raw = append(sound.Raw, *r)
	}
	all := xds.DefaultWorkloads(&sound)
	c.proxies(&sound, all)
	for i := range sound.Raw {
		c.judge(&sound, &sound.Raw[i], all)
	}
	c.found.Sort()
	return c.found
}

// rawCheck collects what patches meet.
type rawCheck struct {
	found diag.List
	seen  map[string]*rawSeen // by the name of the patch
}

// rawSeen is the resource of one patch, in the proxies that have it.
type rawSeen struct {
	proxy  model.Ref // the first that has it
	before proto.Message
	hash   string
	other  model.Ref // one that has another resource of the name
	bad    bool
}

func (c *rawCheck) of(r *model.Raw) *rawSeen {
	if c.seen[r.Name] == nil {
		c.seen[r.Name] = &rawSeen{}
	}
	return c.seen[r.Name]
}

// bad reports a patch once.
func (c *rawCheck) bad(r *model.Raw, err error) {
	if s := c.of(r); !s.bad {
		s.bad = true
		c.found.Add(diag.New(diag.BadRaw, r.PatchOrigin, "raw %q: %s", r.Name, err))
	}
}

// proxies makes the resources of those that a patch is for.
func (c *rawCheck) proxies(m *model.Mesh, all []*model.Workload) {
	var now *model.Workload
	var here []*model.Raw
	ix, err := xds.NewIndexed(m, all, xds.Options{Patched: func(r *model.Raw, before proto.Message) {
		here = append(here, r)
		c.met(r, now.Service, before)
	}})
	if err != nil {
		panic("compiler: two workloads that were placed here have one name: " + err.Error())
	}
	for _, w := range all {
		if !slices.ContainsFunc(m.Raw, func(r model.Raw) bool { return r.For(w.Service) }) {
			continue
		}
		now, here = w, nil
		_, err := ix.Emit(w)
		if refused := (*xds.RawError)(nil); errors.As(err, &refused) {
			c.bad(refused.Raw, refused.Err)
		} else if err != nil {
			for _, r := range here {
				c.bad(r, err)
			}
		}
	}
}

// met remembers the resource that a patch is for, as a proxy has it.
func (c *rawCheck) met(r *model.Raw, proxy model.Ref, before proto.Message) {
	s, hash := c.of(r), xds.RawHash(before)
	switch {
	case s.before == nil:
		s.proxy, s.before, s.hash = proxy, before, hash
	case s.hash != hash && s.other == model.Ref{}:
		s.other = proxy
	}
}

// judge says whether the resource is the one that a patch was written for.
func (c *rawCheck) judge(m *model.Mesh, r *model.Raw, all []*model.Workload) {
	s := c.of(r)
	switch {
	case s.bad:
	case s.before == nil:
		c.nowhere(m, r, all)
	case s.other != model.Ref{}:
		d := diag.New(diag.RawChanged, r.Origin, "raw %q: %s %q of %s is not that of %s", r.Name, r.Kind, r.Target, s.other, s.proxy)
		d.Help = "name the `proxies` that it is for"
		c.found.Add(d)
	case s.hash != r.Hash:
		d := diag.New(diag.RawChanged, r.HashOrigin, "raw %q: %s %q%s", r.Name, r.Kind, r.Target, changedRaw(s.before, r.Hash))
		d.Help = fmt.Sprintf("look whether the patch fits it, and write hash: %q", s.hash)
		c.found.Add(d)
	}
}

func changedRaw(now proto.Message, old string) string {
	if old == "" {
		return " has a hash that is not written yet"
	}
	if fields := xds.RawDifference(now, old); len(fields) > 0 {
		return " has changed, in " + strings.Join(fields, ", ")
	}
	return " is not the one that the patch was written for"
}

// nowhere names what the proxies concerned have.
func (c *rawCheck) nowhere(m *model.Mesh, r *model.Raw, all []*model.Workload) {
	bare := *m
	bare.Raw = nil
	var names []string
	ix, err := xds.NewIndexed(&bare, all, xds.Options{})
	if err != nil {
		panic("compiler: two workloads that were placed here have one name: " + err.Error())
	}
	for _, w := range all {
		if !r.For(w.Service) || w.Role == model.RoleGRPC {
			continue
		}
		res, err := ix.Emit(w)
		if err != nil {
			continue // whoever compiles it is told
		}
		names = append(names, ofKind(res, r.Kind)...)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	d := diag.New(diag.RawNowhere, r.Origin, "raw %q: no proxy that it is for has %s %q", r.Name, r.Kind, r.Target)
	if near, ok := diag.MeantName(r.Target, names); ok {
		d.Help = fmt.Sprintf("did you mean %q?", near)
	}
	c.found.Add(d)
}

func ofKind(res *xds.Resources, kind model.RawKind) []string {
	var out []string
	switch kind {
	case model.RawListener:
		for _, l := range res.Listeners {
			out = append(out, valid.Name(l))
		}
	case model.RawRoutes:
		for _, rc := range res.Routes {
			out = append(out, valid.Name(rc))
		}
	case model.RawCluster:
		for _, cl := range res.Clusters {
			out = append(out, valid.Name(cl))
		}
	}
	return out
}
