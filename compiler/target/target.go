// Package target holds what each kind of proxy can serve: one table over the
// fields of the language. `vet` refuses a field where the proxies that would
// have to serve it cannot, so that nothing is accepted and then ignored; the
// tests hold the table against the proxies themselves. It is a leaf.
package target

import (
	"fmt"
	"strings"
)

// Proxy is a set of kinds of proxy.
type Proxy uint8

// Kinds of proxy.
const (
	Envoy Proxy = 1 << iota // Envoy 1.40
	Meshc                   // meshc-proxy
	GRPC                    // an application whose gRPC library reads xDS itself
)

// Sets of kinds.
const (
	Proxies = Envoy | Meshc        // whatever runs beside an application
	All     = Envoy | Meshc | GRPC // everything that reads xDS
)

// Name gives the word for one kind, as `proxy` in the language says it.
func (p Proxy) Name() string {
	switch p {
	case Envoy:
		return "envoy"
	case Meshc:
		return "meshc"
	case GRPC:
		return "grpc"
	}
	return "unknown"
}

// Title gives the name of one kind for people.
func (p Proxy) Title() string {
	switch p {
	case Envoy:
		return "Envoy"
	case Meshc:
		return "meshc-proxy"
	case GRPC:
		return "grpc-go"
	}
	return "unknown"
}

// ByName finds a kind by its word; false for others.
func ByName(name string) (Proxy, bool) {
	for _, p := range []Proxy{Envoy, Meshc, GRPC} {
		if p.Name() == name {
			return p, true
		}
	}
	return 0, false
}

// Side says whose proxy acts on a field.
type Side string

// Sides.
const (
	Nobody  Side = "nobody"  // it names or documents; no proxy acts on it
	Callers Side = "callers" // the proxies of those that call the service or external, gateways among them
	Exit    Side = "exit"    // of an external: its egress gateway (`via`), or the callers where there is none
	Own     Side = "own"     // the proxy of the service or gateway itself
	Both    Side = "both"    // callers and own
)

// Row says who can serve a field and all fields below it, unless they have
// rows of their own.
type Row struct {
	// Field is a path of the schema: "*" for a name that users choose, "[]" for
	// the elements of a list; "=value" at the end narrows it to one value.
	Field string
	Side  Side
	// Served is the set of kinds that do what the field says.
	Served Proxy
}

// Restricted says that some kind of proxy does not serve the field.
func (r *Row) Restricted() bool { return r.Served != All && r.Side != Nobody }

var byField = indexRows(Table)

func indexRows(rows []Row) map[string]*Row {
	m := make(map[string]*Row, len(rows))
	for i := range rows {
		if m[rows[i].Field] != nil {
			panic("target: two rows for " + rows[i].Field)
		}
		m[rows[i].Field] = &rows[i]
	}
	return m
}

// Find gives the row of a field: its own, or that of the nearest field above
// it; nil for a field that the table does not know.
func Find(field string) *Row {
	for field != "" {
		if r := byField[field]; r != nil {
			return r
		}
		field = field[:max(strings.LastIndexByte(field, '.'), 0)]
	}
	return nil
}

// FindRow gives the row of exactly this field; nil when it has none of its own.
func FindRow(field string) *Row { return byField[field] }

// Word says a row's field as a user would: the name, and the value if the row
// is for one value only.
func Word(field string) string {
	name, value, narrowed := strings.Cut(field, "=")
	name = strings.TrimRight(name, ".*[]")
	name = name[strings.LastIndexByte(name, '.')+1:]
	if narrowed {
		return fmt.Sprintf("%s: %q", name, value)
	}
	return "`" + name + "`"
}

// FindValue gives the row of one value of a field; nil when the value has none
// of its own.
func FindValue(field, value string) *Row { return byField[field+"="+value] }
