package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// session is a shell's directory and environment.
type session struct {
	t   *testing.T
	dir string
}

// sh runs a line of the README; its exit status must be one of those allowed.
func (s *session) sh(line string, allowed ...int) string {
	s.t.Helper()
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", line)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"),
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=newcomer", "GIT_AUTHOR_EMAIL=newcomer@meshc.dev",
		"GIT_COMMITTER_NAME=newcomer", "GIT_COMMITTER_EMAIL=newcomer@meshc.dev",
		// Nothing here may need the network.
		"HTTP_PROXY=http://127.0.0.1:1", "HTTPS_PROXY=http://127.0.0.1:1", "CUE_REGISTRY=none", "CUE_CACHE_DIR="+s.t.TempDir())
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatalf("%s: %v", line, err)
	}
	code := cmd.ProcessState.ExitCode()
	for _, c := range append(allowed, 0) {
		if code == c {
			return string(out)
		}
	}
	s.t.Errorf("$ %s\n%sexit status %d", line, out, code)
	return string(out)
}

// readme gives the lines of the shell block below a heading of README.md,
// without their comments.
func readme(t *testing.T, heading string) []string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(raw), "\n## "+heading+"\n")
	_, block, fenced := strings.Cut(section, "```sh\n")
	block, _, closed := strings.Cut(block, "\n```")
	if !found || !fenced || !closed {
		t.Fatalf("README.md has no shell block below %q", heading)
	}
	var lines []string
	for _, l := range strings.Split(block, "\n") {
		l, _, _ = strings.Cut(l, "  #")
		if l = strings.TrimSpace(l); l != "" {
			lines = append(lines, l)
		}
	}
	return lines
}

// A newcomer does what the README says under "Start a mesh of your own", then
// keeps it in Git and asks what a change does.
func TestNewcomer(t *testing.T) {
	s := &session{t: t, dir: t.TempDir()}
	for _, line := range readme(t, "Start a mesh of your own") {
		s.sh(line)
		if strings.Contains(line, "cd shop") {
			s.dir = filepath.Join(s.dir, "shop")
		}
	}
	if raw, err := os.ReadFile(filepath.Join(s.dir, "envoy.json")); err != nil || !strings.Contains(string(raw), "static_resources") {
		t.Errorf("envoy.json is no static bootstrap: %v\n%.200s", err, raw)
	}
	if found, _ := filepath.Glob(filepath.Join(s.dir, "build", "xds", "*", "*.json")); len(found) == 0 {
		t.Error("meshc compile wrote no resources")
	}
	s.sh("git init --quiet && git add --all && git commit --quiet -m 'a mesh'")
	s.sh("meshc diff git:HEAD")
	s.sh("sed -i 's/number: 8080/number: 8081/' shop/*.cue && git commit --quiet --all -m 'another port'")
	if out := s.sh("meshc diff git:HEAD~1", 1); !strings.Contains(out, "8081") {
		t.Errorf("the difference does not name the port: %s", out)
	}
	if out := s.sh("meshc route --from shop/web http://api:8081/"); !strings.Contains(out, "api") {
		t.Errorf("the route does not name api: %s", out)
	}
	requireCue(t)
	s.sh("cue vet -c ./...")
	s.sh("echo 'service: api: colour: 1' >> shop/api.cue")
	if out := s.sh("! cue vet -c ./... && ! meshc vet"); !strings.Contains(out, "colour") {
		t.Errorf("neither names the field that is wrong: %s", out)
	}
}

// requireCue finds stock cue, from the tool cache or PATH.
func requireCue(t *testing.T) {
	t.Helper()
	if tools := os.Getenv("MESHC_TOOLS"); tools != "" {
		t.Setenv("PATH", filepath.Join(tools, "bin")+string(os.PathListSeparator)+os.Getenv("PATH"))
	}
	if _, err := exec.LookPath("cue"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("cue is missing: run make tools")
		}
		t.Skip("STOCK CUE WAS NOT TRIED: cue is missing; run make tools")
	}
}

// A newcomer does what the README says under "Try it", in a mesh that runs.
func TestTryIt(t *testing.T) {
	m := started(t)
	if err := m.Edit("shop/reviews.cue", func(s string) string {
		return strings.Replace(s, "to: v1: 100", "to: {v1: 90, v2: 10}", 1)
	}); err != nil {
		t.Fatal(err)
	}
	m.live(m.commit())
	s := &session{t: t, dir: m.Repo}
	for _, line := range readme(t, "Try it") {
		if strings.HasPrefix(line, "meshc diff") {
			if out := s.sh(line, 1); !strings.Contains(out, "v2") {
				t.Errorf("%s does not name what changed: %s", line, out)
			}
			continue
		}
		s.sh(line)
	}
}
