package behave_test

import (
	"encoding/json"
	"fmt"
	"math/bits"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/reach"
)

// mutation is one change of one field of a mesh.
type mutation struct {
	where string
	// make gives a mesh that shares with the other what it does not change.
	make func(*model.Mesh) *model.Mesh
}

func clone[T any](t testing.TB, m *T) *T {
	t.Helper()
	out, err := copied(m)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func copied[T any](m *T) (*T, error) {
	raw, err := json.Marshal(m)
	out := new(T)
	if err == nil {
		err = json.Unmarshal(raw, out)
	}
	return out, err
}

// unchanged are fields that name things: with another value they are another
// thing, which is tried by taking objects away. Route.Faulted says again what
// the faults say, and NamedMatch.Yields what the providers are.
var unchanged = []string{"Ref.Namespace", "Ref.Name", "Service.Host", "External.Host", "External.Endpoints", "Route.Faulted", "NamedMatch.Yields"}

// mutations lists all of them, found by reflection so that none is forgotten.
func mutations(t testing.TB, m *model.Mesh) []mutation {
	t.Helper()
	if got, want := reflect.TypeFor[model.Mesh]().NumField(), 7; got != want { // Name, TrustDomain, Aliases, Raw and those below
		t.Fatalf("a mesh has %d fields, of which this knows %d", got, want)
	}
	var out []mutation
	out = append(out, mutateList("Mesh.Services", m.Services, func(m *model.Mesh) *[]*model.Service { return &m.Services })...)
	out = append(out, mutateList("Mesh.Gateways", m.Gateways, func(m *model.Mesh) *[]*model.Gateway { return &m.Gateways })...)
	return append(out, mutateList("Mesh.Externals", m.Externals, func(m *model.Mesh) *[]*model.External { return &m.Externals })...)
}

// mutateList takes objects away, swaps them and changes each of their fields.
func mutateList[T any](where string, list []*T, of func(*model.Mesh) *[]*T) []mutation {
	var out []mutation
	add := func(where string, change func(*[]*T)) {
		out = append(out, mutation{where, func(m *model.Mesh) *model.Mesh {
			after := *m
			mine := of(&after)
			*mine = slices.Clone(*mine)
			change(mine)
			return &after
		}})
	}
	for i := range list {
		add(fmt.Sprint(where, " without ", i), func(l *[]*T) { *l = slices.Delete(*l, i, i+1) })
		if i > 0 {
			add(fmt.Sprint(where, " swaps ", i), func(l *[]*T) { (*l)[i-1], (*l)[i] = (*l)[i], (*l)[i-1] })
		}
		w := &walker{}
		w.walk(reflect.ValueOf(list[i]).Elem(), nil, where, "")
		for _, o := range w.out {
			add(o.where, func(l *[]*T) {
				object, err := copied((*l)[i])
				if err != nil {
					panic(err)
				}
				o.change(reflect.ValueOf(object).Elem())
				(*l)[i] = object
			})
		}
	}
	return out
}

// step leads from a value to a part of it.
type step func(reflect.Value) reflect.Value

// walker finds what can be changed of one object.
type walker struct{ out []change }

type change struct {
	where  string
	change func(object reflect.Value)
}

func (w *walker) add(where string, way []step, do func(reflect.Value)) {
	way = slices.Clone(way)
	w.out = append(w.out, change{where, func(v reflect.Value) {
		for _, s := range way {
			v = s(v)
		}
		do(v)
	}})
}

func (w *walker) walk(v reflect.Value, way []step, where, owner string) {
	if slices.Contains(unchanged, where) || v.Type() == reflect.TypeFor[model.Origin]() {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return
		}
		if !strings.HasSuffix(where, "[]") && where != "GatewayRoute.Route" {
			w.add(where+" goes", way, func(v reflect.Value) { v.SetZero() })
		}
		w.walk(v.Elem(), append(slices.Clip(way), reflect.Value.Elem), where, owner)
	case reflect.Struct:
		w.fields(v, way, where)
	case reflect.Slice:
		w.list(v, way, where, owner)
	case reflect.Map:
		w.add(where+" has more", way, func(v reflect.Value) {
			if v.IsNil() {
				v.Set(reflect.MakeMap(v.Type()))
			}
			v.SetMapIndex(reflect.ValueOf("mutated"), reflect.ValueOf("1"))
		})
	default:
		w.leaf(v, way, where)
	}
}

func (w *walker) fields(v reflect.Value, way []step, where string) {
	switch v.Type() {
	case reflect.TypeFor[netip.Prefix]():
		w.add(where+" elsewhere", way, func(v reflect.Value) { v.Set(reflect.ValueOf(netip.MustParsePrefix("198.51.100.0/24"))) })
		return
	case reflect.TypeFor[time.Time]():
		w.add(where+" later", way, func(v reflect.Value) { v.Set(reflect.ValueOf(v.Interface().(time.Time).Add(time.Hour))) })
		return
	}
	for i := range v.NumField() {
		next := append(slices.Clip(way), func(v reflect.Value) reflect.Value { return v.Field(i) })
		w.walk(v.Field(i), next, v.Type().Name()+"."+v.Type().Field(i).Name, v.Type().Name())
	}
}

