package load

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/schema"
)

// grown is a random tree of layers, once for meshc, with some files in YAML or
// JSON, and once for stock cue, which reads CUE alone.
type grown struct {
	dice  *rand.Rand
	meshc fstest.MapFS
	stock fstest.MapFS
	homes map[string]string // home by "service name"
	bad   string            // the directory with a planted contradiction; "" for none
	count int
}

func growTree(seed uint64) *grown {
	g := &grown{dice: rand.New(rand.NewPCG(seed, 3)), meshc: meshFS(), stock: meshFS(), homes: map[string]string{}}
	for name, content := range schema.Files() {
		g.write(schema.VendorDir+"/"+name, string(content))
	}
	g.write("limits.cue", "package mesh\n\n#Base: {owner: =~\"^team-\", ...}\n_domain: \"example.com\"\n"+
		"service: [string]: routes: [string]: timeout?: =~\"^[0-9]+s$\"\n"+g.sometimes("service: [=~\"^api\"]: serviceAccount: \"api\"\n"))
	g.services(".", g.dice.IntN(2), false)
	for _, env := range []string{"prod", "stage"} {
		if g.dice.IntN(4) > 0 { // else there is a directory in between without files
			g.write(env+"/env.cue", "package mesh\n\n"+g.sometimes("service: [string]: security: mtls: \"strict\"\n")+
				"#"+strings.ToUpper(env)+": {#Base, host: =~_domain}\n"+g.sometimes("namespace: \""+env+"\"\n"))
			g.services(env, g.dice.IntN(2), true)
		}
		for team := range 1 + g.dice.IntN(3) {
			dir := fmt.Sprintf("%s/team%d", env, team)
			if g.dice.IntN(3) == 0 {
				dir += "/deep/er"
			}
			g.services(dir, 1+g.dice.IntN(3), false)
		}
	}
	if g.dice.IntN(3) == 0 {
		g.contradict()
	}
	return g
}

func (g *grown) write(name, text string) {
	g.meshc[name] = &fstest.MapFile{Data: []byte(text)}
	g.stock[name] = &fstest.MapFile{Data: []byte(text)}
}

func (g *grown) sometimes(text string) string {
	if g.dice.IntN(2) == 0 {
		return ""
	}
	return text
}

// services writes entries whose home is dir, each in a file of its own.
func (g *grown) services(dir string, n int, env bool) {
	for range n {
		name := fmt.Sprintf("%s%d", []string{"api", "web", "db"}[g.dice.IntN(3)], g.count)
		g.count++
		g.homes[name] = dir
		file := path.Join(dir, name)
		body := fmt.Sprintf("{\"owner\": \"team-%d\", \"ports\": {\"http\": {\"number\": %d, \"protocol\": \"http\"}}, \"versions\": {\"v1\": {}, \"v2\": {}}, "+
			"\"routes\": {\"all\": {\"to\": {\"v1\": 99.5, \"v2\": 0.5}, \"timeout\": \"%ds\"}}}", g.dice.IntN(9), 1+g.dice.IntN(60000), g.dice.IntN(9))
		asCUE := "package mesh\n\nservice: " + name + ": " + body + "\n"
		switch g.dice.IntN(6) {
		case 0: // JSON for meshc
			g.meshc[file+".json"] = &fstest.MapFile{Data: []byte("{\"service\": {\"" + name + "\": " + body + "}}")}
			g.stock[file+".cue"] = &fstest.MapFile{Data: []byte(asCUE)}
		case 1: // YAML for meshc, as a document of several
			g.meshc[file+".yaml"] = &fstest.MapFile{Data: []byte("service:\n  " + name + ": " + body + "\n---\n# nothing\n")}
			g.stock[file+".cue"] = &fstest.MapFile{Data: []byte(asCUE)}
		case 2: // with what the layers above offer
			g.write(file+".cue", "package mesh\n\nlet k = "+fmt.Sprint(g.dice.IntN(3))+"\nservice: "+name+": #Base & "+body+
				"\nservice: "+name+": host: \""+name+".\\(_domain)\"\nservice: "+name+": {if k > 0 {uses: other: {}}, for i in [3, 4] {versions: \"v\\(i)\": labels: n: \"\\(k)\"}}\n")
		default:
			g.write(file+".cue", asCUE)
		}
	}
	if env && n > 0 {
		g.write(path.Join(dir, "more.cue"), "package mesh\n\nservice: [string]: routes: [string]: {...}\n")
	}
}

// contradict lets one leaf disagree with what the root demands.
func (g *grown) contradict() {
	names := slices.Sorted(maps.Keys(g.homes))
	name := names[g.dice.IntN(len(names))]
	g.bad = g.homes[name]
	g.write(path.Join(g.bad, "bad.cue"), "package mesh\n\nservice: "+name+": routes: bad: {to: v1: 100, timeout: \"1h\"}\n")
}

func onDisk(t *testing.T, fsys fs.FS) string {
	t.Helper()
	root := t.TempDir()
	if err := os.CopyFS(root, fsys); err != nil {
		t.Fatal(err)
	}
	return root
}

