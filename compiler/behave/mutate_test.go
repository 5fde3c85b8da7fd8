package behave_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/model"
)

// mutation is one change of one field of a mesh.
type mutation struct {
	where string
	make  func(*model.Mesh)
}

func clone(t testing.TB, m *model.Mesh) *model.Mesh {
	t.Helper()
	raw, err := json.Marshal(m)
	out := &model.Mesh{}
	if err == nil {
		err = json.Unmarshal(raw, out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// unchanged are fields that name things: with another value they are another
// thing, which is tried by taking objects away.
var unchanged = []string{"Mesh.TrustDomain", "Mesh.Name", "Ref.Namespace", "Ref.Name", "Service.Host", "External.Host", "External.Endpoints"}

// mutations lists all of them, found by reflection so that none is forgotten.
func mutations(m *model.Mesh, rng *rand.Rand) []mutation {
	w := &walker{rng: rng}
	w.walk(reflect.ValueOf(m).Elem(), nil, "Mesh", "")
	return w.out
}

// step leads from a value to a part of it.
type step func(reflect.Value) reflect.Value

type walker struct {
	rng *rand.Rand
	out []mutation
}

func (w *walker) add(where string, way []step, change func(reflect.Value)) {
	way = slices.Clone(way)
	w.out = append(w.out, mutation{where, func(m *model.Mesh) {
		v := reflect.ValueOf(m).Elem()
		for _, s := range way {
			v = s(v)
		}
		change(v)
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
	if v.Type() == reflect.TypeFor[time.Time]() {
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
	case strings.HasPrefix(where, "Rule.IPs"), strings.HasPrefix(where, "Rule.NotIPs"):
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
	match := func(ms []model.Match) {
		for _, x := range ms {
			for _, p := range x.Paths {
				ok = ok && (p.Kind == model.Exact || p.Kind == model.Prefix || p.Kind == model.SegmentPrefix || p.Kind == model.Regex && !p.IgnoreCase) && compiles(p.Kind, p.Value)
			}
			for _, n := range slices.Concat(x.Headers, x.Query, x.Cookies) {
				ok = ok && compiles(n.Kind, n.Value) && !(n.Name == model.SchemeHeader && n.Value != "http" && n.Value != "https") && n.Name != "x-forwarded-proto"
				ok = ok && (!strings.HasPrefix(n.Name, ":") || n.Name == model.HostHeader || n.Name == model.SchemeHeader)
			}
			ok = ok && (len(x.Methods) == 0 || len(x.NotMethods) == 0)
		}
	}
	route := func(r *model.Route) {
		match(r.Match)
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
	}
	rules := func(rs []model.Rule) {
		for _, r := range rs {
			match(r.Matches())
		}
	}
	for _, s := range m.Services {
		rules(s.Allow)
		rules(s.Deny)
		for _, r := range s.Routes {
			route(r)
		}
	}
	for _, g := range m.Gateways {
		rules(g.Allow)
		rules(g.Deny)
		for _, l := range g.Listeners {
			for _, h := range l.Hosts {
				for _, r := range h.Routes {
					route(r.Route)
				}
			}
		}
	}
	return ok
}

func compiles(kind model.MatchKind, value string) bool {
	if kind == model.Range {
		return regexp.MustCompile(`^\[-?\d+,-?\d+\)$`).MatchString(value)
	}
	_, err := regexp.Compile(value)
	return kind != model.Regex || err == nil
}
