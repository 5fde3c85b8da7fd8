package show

import (
	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// Document is the JSON of a report.
type Document struct {
	Same     bool           `json:"same"`
	Known    bool           `json:"known"` // false: nothing may be concluded about what is not listed
	Classes  []behave.Class `json:"classes"`
	Risk     string         `json:"risk"` // of the classes: high, medium, low or none
	Objects  []object       `json:"objects"`
	Noop     []string       `json:"noop,omitempty"` // written differently, behaviour identical
	Total    int            `json:"objectsInAll"`
	Compared int            `json:"objectsCompared"` // the others are the same as written
	Regions  int            `json:"regions"`
	Differ   int            `json:"regionsThatDiffer"`
	Closing  string         `json:"closing"`
}

type object struct {
	Kind    behave.Kind    `json:"kind"`
	Name    string         `json:"name"`
	Was     string         `json:"was,omitempty"` // its name before, where that was another one
	Classes []behave.Class `json:"classes"`
	Regions int            `json:"regions"`
	Differ  int            `json:"regionsThatDiffer"`
	Changes []change       `json:"changes"`
	Through []string       `json:"through,omitempty"` // whose requests lead here by way of the callers
	Unknown []string       `json:"unknown,omitempty"`
}

type change struct {
	Classes []behave.Class  `json:"classes"`
	Route   string          `json:"route,omitempty"`
	Port    uint16          `json:"port"`
	Words   []string        `json:"words"` // any of which describes some of the requests
	More    int             `json:"more,omitempty"`
	From    []string        `json:"from,omitempty"`
	Deltas  []delta         `json:"deltas"`
	Witness *reach.Request  `json:"witness"`
	Text    string          `json:"witnessText"`
	Callers []string        `json:"callers,omitempty"`
	Before  *behave.Outcome `json:"before,omitempty"`
	After   *behave.Outcome `json:"after,omitempty"`
}

type delta struct {
	behave.Delta
	BeforeAt string `json:"beforeAt,omitempty"`
	AfterAt  string `json:"afterAt,omitempty"`
}

// JSON gives the document of a report.
func JSON(r *behave.Report) *Document {
	out := &Document{
		Same: r.Equal(), Known: !r.Unknown(), Classes: append([]behave.Class{}, r.Classes()...), Risk: behave.Risk(r.Classes()), Objects: []object{},
		Total: r.Total, Compared: r.Compared, Regions: r.Regions, Differ: r.Differ, Closing: Closing(r),
	}
	for _, n := range r.Same {
		out.Noop = append(out.Noop, sameName(r, n))
	}
	for i := range r.Objects {
		o := &r.Objects[i]
		doc := object{
			Kind: o.Kind, Name: o.Ref.String(), Classes: append([]behave.Class{}, o.Classes...), Regions: o.Regions, Differ: o.Differ,
			Changes: []change{}, Through: names(o.Through()), Unknown: o.Unknown,
		}
		if o.Was != (model.Ref{}) {
			doc.Was = o.Was.String()
		}
		for j := range o.Changes {
			doc.Changes = append(doc.Changes, changeOf(&o.Changes[j]))
		}
		out.Objects = append(out.Objects, doc)
	}
	return out
}

func changeOf(c *behave.Change) change {
	out := change{
		Classes: c.Classes, Route: c.Route, Port: c.Port, Words: c.Words, More: c.More, From: c.From,
		Witness: c.Witness, Text: c.Witness.String(), Callers: names(c.Callers),
	}
	if c.Before.Verdict != "" {
		out.Before, out.After = &c.Before, &c.After
	}
	for _, d := range c.Deltas {
		out.Deltas = append(out.Deltas, delta{Delta: d, BeforeAt: at(d.BeforeAt), AfterAt: at(d.AfterAt)})
	}
	return out
}

func at(r diag.Range) string { return r.String() }

func names(list []model.Ref) []string {
	var out []string
	for _, r := range list {
		out = append(out, r.String())
	}
	return out
}