// instancesOf gives what meshc builds, as JSON by directory.
func instancesOf(t *testing.T, fsys fstest.MapFS) map[string]string {
	t.Helper()
	opts := Options{}
	req, diags, err := newRequest(t.Context(), fsys, &opts)
	if err != nil || diags.HasErrors() {
		t.Fatal(err, diags)
	}
	e := newEvaluation(req, func(string) {})
	out := map[string]string{}
	for _, d := range e.tree.selected(".") {
		var chain []*dir
		chain = append(chain, e.tree.ancestors(d.path)...)
		files := slices.Clone(chain[0].mesh)
		for _, c := range chain[1:] {
			files = append(files, c.mesh...)
		}
		v, ok := e.build(d, files)
		if !ok {
			t.Fatalf("%s: %+v", d.path, e.diags)
		}
		data, err := v.MarshalJSON()
		out[d.path] = normal(t, data, err)
	}
	return out
}

// normal makes JSON comparable; kinds that are empty on one side only, because
// meshc binds them itself, are left out.
func normal(t *testing.T, data []byte, err error) string {
	t.Helper()
	if err != nil {
		return "error"
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v map[string]any
	if err := dec.Decode(&v); err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(v, func(_ string, v any) bool { m, ok := v.(map[string]any); return ok && len(m) == 0 })
	out, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// cueCommand finds the stock command.
func cueCommand(t *testing.T) string {
	t.Helper()
	cue, err := exec.LookPath("cue")
	if err == nil {
		return cue
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("there is no cue command")
	}
	t.Skip("SKIPPED: there is no cue command on the PATH")
	return ""
}

// exported gives what `cue export` says of each directory. A tree without a
// contradiction takes one call, which prints the instances in order.
func (g *grown) exported(t *testing.T, cue string, dirs []string) map[string]string {
	t.Helper()
	root, out := onDisk(t, g.stock), map[string]string{}
	run := func(what string) ([]byte, error) {
		cmd := exec.Command(cue, "export", what)
		cmd.Dir = root
		out, err := cmd.Output()
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return out, err
	}
	if g.bad != "" {
		for _, dir := range dirs {
			data, err := run("./" + dir)
			out[dir] = normal(t, data, err)
		}
		return out
	}
	data, err := run("./...")
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	for _, dir := range dirs {
		var doc json.RawMessage
		if err := dec.Decode(&doc); err != nil {
			t.Fatalf("%s: %v", dir, err)
		}
		out[dir] = normal(t, doc, nil)
	}
	if dec.More() {
		t.Fatal("cue knows more instances")
	}
	return out
}

// TestLayersAreWhatCUEExports compares every instance of random trees with the
// output of the cue command, the homes of services with where they were
// written, and the verdict of meshc with cue's.
func TestLayersAreWhatCUEExports(t *testing.T) {
	cue, trees, contradictions := cueCommand(t), 60, 0
	if testing.Short() {
		trees = 8
	}
	for seed := range uint64(trees) {
		g := growTree(seed)
		built := instancesOf(t, g.meshc)
		if d := cmp.Diff(g.exported(t, cue, slices.Sorted(maps.Keys(built))), built); d != "" {
			t.Fatalf("seed %d: instances (-cue +meshc):\n%s", seed, d)
		}
		m, diags := inProcess(t, g.meshc)
		if g.bad != "" {
			contradictions++
			g.checkContradiction(t, seed, diags)
			continue
		}
		if diags.HasErrors() {
			t.Fatalf("seed %d: %+v", seed, diags)
		}
		homes := map[string]string{}
		for _, s := range m.Services {
			homes[s.Name.V] = s.Home
		}
		if d := cmp.Diff(g.homes, homes); d != "" {
			t.Fatalf("seed %d: homes:\n%s", seed, d)
		}
	}
	if contradictions < trees/8 {
		t.Errorf("only %d trees with a contradiction", contradictions)
	}
}

// checkContradiction wants one error, at the leaf, with the place in the root.
func (g *grown) checkContradiction(t *testing.T, seed uint64, diags diag.List) {
	t.Helper()
	var errs diag.List
	for _, d := range diags {
		if d.Severity == diag.Error {
			errs.Add(d)
		}
	}
	at := diag.Range{File: path.Join(g.bad, "bad.cue"), Start: diag.Pos{Line: 3}}
	if len(errs) != 1 || errs[0].Code != diag.Conflict || errs[0].Range.File != at.File || errs[0].Range.Start.Line != at.Start.Line ||
		len(errs[0].Related) != 1 || errs[0].Related[0].Range.File != "limits.cue" {
		t.Fatalf("seed %d: %+v", seed, errs)
	}
}

// TestSelectionTakesASubtree holds that DIR gives the services at or below it,
// and those above, and nothing beside it.
func TestSelectionTakesASubtree(t *testing.T) {
	for seed := range uint64(20) {
		g := growTree(seed)
		if g.bad != "" {
			continue
		}
		for _, dir := range []string{"prod", "stage", "prod/team0"} {
			if _, err := fs.Stat(g.meshc, dir); err != nil {
				continue
			}
			m, diags, err := Mesh(t.Context(), g.meshc, Options{InProcess: true, Dir: dir})
			if err != nil || diags.HasErrors() {
				t.Fatal(err, diags)
			}
			want, got := []string{}, []string{}
			for name, home := range g.homes {
				if within(home, dir) || within(dir, home) {
					want = append(want, name)
				}
			}
			for _, s := range m.Services {
				got = append(got, s.Name.V)
			}
			slices.Sort(want)
			slices.Sort(got)
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("seed %d, %s:\n%s", seed, dir, d)
			}
		}
	}
}
