package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/meshc/meshc/compiler/diag"
)

// documentPath is read before a test changes the working directory.
const documentPath = "../../docs/diagnostics.md"

// TestDiagnosticsDocument holds docs/diagnostics.md to what the command really
// prints: each block between <!-- begin NAME --> and <!-- end NAME --> is the
// output of a command on Bookinfo with ten planted mistakes. MESHC_UPDATE=1
// rewrites the blocks.
func TestDiagnosticsDocument(t *testing.T) {
	document, err := filepath.Abs(documentPath)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	blocks := plantedBlocks(t)
	got := blockPattern.ReplaceAllStringFunc(string(data), func(block string) string {
		name := blockPattern.FindStringSubmatch(block)[1]
		content, ok := blocks[name]
		if !ok {
			t.Errorf("docs/diagnostics.md has a block %q that no test fills", name)
			return block
		}
		delete(blocks, name)
		return fmt.Sprintf("<!-- begin %s -->\n%s<!-- end %s -->", name, content, name)
	})
	for name := range blocks {
		t.Errorf("docs/diagnostics.md has no block %q", name)
	}
	if os.Getenv("MESHC_UPDATE") != "" {
		if err := os.WriteFile(document, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(string(data), got); d != "" {
		t.Errorf("docs/diagnostics.md is not what the commands print; MESHC_UPDATE=1 go test ./cmd/meshc -run %s rewrites it (-document +commands):\n%s", t.Name(), d)
	}
}

var blockPattern = regexp.MustCompile(`(?s)<!-- begin (\w+) -->\n.*?<!-- end \w+ -->`)

// plantedBlocks runs the commands of the document in a copy of Bookinfo.
func plantedBlocks(t *testing.T) map[string]string {
	plantMistakes(t)
	blocks := map[string]string{}
	console := func(name string, status int, args ...string) {
		out, errw := meshcHere(t, status, args...)
		blocks[name] = "```console\n$ meshc " + strings.Join(args, " ") + "\n" + out + errw + "```\n"
	}
	console("vet", statusNo, "vet")
	console("github", statusNo, "vet", "-o", "github")
	console("dryrun", statusNo, "vet", "--fix", "--dry-run")
	console("fix", statusNo, "vet", "--fix")
	console("choice", statusNo, "vet", "--fix=MSH2002")
	console("explain", statusYes, "explain", "MSH2005")
	return blocks
}

// meshcHere runs a command in the working directory.
func meshcHere(t *testing.T, status int, args ...string) (out, errw string) {
	t.Helper()
	var o, e bytes.Buffer
	if got := run(t.Context(), args, strings.NewReader(""), &o, &e); got != status {
		t.Fatalf("meshc %s: status %d, want %d\n%s%s", strings.Join(args, " "), got, status, o.String(), e.String())
	}
	return o.String(), e.String()
}

// plantMistakes makes Bookinfo with the mistakes the working directory, and
// gives the places of the mistakes: "file:line".
func plantMistakes(t *testing.T) []string {
	t.Helper()
	archive, err := txtar.ParseFile("testdata/planted/mistakes.txtar")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../examples/bookinfo/mesh")); err != nil {
		t.Fatal(err)
	}
	var places []string
	for _, f := range archive.Files {
		lines := strings.Split(string(f.Data), "\n")
		for i, line := range lines {
			if m := mistakeNumber.FindString(line); m != "" {
				places = append(places, fmt.Sprintf("%s:%d", f.Name, i+1))
				lines[i] = strings.TrimSuffix(line, m)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, f.Name), []byte(strings.Join(lines, "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	return places
}

var mistakeNumber = regexp.MustCompile(` // [0-9]+$`)

// TestTenMistakesGiveTenDiagnostics wants one diagnostic for each planted
// mistake, on its line, with a way to mend it, all in one run.
func TestTenMistakesGiveTenDiagnostics(t *testing.T) {
	places := plantMistakes(t)
	if len(places) != 10 {
		t.Fatalf("%d mistakes are planted", len(places))
	}
	out, _ := meshcHere(t, statusNo, "vet", "-o", "json")
	var res struct{ Diagnostics diag.List }
	if err := json.Unmarshal([]byte(out), &res); err != nil {
		t.Fatal(err)
	}
	at := map[string]int{}
	for _, d := range res.Diagnostics {
		at[fmt.Sprintf("%s:%d", d.Range.File, d.Range.Start.Line)]++
		if d.Why == "" || d.Help == "" && d.Fix == nil {
			t.Errorf("%s at %s says neither why nor how to mend it: %+v", d.Code, d.Range, d)
		}
	}
	for _, p := range places {
		if at[p] != 1 {
			t.Errorf("%s: %d diagnostics", p, at[p])
		}
	}
	if len(res.Diagnostics) != len(places) {
		t.Errorf("%d diagnostics for %d mistakes:\n%s", len(res.Diagnostics), len(places), out)
	}
}
