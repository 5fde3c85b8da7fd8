package behave

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/meshc/meshc/compiler/alike"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// Difference between two versions of one object.
type Difference struct {
	// Regions is the number of sets of requests that were compared, each with
	// one outcome before and one after; together they are all requests.
	Regions int
	Differ  int      // of them with another outcome
	Changes []Change // none: no request is treated differently
	// Unknown says of which requests it could not be told; each is an
	// explanation. Nothing may be concluded about the object then, but the
	// changes are there.
	Unknown []string
}

// Change is the requests for which the same things change.
type Change struct {
	Port    uint16
	Classes []Class // the most serious first
	Deltas  []Delta
	Before  Outcome // of the witness
	After   Outcome
	Route   string         // of the witness, "old → new" where the names differ
	Witness *reach.Request // the least of them
	Words   []string       // any of which describes some of them
	More    int            // descriptions that were left out
	From    []string       // the clients that it is about, in words; none: whoever calls
	Callers []model.Ref    // the declared callers some of whose requests are among them
}

// maxWords bounds the descriptions of one change.
const maxWords = 4

// Caller is somebody who declares to call an object.
type Caller struct {
	Ref      model.Ref
	Identity string // SPIFFE ID
}

// Services compares what two versions of a service do; nil is a service that
// does not exist. callers are those that may be named among the ones affected.
func Services(before, after *model.Service, callers []Caller) *Difference {
	host := ""
	ports := map[uint16]bool{}
	for _, s := range []*model.Service{before, after} {
		servicePorts(s, ports)
		if s != nil {
			host = s.Host
		}
	}
	return eachPort(ports, host, callers, func(port uint16) (table, table) { return serviceTables(before, after, port) })
}

func servicePorts(s *model.Service, ports map[uint16]bool) {
	if s == nil {
		return
	}
	for _, p := range s.Ports {
		ports[p.Number] = true
	}
}

// Gateways compares what two versions of a gateway do, each in its mesh.
func Gateways(before, after *model.Mesh, ref model.Ref) *Difference {
	old, now := before.Gateway(ref), after.Gateway(ref)
	ports := map[uint16]bool{}
	gatewayPorts(old, ports)
	gatewayPorts(now, ports)
	return eachPort(ports, "", nil, func(port uint16) (table, table) {
		return gatewayTable(before, old, port), gatewayTable(after, now, port)
	})
}

func gatewayPorts(g *model.Gateway, ports map[uint16]bool) {
	if g == nil {
		return
	}
	for _, l := range g.Listeners {
		ports[l.Port] = true
	}
}

// Externals compares what two versions of an external do.
func Externals(before, after *model.External, callers []Caller) *Difference {
	host := ""
	ports := map[uint16]bool{}
	for _, e := range []*model.External{before, after} {
		externalPorts(e, ports)
		if e != nil {
			host = e.Host
		}
	}
	return eachPort(ports, host, callers, func(port uint16) (table, table) {
		return externalTable(before, port), externalTable(after, port)
	})
}

// entries compares what is asked for by one host and port, of whatever kind it is.
func entries(before, after *model.Mesh, ref model.Ref, callers []Caller) *Difference {
	host := ""
	ports := map[uint16]bool{}
	for _, m := range []*model.Mesh{before, after} {
		servicePorts(m.Service(ref), ports)
		externalPorts(m.External(ref), ports)
		if e, ok := entryOf(m, ref); ok {
			host = e.host
		}
	}
	return eachPort(ports, host, callers, func(port uint16) (table, table) {
		return entryTable(before, ref, port), entryTable(after, ref, port)
	})
}

// entryTable is what callers' proxies do to requests for a service or external.
func entryTable(m *model.Mesh, ref model.Ref, port uint16) table {
	if e := m.External(ref); e != nil {
		return externalTable(e, port)
	}
	return serviceTable(m.Service(ref), port)
}

func externalPorts(e *model.External, ports map[uint16]bool) {
	if e == nil {
		return
	}
	for _, p := range e.Ports {
		ports[p.Number] = true
	}
}

