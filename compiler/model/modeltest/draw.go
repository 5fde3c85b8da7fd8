// Package modeltest draws models of which every field may have any value, for tests
// of what has to keep a model whole. They are no meshes that would compile.
package modeltest

import (
	"net/netip"
	"reflect"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/meshc/meshc/compiler/model"
)

// Draw gives a model; none of its services and gateways is nil.
func Draw(t *rapid.T) *model.Mesh {
	var m model.Mesh
	fill(t, reflect.ValueOf(&m).Elem(), 0)
	m.Services = slices.DeleteFunc(m.Services, func(s *model.Service) bool { return s == nil })
	m.Gateways = slices.DeleteFunc(m.Gateways, func(g *model.Gateway) bool { return g == nil })
	return &m
}

// fill sets v to drawn values; slices and maps are nil or not empty, as JSON
// cannot tell empty from nil.
func fill(t *rapid.T, v reflect.Value, depth int) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "time"), 0).UTC()))
		return
	}
	if v.Type() == reflect.TypeFor[netip.Prefix]() {
		v.Set(reflect.ValueOf(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(rapid.IntRange(0, 255).Draw(t, "network"))}), 16)))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), depth+1)
		}
	case reflect.Pointer:
		if depth < 12 && rapid.Bool().Draw(t, "present") || v.Type().Elem().Kind() == reflect.Struct && depth < 4 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(t, v.Elem(), depth+1)
		}
	case reflect.Slice:
		for range rapid.IntRange(0, 2).Draw(t, "len") {
			e := reflect.New(v.Type().Elem()).Elem()
			if e.Kind() == reflect.Pointer {
				e.Set(reflect.New(e.Type().Elem()))
				fill(t, e.Elem(), depth+1)
			} else {
				fill(t, e, depth+1)
			}
			v.Set(reflect.Append(v, e))
		}
	case reflect.Map:
		if rapid.Bool().Draw(t, "map") {
			v.Set(reflect.ValueOf(map[string]string{rapid.String().Draw(t, "k"): rapid.String().Draw(t, "v")}))
		}
	case reflect.String:
		v.SetString(rapid.String().Draw(t, "string"))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.Int32:
		v.SetInt(int64(rapid.Int32().Draw(t, "int32")))
	case reflect.Int, reflect.Int64:
		v.SetInt(rapid.Int64().Draw(t, "int"))
	case reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(rapid.Uint16().Draw(t, "uint")))
	default:
		t.Fatalf("no rule for %s", v.Type())
	}
}
