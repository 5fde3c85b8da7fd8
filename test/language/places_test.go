package language

import (
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/model"
)

// placesFile says in which places the versions of an archive run, a line each:
// the version, as the first part of its workload's id, and the place of each
// instance. There is one without a place where it says nothing.
const placesFile = "places.txt"

func (a *archive) workloads(t *testing.T, m *model.Mesh) []*model.Workload {
	t.Helper()
	all := xds.DefaultWorkloads(m)
	f := a.fsys[placesFile]
	if f == nil {
		return all
	}
	for line := range strings.Lines(string(f.Data)) {
		words := strings.Fields(line)
		var first *model.Workload
		for _, w := range all {
			if w.ID == words[0]+"-0" {
				first = w
			}
		}
		if first == nil {
			t.Fatalf("%s: nothing is called %s", a.name, words[0])
		}
		first.Locality = model.PlaceOf(words[1])
		for i, place := range words[2:] {
			all = append(all, another(t, first, i+1, place))
		}
	}
	return all
}

// another is the n-th copy of w, at addresses beyond those of the default.
func another(t *testing.T, w *model.Workload, n int, place string) *model.Workload {
	t.Helper()
	out := *w
	out.ID = fmt.Sprintf("%s-%d", strings.TrimSuffix(w.ID, "-0"), n)
	out.Locality = model.PlaceOf(place)
	out.Inbound, out.App, out.Outbound = maps.Clone(w.Inbound), maps.Clone(w.App), maps.Clone(w.Outbound)
	beyond := func(at string) string {
		ap := netip.MustParseAddrPort(at)
		b := ap.Addr().As4()
		b[1] = byte(127 + n)
		return netip.AddrPortFrom(netip.AddrFrom4(b), ap.Port()).String()
	}
	for k, at := range out.Inbound {
		out.Inbound[k] = beyond(at)
	}
	for k, at := range out.App {
		out.App[k] = beyond(at)
	}
	for k, at := range out.Outbound {
		out.Outbound[k] = beyond(at)
	}
	return &out
}
