package compiler_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/meshc/meshc/compiler/diag"
)

// istioRetired are the numbers below 178 that istioctl analyze does not use;
// from 3 to 100 there are none.
var istioRetired = []string{"0104", "0105", "0113", "0114", "0115", "0117", "0119", "0120", "0121", "0122", "0124"}

// onlyLive are its codes that need a running cluster.
var onlyLive = []string{"IST0139", "IST0141", "IST0142", "IST0143", "IST0156", "IST0163", "IST0164", "IST0171", "IST0172", "IST0176"}

var (
	foreignRow = regexp.MustCompile(`(?m)^\| ((?:IST|KIA)\d{4}) \| ([^|]+) \| ([^|]+) \|([^|]*)\|$`)
	anyCode    = regexp.MustCompile(`MSH\d{4}`)
)

// TestChecksPage holds docs/checks.md to the registry: every code of others has
// one row with a verdict, and every code of ours that it names exists and has
// fixtures.
func TestChecksPage(t *testing.T) {
	page, err := os.ReadFile("../docs/checks.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range anyCode.FindAllString(string(page), -1) {
		if _, ok := diag.Lookup(diag.Code(code)); !ok {
			t.Errorf("the page names %s, which the registry does not have", code)
			continue
		}
		if _, err := os.Stat(filepath.Join("testdata", "codes", code+".txtar")); err != nil {
			t.Errorf("the page names %s, which has no fixtures", code)
		}
	}
	verdicts := map[string]string{}
	for _, row := range foreignRow.FindAllStringSubmatch(string(page), -1) {
		code, verdict, how := row[1], strings.TrimSpace(row[3]), strings.TrimSpace(row[4])
		if _, twice := verdicts[code]; twice {
			t.Errorf("%s has two rows", code)
		}
		verdicts[code] = verdict
		switch {
		case verdict == "live":
			if !slices.Contains(onlyLive, code) {
				t.Errorf("%s is said to need a running cluster, and does not", code)
			}
		case how == "":
			t.Errorf("%s: the row does not say how, or why not", code)
		case verdict != "cannot be written" && anyCode.ReplaceAllString(strings.ReplaceAll(verdict, " ", ""), "") != "":
			t.Errorf("%s: %q is no verdict", code, verdict)
		}
	}
	for _, code := range istioCodes() {
		if _, ok := verdicts[code]; !ok {
			t.Errorf("%s has no row", code)
		}
	}
	if n := len(istioCodes()); n != 68 || strings.Count(string(page), "\n| IST") != n {
		t.Errorf("%d codes of istioctl analyze, %d rows", n, strings.Count(string(page), "\n| IST"))
	}
	if n := strings.Count(string(page), "\n| KIA"); len(verdicts) != 68+n {
		t.Errorf("%d rows are read of %d", len(verdicts), 68+n)
	}
	if want := regexp.MustCompile(`Kiali (\d+)`).FindStringSubmatch(string(page)); want == nil || want[1] != strconv.Itoa(strings.Count(string(page), "\n| KIA")) {
		t.Errorf("the page says %v codes of Kiali", want)
	}
}

func istioCodes() []string {
	codes := []string{"IST0001", "IST0002"}
	for n := 101; n <= 177; n++ {
		if number := "0" + strconv.Itoa(n); !slices.Contains(istioRetired, number) {
			codes = append(codes, "IST"+number)
		}
	}
	return codes
}
