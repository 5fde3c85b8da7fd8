package check

import (
	"slices"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
)

// locality judges the choice of places where it is written.
func (t *traffic) locality(l *intent.Locality, owner string) {
	if l == nil {
		return
	}
	mode := model.LocalityMode(l.Mode.V)
	if len(l.Failover) > 0 && mode != model.LocalityFailover {
		t.report(diag.LocalityMode, l.Failover[0].At, "%s: mode %s has no order of places", owner, mode).
			Help = "write `mode: \"failover\"`, or leave `failover` out"
	}
	if len(l.Distribute) > 0 && mode != model.LocalityDistribute {
		t.report(diag.LocalityMode, l.Distribute[0].At, "%s: mode %s gives no shares", owner, mode).
			Help = "write `mode: \"distribute\"`, or leave `distribute` out"
	}
	if l.MinCluster != nil && mode != model.LocalityZoneAware {
		t.report(diag.LocalityMode, l.MinCluster.At, "%s: mode %s does not count endpoints", owner, mode).
			Help = "write `mode: \"zoneAware\"`, or leave `minCluster` out"
	}
	if mode == model.LocalityDistribute && len(l.Distribute) == 0 {
		t.report(diag.LocalityMode, l.Mode.At, "%s: mode distribute says no shares", owner).Help = "write `distribute`"
	}
	t.failoverOrders(l, owner)
	t.distributions(l, owner)
}

// failoverOrders finds callers with two orders, and places that come up in vain.
func (t *traffic) failoverOrders(l *intent.Locality, owner string) {
	seen := map[string]diag.Range{}
	for _, f := range l.Failover {
		t.fromTwice(seen, f.From, owner)
		var before []model.Locality
		if from := model.PlaceOf(f.From.V); from != (model.Locality{}) { // of callers anywhere only their own zone comes first
			before = append(before, from)
		}
		t.listedTwice("`to`", f.To, same)
		for i, to := range f.To {
			if slices.ContainsFunc(f.To[:i], func(v intent.Value[string]) bool { return v.V == to.V }) {
				continue
			}
			place := model.PlaceOf(to.V)
			if i := slices.IndexFunc(before, func(b model.Locality) bool { return b.Holds(place) }); i >= 0 {
				t.report(diag.PlaceUnused, to.At, "%s: all of %s comes before, as part of %s", owner, to.V, before[i]).
					Help = "leave it out, or let the narrower place come first"
			}
			before = append(before, place)
		}
	}
}

func (t *traffic) fromTwice(seen map[string]diag.Range, from intent.Value[string], owner string) {
	if other, twice := seen[from.V]; twice {
		d := t.report(diag.PlaceTwice, from.At, "%s: callers of %s have an entry already", owner, from.V)
		d.Help = "let one entry say it"
		d.Related = []diag.Related{{Range: other, Message: "the other one"}}
		return
	}
	seen[from.V] = from.At
}

// distributions holds shares to what adds up to 100.
func (t *traffic) distributions(l *intent.Locality, owner string) {
	seen := map[string]diag.Range{}
	for _, d := range l.Distribute {
		t.fromTwice(seen, d.From, owner)
		sum, read := uint32(0), true
		for _, to := range d.To {
			share, err := literal.Percent(to.Percent.V)
			if err != nil || share == 0 {
				t.decimal(&to.Percent, diag.BadPercent, owner+": the share of "+to.Place.V)
				read = false
			}
			sum += share
		}
		if read && sum != model.BasisPointsWhole {
			t.report(diag.PlaceShares, d.At, "%s: the shares for callers of %s add up to %s %%, not 100", owner, d.From.V, literal.FormatPercent(sum))
		}
	}
}

// placesMet asks whether requests ever go from one place to another, where that
// is the point: a caller must notice that endpoints are unwell, and be allowed to
// leave enough of them out.
func (t *traffic) placesMet(b *intent.Traffic, m meeting) {
	l := b.Locality
	if m.external || !hasOrder(b) {
		return
	}
	if b.Outliers == nil && b.Health == nil {
		t.once(diag.FailoverBlind, l.At, "%s: nothing tells callers that endpoints of a place fail, so requests stay there as long as discovery says that it is ready", m.what).
			help("write `outliers` or `health`")
		return
	}
	if b.Health != nil {
		return
	}
	most := model.DefaultMaxEjectionPercent
	if p := b.Outliers.MaxPercent; p != nil {
		most = p.V
	}
	if most*7 > 100 {
		return
	}
	t.once(diag.FailoverHardly, l.At, "%s: %d %% of all endpoints may be left out, so a place with several of them and more than %s %% of all never hands its requests over",
		m.what, most, literal.FormatPercent(uint32(most)*350)).
		related(b.Outliers.At, "the limit").help("raise outliers.maxPercent, or write `health`")
}

// placeless refuses places of externals, whose endpoints have none.
func (t *traffic) placeless(e *intent.External) {
	if e.Traffic != nil && e.Traffic.Locality != nil {
		t.report(diag.NoPlaces, e.Traffic.Locality.At, "external %q: nobody says in which places its endpoints are", e.Name.V).Help = "leave `locality` out"
	}
}

// hasOrder says that places come one after the other.
func hasOrder(b *intent.Traffic) bool {
	return b.Locality != nil && model.LocalityMode(b.Locality.Mode.V) != model.LocalityDistribute
}
