package view_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/parser"
	cuejson "cuelang.org/go/encoding/json"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/intent"
	"github.com/meshc/meshc/compiler/load"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/policies/view"
	"github.com/meshc/meshc/schema"
	"github.com/meshc/meshc/testdata/genmesh/gen"
)

func definitions(t *testing.T) (*cue.Context, cue.Value) {
	t.Helper()
	inst := build.NewContext().NewInstance("", nil)
	for name, data := range schema.PolicyFiles() {
		f, err := parser.ParseFile(name, data)
		if err != nil {
			t.Fatal(err)
		}
		if err := inst.AddSyntax(f); err != nil {
			t.Fatal(err)
		}
	}
	ctx := cuecontext.New()
	v := ctx.BuildInstance(inst)
	if err := v.Err(); err != nil {
		t.Fatal(err)
	}
	return ctx, v
}

var whole = &intent.Reads{All: true}

// TestViewsAreOfTheSchema holds what rules are given to what the language of
// rules says that they are given: no field less, none more, none of another kind.
func TestViewsAreOfTheSchema(t *testing.T) {
	ctx, defs := definitions(t)
	var meshes []*model.Mesh
	for seed := range uint64(2) {
		res, err := compiler.Compile(t.Context(), gen.Whole(seed).FS(), compiler.Options{Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Load: load.Options{InProcess: true}})
		if err != nil || res.Model == nil {
			t.Fatalf("seed %d: %v %v", seed, err, res.Diags)
		}
		meshes = append(meshes, res.Model)
	}
	before, after := meshes[0], meshes[1]
	v := &view.View{Now: view.Moment(time.Now()), Mesh: view.OfMesh(after), Base: view.OfMesh(&model.Mesh{})}
	var all []*behave.Access
	for _, s := range after.Services {
		if before.Service(s.Ref) != nil {
			all = append(all, behave.CompareAccess(before, after, s.Ref))
		}
	}
	v.Change = view.OfChange(behave.Meshes(before, after), all)
	if len(v.Change.Entries) == 0 || len(v.Change.Access) == 0 {
		t.Fatal("the two meshes behave the same")
	}
	raw, err := v.Encode(whole)
	if err != nil {
		t.Fatal(err)
	}
	expr, err := cuejson.Extract("view", raw)
	if err != nil {
		t.Fatal(err)
	}
	got := ctx.BuildExpr(expr).Unify(defs.LookupPath(cue.ParsePath("#View")))
	if err := got.Validate(cue.Concrete(true)); err != nil {
		t.Error(err)
	}
}

// Each field of the schema is one of the Go types', and the other way round, so
// that a list which no mesh of a test fills is held, too.
func TestTypesAreOfTheSchema(t *testing.T) {
	_, defs := definitions(t)
	var walk func(path string, v cue.Value, of reflect.Type)
	walk = func(path string, v cue.Value, of reflect.Type) {
		switch of.Kind() {
		case reflect.Pointer:
			walk(path, v, of.Elem())
		case reflect.Slice:
			walk(path+"[]", v.LookupPath(cue.MakePath(cue.AnyIndex)), of.Elem())
		case reflect.Map:
			walk(path+".*", v.LookupPath(cue.MakePath(cue.AnyString)), of.Elem())
		case reflect.Struct:
			var want []string
			for it, err := v.Fields(cue.Optional(true)); err == nil && it.Next(); {
				want = append(want, it.Selector().Unquoted())
			}
			var got []string
			for _, f := range reflect.VisibleFields(of) {
				if !f.Anonymous {
					name := f.Tag.Get("json")
					got = append(got, name)
					walk(path+"."+name, v.LookupPath(cue.MakePath(cue.Str(name))), f.Type)
				}
			}
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(want, got) {
				t.Errorf("%s: the schema has %v, and Go %v", path, want, got)
			}
		default:
			kinds := map[reflect.Kind]cue.Kind{reflect.String: cue.StringKind, reflect.Bool: cue.BoolKind, reflect.Uint16: cue.IntKind, reflect.Uint32: cue.IntKind}
			want := kinds[of.Kind()]
			if of == reflect.TypeFor[json.Number]() {
				want = cue.NumberKind
			}
			if v.IncompleteKind() != want {
				t.Errorf("%s: the schema has %v, and Go %v", path, v.IncompleteKind(), of)
			}
		}
	}
	walk("view", defs.LookupPath(cue.ParsePath("#View")), reflect.TypeFor[view.View]())
}

func TestWhatIsNotReadIsLeftOut(t *testing.T) {
	m := &model.Mesh{Services: []*model.Service{{
		Ref: model.Ref{Namespace: "a", Name: "b"}, Owner: "o", Routes: []*model.Route{{Name: "r", Timeout: 1500 * time.Millisecond, Split: []model.Split{{Version: "v1", BasisPoints: 1234}}}},
	}}}
	v := &view.View{Now: "x", Mesh: view.OfMesh(m)}
	kid := func(name string, below *intent.Reads) *intent.Reads {
		return &intent.Reads{Kids: map[string]*intent.Reads{name: below}}
	}
	for _, c := range []struct {
		reads *intent.Reads
		want  string
	}{
		{&intent.Reads{}, `{}`},
		{kid("now", &intent.Reads{}), `{"now":"x"}`},
		{kid("base", whole), `{}`}, // there is none
		{kid("mesh", kid("service", &intent.Reads{})), `{"mesh":{"service":{"a/b":{}}}}`},
		{kid("mesh", kid("service", &intent.Reads{Each: kid("owner", &intent.Reads{})})), `{"mesh":{"service":{"a/b":{"owner":"o"}}}}`},
		{kid("mesh", kid("service", &intent.Reads{Each: kid("routes", &intent.Reads{})})), `{"mesh":{"service":{"a/b":{"routes":[{}]}}}}`},
		{kid("mesh", kid("service", &intent.Reads{Each: kid("routes", &intent.Reads{Each: kid("timeout", &intent.Reads{})})})), `{"mesh":{"service":{"a/b":{"routes":[{"timeout":1.5}]}}}}`},
		{kid("mesh", kid("service", &intent.Reads{Each: kid("routes", &intent.Reads{Each: kid("to", whole)})})), `{"mesh":{"service":{"a/b":{"routes":[{"to":[{"version":"v1","percent":12.34}]}]}}}}`},
	} {
		got, err := v.Encode(c.reads)
		if err != nil || strings.TrimSpace(string(got)) != c.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", c.reads, err, got, c.want)
		}
	}
}
