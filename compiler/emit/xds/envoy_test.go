package xds_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/model"
)

// envoyBinary finds Envoy, or skips: loudly on a laptop, as a failure in CI.
func envoyBinary(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("MESHC_ENVOY"); path != "" {
		return path
	}
	roots := []string{os.Getenv("MESHC_TOOLS")}
	if home, err := os.UserHomeDir(); err == nil {
		roots = append(roots, filepath.Join(home, ".cache/meshc/tools"))
	}
	for _, root := range roots {
		found, err := filepath.Glob(filepath.Join(root, "envoy-1.40.0/lib/python3*/site-packages/envoy/_bin/envoy"))
		if root != "" && err == nil && len(found) > 0 {
			return found[0]
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("Envoy is not installed: run make tools")
	}
	t.Skip("SKIPPED, NOT PASSED: Envoy is not installed; run make tools")
	return ""
}

// complaint is a line of Envoy's log that it must not write about our config.
var complaint = regexp.MustCompile(`(?i)deprecat|\]\[(error|critical)\]`)

// envoyAccepts runs Envoy's own validation of a bootstrap.
func envoyAccepts(t *testing.T, envoy, name string, config []byte) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "bootstrap.json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, envoy, "--mode", "validate", "-c", file, "-l", "warn")
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	err := cmd.Run()
	if err != nil {
		t.Errorf("%s: envoy refuses: %v\n%s\n%s", name, err, log.Bytes(), config)
		return
	}
	for line := range strings.Lines(log.String()) {
		if complaint.MatchString(line) {
			t.Errorf("%s: envoy accepts but complains: %s", name, line)
		}
	}
}

func staticJSON(t *testing.T, m *model.Mesh, w *model.Workload, all []*model.Workload) []byte {
	t.Helper()
	boot, err := xds.StaticBootstrap(m, w, all, xds.BootstrapOptions{
		AgentSocket: "/run/meshc/agent.sock", Admin: "127.0.0.1:15000", Now: now,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := boot.ValidateAll(); err != nil {
		t.Fatalf("%s: %v", w.NodeID(), err)
	}
	out, err := xds.JSON(boot)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEnvoyAcceptsBookinfo(t *testing.T) {
	envoy := envoyBinary(t)
	m := bookinfo()
	all := xds.DefaultWorkloads(m)
	for _, w := range all {
		t.Run(w.ID, func(t *testing.T) {
			envoyAccepts(t, envoy, w.NodeID(), staticJSON(t, m, w, all))
		})
	}
}

// TestEnvoyAcceptsRandomMeshes covers what the model can say and no CUE does:
// several conditions on one path, and conditions that meet the same header.
func TestEnvoyAcceptsRandomMeshes(t *testing.T) {
	envoy := envoyBinary(t)
	for seed := range uint64(12) {
		m := newDice(seed, false).mesh()
		all := xds.DefaultWorkloads(m)
		w := all[int(seed)%len(all)]
		if w.Role == model.RoleGRPC {
			continue
		}
		envoyAccepts(t, envoy, w.NodeID(), staticJSON(t, m, w, all))
	}
}

func TestEnvoyAcceptsDynamicBootstrap(t *testing.T) {
	envoy := envoyBinary(t)
	for _, controller := range []string{"127.0.0.1:15010", "localhost:15010"} {
		boot, err := xds.Bootstrap(xds.BootstrapOptions{
			NodeID: "sidecar~shop/reviews.v1-0", Cluster: "shop/reviews", Admin: "127.0.0.1:15000",
			AgentSocket: "/run/meshc/agent.sock", Controller: controller,
			ControllerID: "spiffe://cluster.local/ns/meshc-system/sa/controller",
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := boot.ValidateAll(); err != nil {
			t.Fatal(err)
		}
		config, err := xds.JSON(boot)
		if err != nil {
			t.Fatal(err)
		}
		envoyAccepts(t, envoy, controller, config)
	}
}