func (w *walker) list(v reflect.Value, way []step, where, owner string) {
	for i := range v.Len() {
		w.add(fmt.Sprintf("%s without %d", where, i), way, func(v reflect.Value) {
			v.Set(reflect.AppendSlice(reflect.AppendSlice(reflect.MakeSlice(v.Type(), 0, v.Len()), v.Slice(0, i)), v.Slice(i+1, v.Len())))
		})
		if i > 0 {
			w.add(fmt.Sprintf("%s swaps %d", where, i), way, func(v reflect.Value) { reflect.Swapper(v.Interface())(i-1, i) })
		}
		next := append(slices.Clip(way), func(v reflect.Value) reflect.Value { return v.Index(i) })
		w.walk(v.Index(i), next, where+"[]", owner)
	}
}

func (w *walker) leaf(v reflect.Value, way []step, where string) {
	switch v.Kind() {
	case reflect.String:
		for _, text := range others2(where, v.Type(), v.String()) {
			w.add(where+" = "+text, way, func(v reflect.Value) { v.SetString(text) })
		}
	case reflect.Bool:
		w.add(where+" flips", way, func(v reflect.Value) { v.SetBool(!v.Bool()) })
	case reflect.Int64:
		w.add(where+" longer", way, func(v reflect.Value) { v.SetInt(v.Int() + int64(time.Second)) })
		w.add(where+" zero", way, func(v reflect.Value) { v.SetInt(0) })
	case reflect.Uint16, reflect.Uint32:
		w.add(where+" more", way, func(v reflect.Value) { v.SetUint(v.Uint() + 1) })
		w.add(where+" less", way, func(v reflect.Value) { v.SetUint(max(v.Uint(), 1) - 1) })
	default:
		panic(where + " is of a kind that nobody mutates")
	}
}

// others2 are other values of a text.
func others2(where string, t reflect.Type, now string) []string {
	var out []string
	add := func(list ...string) {
		for _, s := range list {
			if s != now {
				out = append(out, s)
			}
		}
	}
	switch {
	case t == reflect.TypeFor[model.MTLSMode]():
		add("strict", "permissive", "disable")
	case t == reflect.TypeFor[model.Protocol]():
		add("http", "grpc")
	case t == reflect.TypeFor[model.MatchKind]():
		add("exact", "prefix", "suffix", "contains")
	case t == reflect.TypeFor[model.HashSource](), t == reflect.TypeFor[model.BalancePolicy]():
	case strings.HasPrefix(where, "Rule.IPs"), strings.HasPrefix(where, "Rule.NotIPs"), strings.Contains(where, "ClientIPs"):
		add("10.0.0.0/8", "192.0.2.0/24")
	case strings.Contains(where, "Methods"):
		add("PATCH")
	case where == "GatewayHost.Host":
		add("*", "www.mutated.example")
	default:
		add(now + "x")
	}
	return out
}

// sound says that the mutated mesh is one that could have been lowered, as far
// as that matters to proxies.
func sound(m *model.Mesh) bool {
	if m.Validate() != nil {
		return false
	}
	ok := true
	each(m, func(p *model.PathMatch) {
		ok = ok && (p.Kind == model.Exact || p.Kind == model.Prefix || p.Kind == model.SegmentPrefix || p.Kind == model.Regex && !p.IgnoreCase) && compiles(p.Kind, p.Value)
	})
	each(m, func(n *model.NamedMatch) {
		ok = ok && compiles(n.Kind, n.Value) && !(n.Name == model.SchemeHeader && n.Value != "http" && n.Value != "https") && n.Name != "x-forwarded-proto"
		ok = ok && (!strings.HasPrefix(n.Name, ":") || n.Name == model.HostHeader || n.Name == model.SchemeHeader)
	})
	each(m, func(x *model.Match) { ok = ok && (len(x.Methods) == 0 || len(x.NotMethods) == 0) })
	each(m, func(r *model.Route) {
		if r.Rewrite != nil && r.Rewrite.Path != nil {
			ok = ok && compiles(model.Regex, r.Rewrite.Path.Pattern)
		}
		set := 0
		for _, b := range []bool{r.NotFound, r.Redirect != nil, r.Respond != nil, len(r.Split) > 0} {
			if b {
				set++
			}
		}
		ok = ok && set == 1
	})
	return ok && (&wiring{m}).sound()
}

// wiring is what the model says of other objects beside their names.
type wiring struct{ mesh *model.Mesh }

