package engine

import (
	"context"
	"encoding/xml"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/meshc/meshc/dataplane/snapshot"
)

// h2specTool finds the program that `make tools` brings.
func h2specTool(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("MESHC_TOOLS")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			t.Fatal(err)
		}
		dir = filepath.Join(home, ".cache/meshc/tools")
	}
	path := filepath.Join(dir, "bin/h2spec")
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("h2spec is missing: make tools brings it (%v)", err)
		}
		t.Skipf("SKIPPED: h2spec is missing: make tools brings it (%v)", err)
	}
	return path
}

// The strict cases of h2spec, over TLS and with prior knowledge: none fails.
func TestH2spec(t *testing.T) {
	tool := h2specTool(t)
	a := newAuthority(t)
	for name, flags := range map[string][]string{"TLS": {"-t", "-k"}, "prior knowledge": nil} {
		t.Run(name, func(t *testing.T) {
			m := newMesh(backend(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) }))
			m.chain.HTTP.Codec = snapshot.CodecHTTP2
			if flags != nil {
				m.chain.TLS = a.server(serverID)
				m.chain.TLS.ClientAuth, m.chain.TLS.NextProtos = 0, []string{"h2"}
			}
			e := start(t, m)
			_, port, err := net.SplitHostPort(addrOf(t, e, "in"))
			if err != nil {
				t.Fatal(err)
			}
			report := filepath.Join(t.TempDir(), "report.xml")
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			out, err := exec.CommandContext(ctx, tool, append([]string{"-S", "-p", port, "-o", "5", "-j", report}, flags...)...).CombinedOutput()
			passed, skipped, failed := readReport(t, report)
			t.Logf("%d passed, %d skipped, %d failed", passed, skipped, failed)
			if err != nil || failed > 0 || passed < 145 {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func readReport(t *testing.T, path string) (passed, skipped, failed int) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var suites struct {
		Suites []struct {
			Cases []struct {
				Failure *string `xml:"failure"`
				Error   *string `xml:"error"`
				Skipped *string `xml:"skipped"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(raw, &suites); err != nil {
		t.Fatal(err)
	}
	for _, s := range suites.Suites {
		for _, c := range s.Cases {
			switch {
			case c.Failure != nil || c.Error != nil:
				failed++
			case c.Skipped != nil:
				skipped++
			default:
				passed++
			}
		}
	}
	return passed, skipped, failed
}
