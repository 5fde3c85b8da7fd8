package view

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/model"
)

// Change is what a change does to requests.
type Change struct {
	Risk    string      `json:"risk"`
	Classes []string    `json:"classes"`
	Entries []Entry     `json:"entries"`
	Access  []Admission `json:"access"`
	Unknown []Unknown   `json:"unknown"`
	Same    []string    `json:"same"`
}

// Entry is a set of requests that are treated differently.
type Entry struct {
	Kind        string       `json:"kind"`
	Ref         string       `json:"ref"`
	Route       string       `json:"route"`
	RouteBefore string       `json:"routeBefore"`
	Port        uint16       `json:"port"`
	Class       string       `json:"class"`
	Classes     []string     `json:"classes"`
	Risk        string       `json:"risk"`
	Words       []string     `json:"words"`
	From        []string     `json:"from"`
	Before      string       `json:"before"`
	After       string       `json:"after"`
	Deltas      []Delta      `json:"deltas"`
	Shares      []ShareDelta `json:"shares"`
	Callers     []string     `json:"callers"`
	Witness     string       `json:"witness"`
}

// Delta is one thing that differs.
type Delta struct {
	Class  string `json:"class"`
	Name   string `json:"name"`
	Before string `json:"before"`
	After  string `json:"after"`
}

// ShareDelta is the share of a destination before and after.
type ShareDelta struct {
	To     string      `json:"to"`
	Before json.Number `json:"before"`
	After  json.Number `json:"after"`
}

// Admission is a set of requests whose admission changes.
type Admission struct {
	Kind       string   `json:"kind"`
	Ref        string   `json:"ref"`
	Gained     bool     `json:"gained"`
	Lost       bool     `json:"lost"`
	Way        string   `json:"way"`
	Who        []string `json:"who"`
	Port       uint16   `json:"port"`
	Words      []string `json:"words"`
	AsksBefore []string `json:"asksBefore"`
	AsksAfter  []string `json:"asksAfter"`
	Witness    string   `json:"witness"`
}

// Unknown is something that could not be told.
type Unknown struct {
	Kind string `json:"kind"`
	Ref  string `json:"ref"`
	Why  string `json:"why"`
}

// OfChange gives the view of a behaviour diff, and of the changes of who
// reaches whom.
func OfChange(r *behave.Report, all []*behave.Access) *Change {
	out := &Change{Risk: behave.Risk(r.Classes()), Classes: classes(r.Classes())}
	for _, n := range r.Same {
		out.Same = append(out.Same, n.Ref.String())
	}
	for i := range r.Objects {
		o := &r.Objects[i]
		for j := range o.Changes {
			out.Entries = append(out.Entries, entry(o, &o.Changes[j]))
		}
		out.unknown(o.Name, o.Unknown)
	}
	for _, a := range all {
		for i := range a.Entries {
			out.Access = append(out.Access, admission(a, &a.Entries[i]))
		}
		out.unknown(a.Name, a.Unknown)
	}
	return out
}

func (c *Change) unknown(of behave.Name, whys []string) {
	for _, why := range whys {
		u := Unknown{string(of.Kind), of.Ref.String(), why}
		if !slices.Contains(c.Unknown, u) {
			c.Unknown = append(c.Unknown, u)
		}
	}
}

func classes(list []behave.Class) []string {
	return texts(list, func(c behave.Class) string { return string(c) })
}

func entry(o *behave.Object, c *behave.Change) Entry {
	out := Entry{
		Kind: string(o.Kind), Ref: o.Ref.String(), Port: c.Port, Class: string(c.Classes[0]), Classes: classes(c.Classes), Risk: behave.Risk(c.Classes),
		Words: c.Words, From: c.From, Before: c.Before.String(), After: c.After.String(), Callers: refs(c.Callers), Witness: c.Witness.String(),
	}
	out.RouteBefore, out.Route, _ = strings.Cut(c.Route, " → ")
	if out.Route == "" {
		out.Route = out.RouteBefore
	}
	for _, d := range c.Deltas {
		out.Deltas = append(out.Deltas, Delta{string(d.Class), d.Name, d.Before, d.After})
	}
	if c.Before.Verdict == "" { // of a caller: it has no outcomes, but says what it is
		out.Before, out.After = c.Deltas[0].Before, c.Deltas[0].After
	}
	out.Shares = shares(c.Before.To, c.After.To)
	return out
}

// shares are the destinations of either side, by cluster.
func shares(before, after []behave.Destination) []ShareDelta {
	var out []ShareDelta
	old := map[string]uint32{}
	for _, d := range before {
		old[d.Cluster] = d.BasisPoints
	}
	kept := map[string]bool{}
	for _, d := range after {
		kept[d.Cluster] = true
		out = append(out, ShareDelta{d.Name, percent(old[d.Cluster]), percent(d.BasisPoints)})
	}
	for _, d := range before {
		if !kept[d.Cluster] {
			out = append(out, ShareDelta{d.Name, percent(d.BasisPoints), "0"})
		}
	}
	return out
}

func admission(a *behave.Access, e *behave.Entry) Admission {
	return Admission{
		Kind: string(a.Kind), Ref: a.Ref.String(), Gained: e.Gained(), Lost: e.Lost(), Way: string(e.Way), Who: texts(e.Who, model.Ref.String),
		Port: e.Port, Words: e.Words, AsksBefore: e.Before.Asks, AsksAfter: e.After.Asks, Witness: e.Witness.String(),
	}
}
