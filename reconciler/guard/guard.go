// Package guard holds each step from what serves to the next commit against bounds
// that the operator of a controller sets: how much one commit may take away, where
// it may write to, and what it may not open. A commit that passes them all is the
// next one to be served; one that does not changes nothing, until it is approved by
// name.
package guard

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/policies"
)

// DefaultPrunePercent is the share that one commit may take away where nothing else
// is said.
const DefaultPrunePercent = 50

// Guards are what a step is held against.
type Guards struct {
	// PrunePercent of the services, gateways and externals that serve may be gone with one
	// commit; 0: DefaultPrunePercent.
	PrunePercent int
	// PruneCount is how many of them may be; 0: as many as the share lets.
	PruneCount int
	// MTLS holds what weakens mutual TLS, Access what lets somebody in who was not.
	MTLS, Access bool
	// Namespaces are the only ones that services and gateways may be in; none: any.
	Namespaces []string
	// Approved is the full hash of a commit that is let by.
	Approved string
	// Back is the full hash of a commit that an operator goes back to: it may take away
	// whatever came since.
	Back string
}

// Held is why a commit is not served.
type Held struct {
	Text  string    // for people
	Found diag.List // with places, where there are some
}

// Hold judges the step from what serves (nil: nothing yet) to a compiled commit; nil
// lets it by.
func (g *Guards) Hold(serving *model.Mesh, commit string, res *compiler.Result) (*Held, error) {
	if g.Approved == commit {
		return nil, nil
	}
	if text := g.outside(res.Model); text != "" {
		return &Held{Text: text}, nil
	}
	if serving == nil || serving == res.Model { // nothing serves yet, or this very mesh does
		return nil, nil
	}
	if text := g.pruned(serving, res.Model); text != "" && g.Back != commit {
		return &Held{Text: text}, nil
	}
	if !g.MTLS && !g.Access {
		return nil, nil
	}
	found, err := policies.Guards{MTLS: g.MTLS, Access: g.Access}.Hold(serving, &policies.Tree{Intent: res.Intent, Model: res.Model}, time.Now())
	if err != nil || !found.HasErrors() {
		return nil, err
	}
	return &Held{Text: first(found), Found: found}, nil
}

// first is the first finding, and how many there are.
func first(found diag.List) string {
	text := string(found[0].Code) + ": " + found[0].Message
	if more := len(found) - 1; more > 0 {
		text += fmt.Sprintf(" (and %d more)", more)
	}
	return text
}

// outside names what is in none of the namespaces.
func (g *Guards) outside(m *model.Mesh) string {
	if len(g.Namespaces) == 0 {
		return ""
	}
	var out []string
	for _, ref := range refs(m) {
		if !slices.Contains(g.Namespaces, ref.Namespace) {
			out = append(out, ref.String())
		}
	}
	if len(out) == 0 {
		return ""
	}
	return fmt.Sprintf("%s outside the namespaces of this mesh (%s)", few(out, "is", "are"), strings.Join(g.Namespaces, ", "))
}

// pruned says that a commit takes too much away.
func (g *Guards) pruned(serving, next *model.Mesh) string {
	var gone []string
	all := refs(serving)
	for _, ref := range all {
		if next.Service(ref) == nil && next.Gateway(ref) == nil {
			gone = append(gone, ref.String())
		}
	}
	for _, e := range serving.Externals {
		all = append(all, e.Ref)
		if next.External(e.Ref) == nil {
			gone = append(gone, e.Ref.String())
		}
	}
	if len(next.Services) == 0 && len(serving.Services) > 0 || len(next.Services)+len(next.Gateways)+len(next.Externals) == 0 {
		return "" // that it is empty is asked about apart
	}
	percent := g.PrunePercent
	if percent == 0 {
		percent = DefaultPrunePercent
	}
	switch {
	case g.PruneCount > 0 && len(gone) > g.PruneCount:
		return fmt.Sprintf("%s gone with one commit, and %d may be", few(gone, "is", "are"), g.PruneCount)
	case len(gone)*100 > percent*len(all):
		return fmt.Sprintf("%s gone with one commit, %d of %d, and %d %% may be", few(gone, "is", "are"), len(gone), len(all), percent)
	}
	return ""
}

// refs are the services and gateways of a mesh.
func refs(m *model.Mesh) []model.Ref {
	var out []model.Ref
	for _, s := range m.Services {
		out = append(out, s.Ref)
	}
	for _, gw := range m.Gateways {
		out = append(out, gw.Ref)
	}
	return out
}

// few names the first ones, with the verb that goes with their number.
func few(names []string, one, many string) string {
	const most = 3
	if len(names) == 1 {
		return names[0] + " " + one
	}
	text := strings.Join(names[:min(len(names), most)], ", ")
	if more := len(names) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text + " " + many
}
