package lower_test

import (
	"fmt"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/intent"
)

// text makes a value at no place in particular.
func text(s string) intent.Value[string] { return intent.Value[string]{V: s} }

func some(s string) *intent.Value[string] { return &intent.Value[string]{V: s} }

func number(n int) intent.Value[int] { return intent.Value[int]{V: n} }

func list(ss ...string) []intent.Value[string] {
	var out []intent.Value[string]
	for _, s := range ss {
		out = append(out, text(s))
	}
	return out
}

// place is a line of a file, as a range.
func place(file string, line int) diag.Range {
	return diag.Range{File: file, Start: diag.NewPos(line, 1), End: diag.NewPos(line, 2)}
}

// service has one http port 80 and the versions v1 and v2.
func service(name string, routes ...*intent.Route) *intent.Service {
	return &intent.Service{
		Name:     text(name),
		Ports:    []*intent.Port{{Name: text("http"), Number: number(80), Protocol: text("http")}},
		Versions: []*intent.Version{{Name: text("v1")}, {Name: text("v2")}},
		Routes:   routes,
		At:       place(name+".cue", 1),
	}
}

// route sends everything that matches to v1. Its place is the line of file.
func route(name, file string, line int, match ...*intent.Match) *intent.Route {
	at := place(file, line)
	return &intent.Route{
		Name: intent.Value[string]{V: name, At: at}, Match: match, At: at,
		To: []*intent.Weight{{Version: text("v1"), Percent: text("100")}},
	}
}

func path(kind, value string) *intent.Match {
	return &intent.Match{Path: &intent.PathMatch{Kind: text(kind), Value: text(value)}}
}

func header(name, kind, value string) *intent.Match {
	return &intent.Match{Headers: []*intent.NamedMatch{{Name: text(name), Kind: text(kind), Value: text(value)}}}
}

func gateway(name string, routes ...*intent.GatewayRoute) *intent.Gateway {
	return &intent.Gateway{
		Name:      text(name),
		Listeners: []*intent.GatewayListener{{Name: text("web"), Port: number(8080), Protocol: text("http")}},
		Routes:    routes,
		At:        place(name+".cue", 1),
	}
}

func gatewayRoute(i int, to string, match ...*intent.Match) *intent.GatewayRoute {
	at := place("gateway.cue", i+2)
	return &intent.GatewayRoute{Name: intent.Value[string]{V: fmt.Sprintf("g%d", i), At: at}, Match: match, To: text(to), At: at}
}
