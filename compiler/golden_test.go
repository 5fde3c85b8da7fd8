package compiler_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"sigs.k8s.io/yaml"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/model"
)

const (
	wantDiag  = "want/diag"
	wantModel = "want/model.yaml"
)

// TestGolden compiles the CUE of each archive and compares the outputs that it
// holds under want/. MESHC_UPDATE=1 rewrites them and drops what is not an
// output.
func TestGolden(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatal(err, archives)
	}
	for _, name := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) { golden(t, name) })
	}
}

func golden(t *testing.T, name string) {
	a, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	files, want := map[string]string{}, map[string]string{}
	var inputs []txtar.File
	for _, f := range a.Files {
		if strings.HasPrefix(f.Name, "want/") {
			want[f.Name] = string(f.Data)
			continue
		}
		files[f.Name] = string(f.Data)
		inputs = append(inputs, f)
	}
	got := outputs(t, files)
	if os.Getenv("MESHC_UPDATE") != "" {
		for _, out := range []string{wantDiag, wantModel} {
			if data, ok := got[out]; ok {
				inputs = append(inputs, txtar.File{Name: out, Data: []byte(data)})
			}
		}
		a.Files = inputs
		if err := os.WriteFile(name, txtar.Format(a), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("MESHC_UPDATE=1 accepts this:\n%s", d)
	}
}

// outputs of one compile; what is empty is left out.
func outputs(t *testing.T, files map[string]string) map[string]string {
	res := compile(t, files)
	got := map[string]string{}
	for _, d := range res.Diags {
		got[wantDiag] += fmt.Sprintf("%s %s %s\n", span(d.Range), d.Severity, d.Code)
	}
	if res.Model != nil {
		if err := res.Model.Validate(); err != nil {
			t.Error(err)
		}
		data, err := yaml.Marshal(plain(reflect.ValueOf(res.Model)))
		if err != nil {
			t.Fatal(err)
		}
		got[wantModel] = string(data)
	}
	return got
}

// plain makes a value that prints well: durations and places as text, zero
// values left out.
func plain(v reflect.Value) any {
	switch x := v.Interface().(type) {
	case time.Duration:
		return x.String()
	case time.Time:
		return x.Format(time.RFC3339)
	case diag.Range:
		return x.String()
	case model.Ref:
		return x.String()
	}
	switch v.Kind() {
	case reflect.Pointer:
		return plain(v.Elem())
	case reflect.Slice:
		out := make([]any, v.Len())
		for i := range out {
			out[i] = plain(v.Index(i))
		}
		return out
	case reflect.Struct:
		out := map[string]any{}
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; !v.Field(i).IsZero() {
				out[name] = plain(v.Field(i))
			}
		}
		return out
	}
	return v.Interface()
}
