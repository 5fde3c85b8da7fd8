package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestInitIsCleanForStockCUE shows that a starter mesh needs no network: stock
// cue accepts it in a namespace without one, and so does meshc vet.
func TestInitIsCleanForStockCUE(t *testing.T) {
	cue := stockCUE(t)
	dir := t.TempDir()
	command(t, 0, "init", dir)
	offline := exec.Command("unshare", "-rn", cue, "vet", "-c", "./...")
	offline.Dir = dir
	offline.Env = append(os.Environ(), "CUE_CACHE_DIR="+t.TempDir())
	if out, err := offline.CombinedOutput(); err != nil {
		t.Fatalf("cue vet -c ./... without a network: %v\n%s", err, out)
	}
	if out := command(t, 0, "test", dir); !strings.HasSuffix(out, "2 of 2 expectations: 2 hold\n") {
		t.Errorf("meshc test of a starter mesh printed:\n%s", out)
	}
	out := command(t, 0, "vet", dir)
	if strings.Count(out, "\n") != 1 || !strings.HasPrefix(out, "ok: 2 services, 1 gateway") {
		t.Fatalf("meshc vet of a starter mesh printed:\n%s", out)
	}
}

// stockCUE finds cue and shows that a network namespace can be made; without
// them the test is skipped on a laptop and fails in CI.
func stockCUE(t *testing.T) string {
	t.Helper()
	missing := t.Skipf
	if os.Getenv("CI") == "true" {
		missing = t.Fatalf
	}
	cue, err := exec.LookPath("cue")
	if err != nil {
		home, _ := os.UserHomeDir()
		cue = filepath.Join(home, "go", "bin", "cue")
		if _, err := os.Stat(cue); err != nil {
			missing("NOT TESTED: the cue command is not installed: %v", err)
		}
	}
	if out, err := exec.Command("unshare", "-rn", "true").CombinedOutput(); err != nil {
		missing("NOT TESTED: unshare -rn is not permitted: %v %s", err, out)
	}
	return cue
}

// command runs one meshc command line in this process and gives its stdout.
func command(t *testing.T, want int, args ...string) string {
	t.Helper()
	var out, errw bytes.Buffer
	if got := run(t.Context(), args, strings.NewReader(""), &out, &errw); got != want {
		t.Fatalf("meshc %s: exit status %d, want %d\n%s%s", strings.Join(args, " "), got, want, &out, &errw)
	}
	return out.String()
}

func TestInitOverwritesNothing(t *testing.T) {
	dir := t.TempDir()
	existing := filepath.Join(dir, "mesh.cue")
	if err := os.WriteFile(existing, []byte("package mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	command(t, 2, "init", dir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 {
		t.Fatalf("init wrote beside an existing file: %v", entries)
	}
}

// TestWorkflowIsWrittenAtTheRootOfTheRepository: it gives the composite action
// inputs that the action has, and the directory as it is called.
func TestWorkflowIsWrittenAtTheRootOfTheRepository(t *testing.T) {
	for _, name := range []string{"mesh", "my mesh", `it's "mine": #1`, "${{ github.token }}"} {
		t.Run(name, func(t *testing.T) {
			repo := t.TempDir()
			if err := os.Mkdir(filepath.Join(repo, ".git"), 0o700); err != nil {
				t.Fatal(err)
			}
			command(t, 0, "init", filepath.Join(repo, "deploy", name))
			steps := workflowSteps(t, repo)
			if len(steps) != 2 || steps[0].With["fetch-depth"] != 0.0 {
				t.Fatalf("the workflow has steps %v", steps)
			}
			want := "deploy/" + strings.ReplaceAll(name, "${{", "${{ '${{' }}")
			if got := steps[1].With["dir"]; got != want {
				t.Errorf("the action is given the directory %q, want %q", got, want)
			}
			inputs := actionInputs(t, steps[1].Uses)
			for input := range steps[1].With {
				if inputs[input] == nil {
					t.Errorf("the action has no input %q", input)
				}
			}
		})
	}
}

type workflowStep struct {
	Uses string         `json:"uses"`
	With map[string]any `json:"with"`
}

func workflowSteps(t *testing.T, repo string) []workflowStep {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repo, workflowFile))
	if err != nil {
		t.Fatal(err)
	}
	var w struct {
		Permissions map[string]string `json:"permissions"`
		Jobs        map[string]struct {
			Steps []workflowStep `json:"steps"`
		} `json:"jobs"`
	}
	if err := yaml.Unmarshal(text, &w); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if w.Permissions["pull-requests"] != "write" || w.Permissions["contents"] != "read" || len(w.Permissions) != 2 {
		t.Errorf("the workflow asks for %v", w.Permissions)
	}
	return w.Jobs["meshc"].Steps
}

// actionInputs reads the inputs of the action of this repository that uses names.
func actionInputs(t *testing.T, uses string) map[string]any {
	t.Helper()
	dir, _, _ := strings.Cut(uses, "@")
	dir, ours := strings.CutPrefix(dir, "meshc/meshc/")
	if !ours {
		t.Fatalf("the workflow uses %q", uses)
	}
	text, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(dir), "action.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var action struct {
		Inputs map[string]any `json:"inputs"`
	}
	if err := yaml.Unmarshal(text, &action); err != nil {
		t.Fatal(err)
	}
	return action.Inputs
}
