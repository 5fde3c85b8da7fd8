package language

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/load"
)

const coverageFile = "../../docs/coverage.md"

// coverageRows is how many rows each part of the page has. A row that is taken
// away is a feature that nobody would miss.
var coverageRows = map[string]int{
	"Matches": 19, "Actions": 12, "Canaries and copies": 6, "Faults": 9, "Resilience": 19, "Rate limits": 3,
	"Identities and TLS": 11, "Who may do what": 10, "The edge": 16, "Telemetry": 3, "Pods and discovery": 23,
}

var inBackquotes = regexp.MustCompile("`([^`]+)`")

// TestCoverage: every feature has a field of the language, or a reason.
func TestCoverage(t *testing.T) {
	page, err := os.ReadFile(coverageFile)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, f := range load.SchemaFields() {
		for at := f.Field; at != ""; at, _ = cutLast(at) {
			known[at] = true
		}
	}
	part, rows := "", map[string]int{}
	for line := range strings.Lines(string(page)) {
		line = strings.TrimSpace(line)
		if title, heading := strings.CutPrefix(line, "## "); heading {
			part = title
		}
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---") || line == "| feature | here |" {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if len(cells) != 2 {
			t.Fatalf("%d cells: %s", len(cells), line)
		}
		rows[part]++
		covered(t, strings.TrimSpace(cells[0]), strings.TrimSpace(cells[1]), known)
	}
	if !maps.Equal(rows, coverageRows) {
		t.Errorf("the page has rows %v, and is to have %v", rows, coverageRows)
	}
}

// covered judges one row.
func covered(t *testing.T, feature, here string, known map[string]bool) {
	t.Helper()
	if claim, ok := strings.CutPrefix(here, "beside the language: "); ok {
		shown(t, feature, claim)
		return
	}
	for _, why := range []string{"not in a sidecar mesh: ", "open: "} {
		if reason, ok := strings.CutPrefix(here, why); ok {
			if len(strings.Fields(reason)) < 4 {
				t.Errorf("%s: %q is no reason", feature, reason)
			}
			return
		}
	}
	fields := inBackquotes.FindAllStringSubmatch(here, -1)
	if len(fields) == 0 {
		t.Errorf("%s: neither a field nor a reason", feature)
	}
	said := 0
	for _, f := range fields {
		switch {
		case known[f[1]]:
			said++
		case strings.Contains(f[1], "."):
			t.Errorf("%s: the language has no field %s", feature, f[1])
		}
	}
	if said == 0 && len(fields) > 0 {
		t.Errorf("%s: no field is named", feature)
	}
}

var inTests = regexp.MustCompile(`^(.*)/(Test\w+)$`)

// shown wants the tests that a claim names to be there.
func shown(t *testing.T, feature, claim string) {
	t.Helper()
	named := 0
	for _, f := range inBackquotes.FindAllStringSubmatch(claim, -1) {
		m := inTests.FindStringSubmatch(f[1])
		if m == nil {
			continue
		}
		named++
		if !isTest("../../"+m[1], m[2]) {
			t.Errorf("%s: there is no test %s", feature, f[1])
		}
	}
	if named == 0 {
		t.Errorf("%s: no test is named", feature)
	}
}

// isTest says that a directory has a test of that name.
func isTest(dir, name string) bool {
	files, _ := filepath.Glob(dir + "/*_test.go")
	return slices.ContainsFunc(files, func(f string) bool {
		text, err := os.ReadFile(f)
		return err == nil && strings.Contains(string(text), "\nfunc "+name+"(t *testing.T)")
	})
}

// cutLast cuts the last part off a path.
func cutLast(path string) (before, last string) {
	i := strings.LastIndexByte(path, '.')
	if i < 0 {
		return "", path
	}
	return path[:i], path[i+1:]
}
