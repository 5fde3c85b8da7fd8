package model

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
)

// Locality is a place where instances run: a region, a zone of it, a part of
// that. What is "" is not known, and then what is below it is not either. The
// zero Locality is a place that nobody knows; as a pattern it holds every place.
type Locality struct {
	Region  string `json:"region,omitempty"`
	Zone    string `json:"zone,omitempty"`
	SubZone string `json:"subZone,omitempty"`
}

// Anywhere is the word for the pattern that holds every place.
const Anywhere = "*"

// PlaceOf reads "region/zone/subZone", of which the last parts may be missing,
// or "*".
func PlaceOf(text string) Locality {
	if text == Anywhere {
		return Locality{}
	}
	var l Locality
	for i, part := range strings.SplitN(text, "/", 3) {
		switch i {
		case 0:
			l.Region = part
		case 1:
			l.Zone = part
		case 2:
			l.SubZone = part
		}
	}
	return l
}

// String writes a place as PlaceOf reads it.
func (l Locality) String() string {
	if l == (Locality{}) {
		return Anywhere
	}
	return strings.TrimRight(l.Region+"/"+l.Zone+"/"+l.SubZone, "/")
}

// Validate is an error for a place whose wider parts are missing.
func (l Locality) Validate() error {
	switch {
	case l.Region == "" && l.Zone != "":
		return errors.New("a zone is part of a region, which is missing")
	case l.Zone == "" && l.SubZone != "":
		return errors.New("a subZone is part of a zone, which is missing")
	}
	for _, part := range []string{l.Region, l.Zone, l.SubZone} {
		if strings.ContainsAny(part, "/*") {
			return fmt.Errorf(`%q is no name of a place: it holds "/" or "*"`, part)
		}
	}
	return nil
}

// Holds says that o is l or lies in it.
func (l Locality) Holds(o Locality) bool {
	return (l.Region == "" || l.Region == o.Region) && (l.Zone == "" || l.Zone == o.Zone) && (l.SubZone == "" || l.SubZone == o.SubZone)
}

// InZone gives the zone that l lies in.
func (l Locality) InZone() Locality { return Locality{Region: l.Region, Zone: l.Zone} }

// Depth is how narrow a place is: 0 for everywhere, 3 for a subZone.
func (l Locality) Depth() int {
	switch {
	case l.SubZone != "":
		return 3
	case l.Zone != "":
		return 2
	case l.Region != "":
		return 1
	}
	return 0
}

// Compare orders places by their parts.
func (l Locality) Compare(o Locality) int {
	return cmp.Or(cmp.Compare(l.Region, o.Region), cmp.Compare(l.Zone, o.Zone), cmp.Compare(l.SubZone, o.SubZone))
}

// LocalityMode says how places are chosen.
type LocalityMode string

// Modes.
const (
	LocalityFailover   LocalityMode = "failover"
	LocalityDistribute LocalityMode = "distribute"
	LocalityZoneAware  LocalityMode = "zoneAware"
)

// DefaultMinCluster is Envoy's default of ZoneAwareLbConfig.min_cluster_size.
const DefaultMinCluster = 6

// LocalityPolicy says which places get the requests of a caller.
type LocalityPolicy struct {
	Mode       LocalityMode
	Failover   []Failover     // LocalityFailover only
	Distribute []Distribution // LocalityDistribute only; at least one
	MinCluster uint32         // LocalityZoneAware only
	Origin     Origin
}

// Failover is an order of places for callers in From.
type Failover struct {
	From   Locality
	To     []Locality
	Origin Origin
}

// Distribution gives each of To its share of the requests of callers in From.
type Distribution struct {
	From   Locality
	To     []PlaceShare // by place; basis points sum to 10,000
	Origin Origin
}

// PlaceShare is the share of one place.
type PlaceShare struct {
	Place       Locality
	BasisPoints uint32
}

// FailoverOf gives the order that is for a caller: the one of the narrowest
// place that holds it, or nil.
func (p *LocalityPolicy) FailoverOf(caller Locality) *Failover {
	var out *Failover
	for i := range p.Failover {
		if f := &p.Failover[i]; f.From.Holds(caller) && (out == nil || f.From.Depth() > out.From.Depth()) {
			out = f
		}
	}
	return out
}

// DistributionOf gives the shares that are for a caller: those of the narrowest
// place that holds it, or nil.
func (p *LocalityPolicy) DistributionOf(caller Locality) *Distribution {
	var out *Distribution
	for i := range p.Distribute {
		if d := &p.Distribute[i]; d.From.Holds(caller) && (out == nil || d.From.Depth() > out.From.Depth()) {
			out = d
		}
	}
	return out
}

// Share gives the entry of the narrowest place that holds an endpoint; -1 for
// none.
func (d *Distribution) Share(endpoint Locality) int {
	at := -1
	for i, s := range d.To {
		if s.Place.Holds(endpoint) && (at < 0 || s.Place.Depth() > d.To[at].Place.Depth()) {
			at = i
		}
	}
	return at
}

func (p *LocalityPolicy) settings(s *settings) {
	if p == nil {
		return
	}
	s.at = p.Origin
	s.add("locality.mode", string(p.Mode))
	for _, f := range p.Failover {
		s.at = f.Origin
		var to []string
		for _, place := range f.To {
			to = append(to, place.String())
		}
		s.add("locality.failover["+f.From.String()+"]", strings.Join(to, ", "))
	}
	for _, d := range p.Distribute {
		s.at = d.Origin
		var to []string
		for _, share := range d.To {
			to = append(to, share.Place.String()+" "+Hundredths(share.BasisPoints)+" %")
		}
		s.add("locality.distribute["+d.From.String()+"]", strings.Join(to, ", "))
	}
	s.at = p.Origin
	s.number("locality.minCluster", p.MinCluster)
}