func (w *wiring) sound() bool {
	ok := true
	service := func(ref model.Ref, port uint16, version string) {
		s := w.mesh.Service(ref)
		ok = ok && s != nil && s.Port(port) != nil && s.Version(version) != nil
	}
	each(w.mesh, func(a *model.Authorizer) {
		service(a.Service, a.Port, a.Version)
		for _, r := range slices.Concat(a.On, a.Except) { // which are about requests, not about callers
			ok = ok && r.Any
		}
	})
	each(w.mesh, func(l *model.RateLimitService) { service(l.Service, l.Port, l.Version) })
	each(w.mesh, func(l *model.RateLimit) {
		ok = ok && (l.Local == nil) != (l.Server == nil) && (l.Local == nil || l.Local.Per > 0)
	})
	each(w.mesh, func(a *model.Admission) {
		for _, n := range a.GRPCStatuses {
			ok = ok && int(n) < len(model.GRPCStatusNames)
		}
	})
	each(w.mesh, func(r *model.Respond) { ok = ok && (r.Body != "" || r.ContentType == "") })
	each(w.mesh, func(c *model.Caller) {
		if s := w.mesh.Service(c.Ref); s != nil {
			ok = ok && s.SPIFFEID == c.SPIFFEID
		} else if g := w.mesh.Gateway(c.Ref); g != nil {
			ok = ok && g.SPIFFEID == c.SPIFFEID
		} else {
			ok = false
		}
	})
	for _, s := range w.mesh.Services {
		ok = ok && w.tokens(s.JWT, slices.Concat(s.Allow, s.Deny), s.Public)
	}
	for _, g := range w.mesh.Gateways {
		ports := map[uint16]bool{}
		for _, l := range g.Listeners {
			ok = ok && !ports[l.Port]
			ports[l.Port] = true
		}
		ok = ok && w.tokens(g.JWT, slices.Concat(g.Allow, g.Deny), g.Public)
	}
	return ok
}

// tokens says that claims are of providers that there are, and that what is
// public is not so by whom it is from or by its claims.
func (w *wiring) tokens(providers []model.JWT, rules, public []model.Rule) bool {
	ok := true
	each(rules, func(r *model.Rule) {
		for _, c := range r.Claims {
			of, claim := model.SplitClaim(c.Name)
			ok = ok && claim != "" && model.JWTNamed(providers, of) != nil
		}
	})
	each(public, func(r *model.Rule) { ok = ok && r.Any && len(r.Claims)+len(r.Ports) == 0 })
	return ok
}

// each visits every T in a value.
func each[T any](in any, visit func(*T)) { eachOf(reflect.ValueOf(in), visit) }

func eachOf[T any](v reflect.Value, visit func(*T)) {
	if v.Type() == reflect.TypeFor[T]() {
		if v.CanAddr() {
			visit(v.Addr().Interface().(*T))
		} else {
			one := v.Interface().(T)
			visit(&one)
		}
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			eachOf(v.Elem(), visit)
		}
	case reflect.Slice:
		for i := range v.Len() {
			eachOf(v.Index(i), visit)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[model.Origin]() || !strings.HasSuffix(v.Type().PkgPath(), "/model") {
			return
		}
		for i := range v.NumField() {
			eachOf(v.Field(i), visit)
		}
	}
}

// fault says in Faulted what the faults of r say: for each set of them the
// requests that meet all of it, the larger sets first.
func fault(r *model.Route) {
	r.Faulted = nil
	faults := r.Faults()
	if !slices.ContainsFunc(faults, func(f model.Fault) bool { return len(f.Match) > 0 }) {
		return
	}
	for _, n := range []int{3, 2, 1} {
		for set := range 1 << len(faults) {
			if bits.OnesCount(uint(set)) != n {
				continue
			}
			one, narrowed := &model.Faulted{Match: r.Match}, false
			if len(one.Match) == 0 {
				one.Match = []model.Match{{}}
			}
			for i, f := range faults {
				if set>>i&1 == 0 {
					continue
				}
				one.Match, narrowed = meet(one.Match, f.Match), narrowed || len(f.Match) > 0
				switch f.Kind {
				case "delay":
					one.Delay = r.Delay
				case "abort":
					one.Abort = r.Abort
				default:
					one.Bandwidth = r.Bandwidth
				}
			}
			for i, f := range faults { // those for all requests are met in any case
				if set>>i&1 == 0 && len(f.Match) == 0 {
					narrowed = false
				}
			}
			if narrowed && len(one.Match) > 0 {
				r.Faulted = append(r.Faulted, one)
			}
		}
	}
}

func meet(any, with []model.Match) []model.Match {
	if len(with) == 0 {
		return any
	}
	var out []model.Match
	for _, a := range any {
		for _, b := range with {
			if met, ok := reach.Meet(a, b); ok {
				out = append(out, met)
			}
		}
	}
	return out
}

func compiles(kind model.MatchKind, value string) bool {
	if kind == model.Range {
		return regexp.MustCompile(`^\[-?\d+,-?\d+\)$`).MatchString(value)
	}
	_, err := regexp.Compile(value)
	return kind != model.Regex || err == nil
}
