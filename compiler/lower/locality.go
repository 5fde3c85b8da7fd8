package lower

import (
	"slices"

	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/model"
)

// locality sorts what has no order: entries by the callers' place, shares by
// place.
func locality(l *intent.Locality) *model.LocalityPolicy {
	out := &model.LocalityPolicy{Mode: model.LocalityMode(l.Mode.V), Origin: l.At}
	for _, f := range l.Failover {
		order := model.Failover{From: model.PlaceOf(f.From.V), Origin: f.At}
		for _, to := range f.To {
			order.To = append(order.To, model.PlaceOf(to.V))
		}
		out.Failover = append(out.Failover, order)
	}
	for _, d := range l.Distribute {
		shares := model.Distribution{From: model.PlaceOf(d.From.V), Origin: d.At}
		for _, to := range d.To {
			shares.To = append(shares.To, model.PlaceShare{Place: model.PlaceOf(to.Place.V), BasisPoints: percent(to.Percent)})
		}
		slices.SortFunc(shares.To, func(a, b model.PlaceShare) int { return a.Place.Compare(b.Place) })
		out.Distribute = append(out.Distribute, shares)
	}
	slices.SortFunc(out.Failover, func(a, b model.Failover) int { return a.From.Compare(b.From) })
	slices.SortFunc(out.Distribute, func(a, b model.Distribution) int { return a.From.Compare(b.From) })
	if out.Mode == model.LocalityZoneAware {
		out.MinCluster = numberOr(l.MinCluster, model.DefaultMinCluster)
	}
	return out
}

// placeless leaves out what the mesh says of places: an external has none.
func placeless(t *model.Traffic) *model.Traffic {
	if t != nil {
		t.Locality = nil
	}
	return t
}
