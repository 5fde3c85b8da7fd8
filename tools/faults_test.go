package tools

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	faultRow  = regexp.MustCompile(`(?m)^\| (\d+) \|.*\| ([^|]*) \|$`)
	namedTest = regexp.MustCompile("^`([a-z0-9/-]+)\\.((?:Test|Fuzz)[A-Za-z0-9]+)`$")
)

// leastFaults is how many rows the fault matrix must have.
const leastFaults = 35

// TestFaultsAreTested: every row of docs/faults.md names tests that there are.
func TestFaultsAreTested(t *testing.T) {
	data, err := os.ReadFile("../docs/faults.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := faultRow.FindAllStringSubmatch(string(data), -1)
	if len(rows) < leastFaults {
		t.Errorf("%d rows", len(rows))
	}
	for i, row := range rows {
		if want := i + 1; row[1] != strconv.Itoa(want) {
			t.Errorf("row %d has the number %s", want, row[1])
		}
		for name := range strings.SplitSeq(row[2], ", ") {
			m := namedTest.FindStringSubmatch(name)
			if m == nil {
				t.Errorf("row %s: %q is not a test", row[1], name)
			} else if !hasTest(t, m[1], m[2]) {
				t.Errorf("row %s: there is no %s in %s", row[1], m[2], m[1])
			}
		}
	}
}

// hasTest says whether a directory has a test of that name.
func hasTest(t *testing.T, dir, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), "\nfunc "+name+"(") {
			return true
		}
	}
	return false
}