func eachPort(ports map[uint16]bool, host string, callers []Caller, tables func(uint16) (table, table)) *Difference {
	out := &Difference{}
	for _, port := range sortedKeys(ports) {
		before, after := tables(port)
		c := newComparison(port, host, callers)
		c.out = out
		if err := c.compare(before, after); err != nil {
			out.Unknown = append(out.Unknown, "port "+strconv.Itoa(int(port))+": "+err.Error())
		}
		c.release()
	}
	return out
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	var out []K
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// comparison numbers the outcomes of both sides, so that equal ones are one.
type comparison struct {
	port     uint16
	host     string
	callers  []Caller
	space    *reach.Space
	outcomes []*Outcome
	alike    map[gist][]int // numbers of outcomes
	known    map[*Outcome]int
	unseen   map[*model.Service][]unseen
	old, now []placed
	from     [2]*source // where no rule holds
	out      *Difference
}

// placed is a rule with the requests for which its condition holds.
type placed struct {
	set  reach.Set
	rule *rule
}

// newComparison of requests to a port of an object.
func newComparison(port uint16, host string, callers []Caller) *comparison {
	return &comparison{port: port, host: host, callers: callers, alike: map[gist][]int{}, known: map[*Outcome]int{}}
}

// release ends the comparison: nothing is asked of its space any more.
func (c *comparison) release() {
	if c.space != nil {
		c.space.Release()
	}
}

func (c *comparison) number(o *Outcome) int {
	n, ok := c.known[o]
	if ok {
		return n
	}
	about := o.gist()
	if n, ok = c.equal(o, c.alike[about]); !ok {
		n = len(c.outcomes)
		c.outcomes = append(c.outcomes, o)
		c.alike[about] = append(c.alike[about], n)
	}
	c.known[o] = n
	return n
}

var whole = alike.Without[struct{}]()

// equal finds the one of some outcomes that o is equal to. Most of those that are
// equal are so to the last bit, which is told sooner than what their keys are.
func (c *comparison) equal(o *Outcome, others []int) (n int, ok bool) {
	for _, n := range others {
		if alike.Same(whole, o, c.outcomes[n]) {
			return n, true
		}
	}
	if len(others) == 0 {
		return 0, false
	}
	key := o.key()
	for _, n := range others {
		if key == c.outcomes[n].key() {
			return n, true
		}
	}
	return 0, false
}

func (c *comparison) compare(before, after table) error {
	regions, err := c.regions(before, after)
	if err != nil {
		return err
	}
	return c.difference(regions)
}

// regions are all requests by what both tables do. The space tells apart what
// more says, too.
func (c *comparison) regions(before, after table, more ...reach.Pred) ([]reach.Region, error) {
	all := make([]reach.Pred, 0, len(before.rules)+len(after.rules)+len(c.callers)+1+len(more))
	for _, t := range []table{before, after} {
		for _, r := range t.rules {
			all = append(all, r.when)
		}
	}
	for _, caller := range c.callers {
		all = append(all, reach.Is(identity, reach.Exactly(caller.Identity)))
	}
	all = append(append(all, c.usual()), more...)
	var err error
	if c.space, err = reach.New(reach.DefaultLimits, all...); err != nil {
		return nil, err
	}
	c.from = [2]*source{before.from, after.from}
	f, err := c.function(before, &c.old)
	if err != nil {
		return nil, err
	}
	g, err := c.function(after, &c.now)
	if err != nil {
		return nil, err
	}
	return c.space.Compare(f, g)
}

func (c *comparison) function(t table, out *[]placed) (reach.Function, error) {
	*out = make([]placed, 0, len(t.rules))
	rules := make([]reach.Rule, 0, len(t.rules))
	for i := range t.rules {
		r := &t.rules[i]
		set, err := c.space.Set(r.when)
		if err != nil {
			return reach.Function{}, err
		}
		*out = append(*out, placed{set, r})
		rules = append(rules, reach.Rule{When: set, Then: c.number(r.then)})
	}
	return c.space.FirstMatch(rules, c.number(t.otherwise))
}

// group is the regions in which the same things change.
type group struct {
	regions []reach.Region
	shown   *shown // by a request, where conditions on the rewritten request decide
}

// difference joins the regions in which the same things change.
func (c *comparison) difference(regions []reach.Region) error {
	groups := map[string]*group{}
	c.out.Regions += len(regions)
	for _, r := range regions {
		if r.Before == r.After {
			continue
		}
		c.out.Differ++
		before, after := c.outcomes[r.Before], c.outcomes[r.After]
		key, g := changeKey(deltas(before, after)), group{}
		if before.depends(after) || after.depends(before) {
			var err error
			if g.shown, err = c.show(r); err != nil {
				return err
			}
			if g.shown == nil {
				words, _ := c.space.Words(r.Set, 1)
				c.out.Unknown = append(c.out.Unknown, fmt.Sprintf("port %d, %s: %s", c.port, strings.Join(words, ""), errRewritten))
				continue
			}
			key = fmt.Sprint(key, len(groups))
		}
		if groups[key] == nil {
			groups[key] = &g
		}
		groups[key].regions = append(groups[key].regions, r)
	}
	for _, key := range sortedKeys(groups) {
		change, err := c.change(groups[key])
		if err != nil {
			return err
		}
		c.out.Changes = append(c.out.Changes, *change)
	}
	slices.SortStableFunc(c.out.Changes, func(a, b Change) int { return compareClasses(a.Classes[0], b.Classes[0]) })
	return nil
}

var errRewritten = errors.New("what becomes of these on the way is not decided, and no request was found that shows a difference")

func changeKey(list []Delta) string {
	plain := slices.Clone(list)
	for i := range plain {
		plain[i].BeforeAt, plain[i].AfterAt = model.Origin{}, model.Origin{}
	}
	raw, err := json.Marshal(plain)
	if err != nil {
		panic("behave: a delta has no JSON: " + err.Error())
	}
	return string(raw)
}

// change describes regions in which the same things change.
func (c *comparison) change(g *group) (*Change, error) {
	set, err := c.space.Union(mapped(g.regions, func(r reach.Region) reach.Set { return r.Set })...)
	if err != nil {
		return nil, err
	}
	out := &Change{Port: c.port}
	if err := c.witness(out, set); err != nil {
		return nil, err
	}
	place := c.space.Place(out.Witness)
	for _, r := range g.regions {
		if holds, _ := place.In(r.Set); holds {
			out.Before, out.After = *c.outcomes[r.Before], *c.outcomes[r.After]
		}
	}
	if g.shown != nil {
		out.Witness, out.Before, out.After = g.shown.by, g.shown.before, g.shown.after
	}
	old, now := c.taker(c.old, out.Witness, c.from[0]), c.taker(c.now, out.Witness, c.from[1])
	out.Deltas = deltas(&out.Before, &out.After)
	for i := range out.Deltas {
		d := &out.Deltas[i]
		d.BeforeAt, d.AfterAt = old.place(d), now.place(d)
		out.Classes = append(out.Classes, d.Class)
	}
	out.Classes = distinct(out.Classes)
	out.Route = routeName(old.name, now.name)
	if out.Witness.Host == "" {
		out.Witness.Host = cmp.Or(c.host, anyHost)
	}
	out.Witness.Port = c.port
	return out, c.describe(out, set)
}

// anyHost is an example for a gateway that takes every host.
const anyHost = "www.example.com"

// usual is the condition that a request names the object by its host. A sidecar
// takes others too, because its listener decides where they go.
func (c *comparison) usual() reach.Pred {
	if c.host == "" {
		return reach.Pred{}
	}
	return reach.Is(reach.Dim{Kind: reach.Host}, reach.Exactly(c.host))
}

// witness is the least request, of a declared caller and with the usual host if
// there is one among them; callers are all of these.
func (c *comparison) witness(out *Change, set reach.Set) error {
	best, err := c.prefer(set, c.usual())
	if err != nil {
		return err
	}
	for _, caller := range c.callers {
		his := reach.Is(identity, reach.Exactly(caller.Identity))
		if some, err := c.among(set, his); err != nil {
			return err
		} else if some.Empty() {
			continue
		}
		if len(out.Callers) == 0 {
			if best, err = c.prefer(best, his); err != nil {
				return err
			}
		}
		out.Callers = append(out.Callers, caller.Ref)
	}
	out.Witness = c.space.Witness(best)
	return nil
}

// among is the part of the set for which p holds.
func (c *comparison) among(set reach.Set, p reach.Pred) (reach.Set, error) {
	holds, err := c.space.Set(p)
	if err != nil {
		return reach.Set{}, err
	}
	return c.space.Intersection(set, holds)
}

// prefer is the part of the set for which p holds, or all of it where there is
// none.
func (c *comparison) prefer(set reach.Set, p reach.Pred) (reach.Set, error) {
	part, err := c.among(set, p)
	if err != nil || part.Empty() {
		return set, err
	}
	return part, nil
}

// taker is the source of the first rule that takes the request.
func (c *comparison) taker(rules []placed, r *reach.Request, otherwise *source) *source {
	place := c.space.Place(r)
	for _, p := range rules {
		if holds, _ := place.In(p.set); holds {
			return p.rule.source()
		}
	}
	return otherwise
}

// describe puts the set into words: what of the request, and of whom, where the
// two are independent of each other; else both together.
func (c *comparison) describe(out *Change, set reach.Set) error {
	who, err := c.space.Without(set, func(d reach.Dim) bool { return d != identity })
	if err != nil {
		return err
	}
	what, err := c.space.Without(set, func(d reach.Dim) bool { return d == identity })
	if err != nil {
		return err
	}
	both, err := c.space.Intersection(who, what)
	if err != nil {
		return err
	}
	if both != set {
		out.Words, out.More = c.space.Words(set, maxWords)
		return nil
	}
	out.Words, out.More = c.space.Words(what, maxWords)
	if !who.Full() {
		out.From, _ = c.space.Words(who, maxWords)
	}
	return nil
}

func routeName(old, now string) string {
	switch {
	case old == now || now == "":
		return old
	case old == "":
		return now
	}
	return old + " → " + now
}
