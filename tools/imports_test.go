package tools

import (
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/meshc/meshc/"

// ban forbids importer (a package path or a prefix ending in "/...") to depend
// on target, directly or through others.
type ban struct{ importer, target, why string }

var bans = []ban{
	{"dataplane/...", module + "compiler", "the contract of the data plane is xDS, so that Envoy and meshc-proxy stay interchangeable"},
	{"dataplane/...", module + "reconciler", "the contract of the data plane is xDS"},
	{"dataplane/...", module + "policies", "the contract of the data plane is xDS"},
	{"dataplane/...", module + "schema", "the data plane knows nothing of intent"},
	{"ca/...", module + "compiler", "the contract of the CA is SPIFFE"},
	{"ca/...", module + "reconciler", "the contract of the CA is SPIFFE"},
	{"cmd/meshc-proxy", "cuelang.org/go", "the proxy binary carries no CUE"},
	{"cmd/meshc-proxy", "k8s.io/client-go", "the proxy binary carries no Kubernetes client"},
	{"cmd/meshc-proxy", module + "compiler", "the proxy is driven by xDS alone"},
	{"compiler/diag", module, "diag is a leaf: everything may import it"},
	{"compiler/emit/kube", "k8s.io", "manifests are data; the types of Kubernetes are for its tests"},
	{"compiler/digest", module, "digest is a leaf: everything may import it"},
	{"compiler/model", module + "compiler/intent", "the model must not know what the user wrote it in"},
	{"compiler/model", "github.com/envoyproxy", "the model holds no Envoy types"},
	{"compiler/model", "cuelang.org/go", "the model holds no CUE types"},
	{"compiler/reach", "github.com/envoyproxy", "predicates are judged on the model"},
	{"compiler/reach/automaton", module, "automata know nothing of requests"},
	{"compiler/reach/diagram", module, "diagrams know nothing of requests"},
	{"compiler/behave", "github.com/envoyproxy", "behaviour is that of the model"},
	{"compiler/expect", "github.com/envoyproxy", "expectations are held against the model"},
	{"policies", "github.com/envoyproxy", "guardrails are held against the model"},
	{"policies", "cuelang.org/go", "only load imports CUE"},
	{"policies", module + "reconciler", "guardrails are pure functions of meshes"},
	{"compiler/...", module + "policies", "whether a mesh keeps to its guardrails does not decide whether it compiles"},
	{"compiler/lower", "github.com/envoyproxy", "lowering ends at the model"},
	{"compiler/lower", "cuelang.org/go", "only load imports CUE"},
	{"compiler/check", "cuelang.org/go", "only load imports CUE"},
	{"compiler/check", "github.com/envoyproxy", "checks speak of intent and model"},
	{"compiler/...", module + "reconciler", "the compiler is a pure function under the reconciler"},
	{"reconciler/plan", "google.golang.org/grpc", "plan is a pure diff"},
	{"dataplane/...", "k8s.io", "proxies run anywhere"},
	{"compiler/...", "k8s.io/client-go", "the compiler is offline"},
	{"reconciler/store", "k8s.io", "what one machine does needs no cluster"},
	{"reconciler/local", "k8s.io", "what one machine does needs no cluster"},
}

func TestImportDirections(t *testing.T) {
	for _, b := range bans {
		out, err := exec.Command("go", "list", "-deps", "-f", "{{.ImportPath}}", module+b.importer).CombinedOutput()
		if err != nil {
			t.Fatalf("go list %s: %v\n%s", b.importer, err, out)
		}
		for _, dep := range strings.Fields(string(out)) {
			self := dep == module+strings.TrimSuffix(b.importer, "/...")
			if !self && within(dep, b.target) {
				t.Errorf("%s depends on %s: %s", b.importer, dep, b.why)
			}
		}
	}
}

func within(dep, target string) bool {
	return dep == target || strings.HasPrefix(dep, strings.TrimSuffix(target, "/")+"/")
}
