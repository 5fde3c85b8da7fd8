package show

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// From leaves of an answer what is about one service or gateway.
func From(a *behave.Access, who model.Ref) *behave.Access {
	out := *a
	out.Entries, out.Nothing = nil, nil
	for _, e := range a.Entries {
		switch {
		case slices.Contains(e.Who, who):
			e.Who = []model.Ref{who}
		case slices.Contains(e.Holders, who):
			e.Holders = []model.Ref{who}
		default:
			continue
		}
		out.Entries = append(out.Entries, e)
	}
	if slices.Contains(a.Nothing, who) {
		out.Nothing = []model.Ref{who}
	}
	return &out
}

// Access writes who can reach something for a reader; who is the only service
// or gateway that it is about, "" for everybody.
func Access(w io.Writer, a *behave.Access, who string) error {
	p := &printer{}
	if len(a.Entries) == 0 {
		p.line("%s %s: %s can reach it", a.Kind, a.Ref, restOf(who, "nobody", "no request of "+who))
	} else {
		p.line("%s %s can be reached by:", a.Kind, a.Ref)
	}
	for i := range a.Entries {
		p.line("")
		p.entry("  ", &a.Entries[i], a.Entries[i].After)
	}
	if len(a.Nothing) > 0 {
		p.line("")
		p.line("  declared, and let in with no request: %s", refText(a.Nothing))
	}
	if len(a.Entries)+len(a.Nothing) > 0 {
		p.line("")
	}
	p.line("%s", accessClosing(a, restOf(who, "Nobody else, and no other request", "No other request of "+who)))
	_, err := io.WriteString(w, p.out.String())
	return err
}

// restOf chooses between what is said of everybody and of one.
func restOf(who, all, one string) string {
	if who == "" {
		return all
	}
	return one
}

// AccessDiff writes what changes about who can reach something for a reader; who
// is as for Access.
func AccessDiff(w io.Writer, a *behave.Access, who string) error {
	p := &printer{}
	if len(a.Entries) > 0 {
		p.line("who can reach %s %s changes:", a.Kind, named(a.Ref, a.Was))
		p.line("")
	}
	for i := range a.Entries {
		e := &a.Entries[i]
		switch {
		case e.Gained():
			p.entry("+ ", e, e.After)
		case e.Lost():
			p.entry("- ", e, e.Before)
		default:
			p.entry("~ ", e, e.After)
			p.conditions("before: ", e.Before)
		}
		p.line("")
	}
	rest := restOf(who, "Nobody else gains or loses a request", "No other request of "+who+" is gained or lost")
	if len(a.Entries) == 0 {
		rest = fmt.Sprintf("%s a request to %s %s", restOf(who, "Nobody gains or loses", who+" neither gains nor loses"), a.Kind, named(a.Ref, a.Was))
	}
	p.line("%s", accessClosing(a, rest))
	_, err := io.WriteString(w, p.out.String())
	return err
}

func accessClosing(a *behave.Access, rest string) string {
	if n := len(a.Unknown); n > 0 {
		return fmt.Sprintf("NOT KNOWN in %s: %s. Nothing may be concluded about what is not listed.", count(n, "place"), strings.Join(a.Unknown, "; "))
	}
	return fmt.Sprintf("%s: proved for every identity, address, port, host, path, method, header and claim (%s).", rest, count(a.Regions, "region"))
}

func (p *printer) entry(mark string, e *behave.Entry, a behave.Admission) {
	p.line("%s%s, to port %d", mark, wayText(e), e.Port)
	what := strings.Join(e.Words, "; or ")
	if e.More > 0 {
		what += fmt.Sprintf("; or %d more", e.More)
	}
	p.line("      %s", what)
	p.conditions("", a)
	if len(e.Holders) > 0 {
		p.line("      such identities have %s, whose proxies have no listener for it by `uses`", refText(e.Holders))
	}
	p.line("      for example  %s", e.Witness)
}

func (p *printer) conditions(mark string, a behave.Admission) {
	if len(a.Asks) > 0 {
		p.line("      %sif the authorizer agrees (%s)", mark, strings.Join(a.Asks, ", "))
	}
	if a.Judged != "" {
		p.line("      %sif, of what becomes of it on its way, %s", mark, a.Judged)
	}
}

// wayText says who comes by a way.
func wayText(e *behave.Entry) string {
	switch e.Way {
	case behave.ByGateway:
		return fmt.Sprintf("clients of gateway %s on its port %d", refText(e.Who), e.Gate)
	case behave.ByPlaintext:
		return "whoever connects without mutual TLS"
	case behave.ByIdentity:
		return "whoever else connects with an identity that is let in"
	}
	return refText(e.Who)
}

// AccessDocument is the JSON of who can reach something, or of what changes
// about it.
type AccessDocument struct {
	Kind    behave.Kind `json:"kindOfTarget"`
	To      string      `json:"to"`
	Was     string      `json:"was,omitempty"` // its name before, where that was another one
	Known   bool        `json:"known"`         // false: nothing may be concluded about what is not listed
	Entries []entry     `json:"entries"`
	Nothing []string    `json:"declaredAndLetInWithNothing,omitempty"`
	Unknown []string    `json:"unknown,omitempty"`
	Regions int         `json:"regions"`
}

type entry struct {
	Way     behave.Way        `json:"way"`
	Port    uint16            `json:"port"`
	Gate    uint16            `json:"gatewayPort,omitempty"`
	Who     []string          `json:"who,omitempty"`
	Holders []string          `json:"holders,omitempty"`
	Before  *behave.Admission `json:"before,omitempty"` // of a difference only
	After   behave.Admission  `json:"after"`
	Words   []string          `json:"words"`
	More    int               `json:"more,omitempty"`
	Witness *reach.Request    `json:"witness"`
	Text    string            `json:"witnessText"`
}

// AccessJSON gives the document; diff says that it is of a difference.
func AccessJSON(a *behave.Access, diff bool) *AccessDocument {
	out := &AccessDocument{
		Kind: a.Kind, To: a.Ref.String(), Known: len(a.Unknown) == 0, Entries: []entry{},
		Nothing: names(a.Nothing), Unknown: a.Unknown, Regions: a.Regions,
	}
	if a.Was != (model.Ref{}) {
		out.Was = a.Was.String()
	}
	for i := range a.Entries {
		e := &a.Entries[i]
		doc := entry{
			Way: e.Way, Port: e.Port, Gate: e.Gate, Who: names(e.Who), Holders: names(e.Holders), After: e.After,
			Words: e.Words, More: e.More, Witness: e.Witness, Text: e.Witness.String(),
		}
		if diff {
			doc.Before = &e.Before
		}
		out.Entries = append(out.Entries, doc)
	}
	return out
}
