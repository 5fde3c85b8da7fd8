package local

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/reconciler/source"
)

// repository commits content as local.yaml below mesh/, and edits it once more
// without a commit.
func repository(t *testing.T, content string) (dir, commit string) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("git is not installed, and CI needs it")
		}
		t.Skip("SKIPPED: git is not installed")
	}
	dir = t.TempDir()
	git := func(args ...string) string {
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@example.com"}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	file := filepath.Join(dir, "mesh", FileName)
	must(t, os.MkdirAll(filepath.Dir(file), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "mesh", "other"), nil, 0o600))
	if content != "" {
		must(t, os.WriteFile(file, []byte(content), 0o600))
	}
	git("init", "-q")
	git("add", "-A")
	git("commit", "-q", "-m", "mesh")
	must(t, os.WriteFile(file, []byte("network: 127.8.0.0/16\n"), 0o600))
	return dir, git("rev-parse", "HEAD")
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsCommittedIsRead(t *testing.T) {
	for _, c := range []struct{ content, network, err string }{
		{content: "network: 127.9.0.0/16\n", network: "127.9.0.0/16"},
		{content: "\nnetwork: no\n", err: "mesh/local.yaml of commit HASH: line 2: network"},
		{err: "commit HASH has no mesh/local.yaml"},
	} {
		dir, commit := repository(t, c.content)
		repo, err := source.Open(dir, source.Options{})
		must(t, err)
		got, err := Committed(t.Context(), repo, "mesh", commit)
		if want := strings.ReplaceAll(c.err, "HASH", commit[:12]); want != "" {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %s", err, want)
			}
		} else if err != nil || got.Network != c.network {
			t.Errorf("%+v, %v", got, err)
		}
	}
}

// placing is a runner whose local.yaml the test writes per commit.
func placing(t *testing.T, files map[string]string) (*runner, *reports) {
	said := &reports{}
	return &runner{
		o: Options{Report: said.note, Config: func(_ context.Context, commit string) (*Config, error) {
			text, known := files[commit]
			if !known {
				return nil, errors.New("no such commit")
			}
			return ParseConfig([]byte(text))
		}},
		alloc: alloc(t, filepath.Join(t.TempDir(), "a.json"), "127.9.0.0/16"), network: "127.9.0.0/16",
		told: map[string]bool{}, placed: nil,
	}, said
}

func TestANetworkCannotChangeWhileItRuns(t *testing.T) {
	r, _ := placing(t, map[string]string{
		"old": strings.Replace(shopYAML, "127.9", "127.8", 1), "new": shopYAML, "moved": strings.Replace(shopYAML, "127.9", "127.7", 1),
	})
	r.restored = "old"
	must(t, r.place(t.Context(), shop(), "old")) // it served before this run
	if in := r.placed.Workloads[1].Inbound[80]; !strings.HasPrefix(in, "127.9.") {
		t.Errorf("placed at %s", in)
	}
	must(t, r.place(t.Context(), shop(), "new"))
	before := r.placed
	err := r.place(t.Context(), shop(), "moved")
	if err == nil || !strings.Contains(err.Error(), "network is 127.7.0.0/16, and this mesh runs in 127.9.0.0/16") {
		t.Errorf("%v", err)
	}
	if r.placed != before {
		t.Error("the refused commit was placed")
	}
	must(t, r.place(t.Context(), shop(), "new"))
}

func TestACommitThatCannotBePlacedIsTriedAgain(t *testing.T) {
	files := map[string]string{}
	r, _ := placing(t, files)
	if err := r.place(t.Context(), shop(), "new"); err == nil {
		t.Fatal("no error")
	}
	files["new"] = shopYAML
	if err := r.place(t.Context(), shop(), "new"); err == nil {
		t.Error("looked at again at once")
	}
	r.triedAt = time.Now().Add(-tryAgain)
	must(t, r.place(t.Context(), shop(), "new"))
}

func TestWhatNothingRunsIsTold(t *testing.T) {
	text, _, _ := strings.Cut(strings.Replace(shopYAML, "version: v1, command: [api], replicas: 0", "version: v3, command: [api]", 1), "gateways:")
	r, said := placing(t, map[string]string{"c": text})
	must(t, r.place(t.Context(), shop(), "c"))
	for _, want := range []string{
		`local.yaml: nothing runs version "v1" of service "shop/api": apps has no entry for it`,
		`local.yaml: service "shop/api" has no version "v3"`,
		`local.yaml: nothing runs gateway "shop/edge": gateways has no entry for it`,
	} {
		if said.count(want) != 1 {
			t.Errorf("not told once: %s\n%v", want, said.all)
		}
	}
	if len(said.all) != 3 {
		t.Errorf("told %q", said.all)
	}
	none := shop()
	none.Services, none.Gateways = nil, []*model.Gateway{}
	r, said = placing(t, map[string]string{"c": "network: 127.9.0.0/16\n"})
	must(t, r.place(t.Context(), none, "c"))
	if len(said.all) != 0 {
		t.Errorf("told %q of an empty mesh", said.all)
	}
}
