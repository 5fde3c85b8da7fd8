package intent

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/meshc/meshc/compiler/diag"
)

// RuleFile is a file of rules, as it was read: policies/*.cue. Rules judge what
// a mesh compiles to, so a load leaves them unread.
type RuleFile struct {
	Path string // slash-separated, relative to the module root
	Data []byte
}

// PolicyRule is one rule that users wrote in CUE, but for what it finds.
type PolicyRule struct {
	Name       Value[string]
	Over       string // mesh | change
	Why        string
	Exemptions []*Exemption
}

// RuleTest is what a rule must say of something made up.
type RuleTest struct {
	Name Value[string]
	Rule Value[string]
	Mesh *Value[string] // CUE
	Base *Value[string] // CUE
	View []byte         // JSON; nil where Mesh is written
	// Gives names the parts of the view that are written in View.
	Gives []string
	Now   *Value[string] // RFC 3339
	Says  []*Said
}

// Said is one thing that a rule must say; nil is anything.
type Said struct {
	Severity *Value[string] // error | warning
	Message  *Value[string] // a part of it
	Service  *Value[string] // reference
	Gateway  *Value[string] // reference
	External *Value[string] // reference
	Route    *Value[string]
	At       diag.Range
}

// RuleBook is what the files of rules say, but for what the rules find.
type RuleBook struct {
	Rules []*PolicyRule // in the order of the source
	Tests []*RuleTest   // in the order of the source
	Reads *Reads        // of the view, by all rules
}

// RuleRun asks rules what they find in a view.
type RuleRun struct {
	Rules []string        // their names
	View  json.RawMessage // now, mesh, base and change, as far as there is one
}

// RuleVerdict is what became of one rule in one run.
type RuleVerdict struct {
	Rule   string
	Found  []RuleFinding
	Failed diag.List // why it cannot be told what the rule finds; none: it can
}

// RuleFinding is one thing that a rule found. What it concerns is as it was
// written.
type RuleFinding struct {
	Warn              bool // of `warn`, and not of `deny`
	Message, Help     string
	Service           string
	Gateway, External string
	Route             string
}

// Reads is what of the view rules read. What is not read need not be there; a
// list that is read has all of its elements, a map all of its entries.
type Reads struct {
	All  bool              `json:",omitempty"` // and everything below
	Kids map[string]*Reads `json:",omitempty"` // fields of a struct
	Each *Reads            `json:",omitempty"` // entries of a map, elements of a list
}

// Kid is what is read of a field; nil where it is not.
func (r *Reads) Kid(name string) *Reads {
	if r == nil || r.All {
		return r
	}
	return r.Kids[name]
}

// Add is what is read of a field, which is read from now on.
func (r *Reads) Add(name string) *Reads {
	if r.Kids == nil {
		r.Kids = map[string]*Reads{}
	}
	if r.Kids[name] == nil {
		r.Kids[name] = &Reads{}
	}
	return r.Kids[name]
}

// AddEach is what is read of entries or elements, which are from now on.
func (r *Reads) AddEach() *Reads {
	if r.Each == nil {
		r.Each = &Reads{}
	}
	return r.Each
}

// String is for messages of tests.
func (r *Reads) String() string {
	if r == nil {
		return "-"
	}
	if r.All {
		return "*"
	}
	out := ""
	for _, name := range slices.Sorted(maps.Keys(r.Kids)) {
		out += fmt.Sprintf(" %s%s", name, r.Kids[name])
	}
	if r.Each != nil {
		out += " []" + r.Each.String()
	}
	return "{" + out + " }"
}
