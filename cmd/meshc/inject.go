package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler/emit/kube"
)

// injectFlags are the flags of inject.
type injectFlags struct {
	files   []string
	options kube.Options
	format  *outputFormat
}

func newInjectCmd() *cobra.Command {
	f := &injectFlags{}
	cmd := &cobra.Command{
		Use:   "inject -f FILE... [DIR]",
		Short: "give the pods in Kubernetes manifests their proxies, offline",
		Long: `inject reads manifests (YAML or JSON, several documents, Lists) and prints them
with a proxy in every pod of a service of the mesh in DIR (default "."):
Deployments, StatefulSets, DaemonSets, ReplicaSets, Jobs, CronJobs and Pods.
What has no such pods comes out to the byte. In documents that change, comments
and the order of fields stay; indentation and quotes are the writer's own. What
has its proxy already stays as it is.

A pod belongs to the service that its label meshc.dev/service names, else to the
one whose Kubernetes Service, in the same text, selects it, else to the one that
has its service account; and to the version whose labels it has. The label or
annotation meshc.dev/inject=disabled leaves a pod out. What became of each object
goes to stderr.

The rules of such a pod lead every TCP connection to and from it to the ports
15006 and 15001 of its proxy, but for what workload.capture of the mesh excludes,
and DNS. The proxy takes connections to the ports of the service, and calls what
the service uses; requests to anything else are answered 502. The application has
to listen on its loopback address, as it does on all addresses. meshc-controller
has listeners for pods of which its list of workloads says "capture", with their
addresses and those of the services that they call.

The proxy is a native sidecar (an init container that goes on running), for which
Kubernetes 1.29 is needed; --classic makes an ordinary container.

Exit status: 0 done, 1 an object cannot be injected, 2 could not tell.`,
		Example: `  meshc inject -f deploy.yaml mesh > injected.yaml
  kustomize build . | meshc inject -f - -n shop mesh > injected.yaml`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	fl := cmd.Flags()
	fl.StringArrayVarP(&f.files, "filename", "f", nil, "manifest, or - for standard input; may be repeated")
	fl.StringVarP(&f.options.Namespace, "namespace", "n", "default", "namespace of objects that name none")
	fl.BoolVar(&f.options.Classic, "classic", false, "make ordinary containers, for Kubernetes before 1.29")
	fl.StringVar(&f.options.Controller, "controller", kube.DefaultController, "host:port where proxies ask for ADS")
	fl.StringVar(&f.options.ControllerID, "controller-id", "", "SPIFFE ID of the controller (default: account meshc-controller in namespace meshc-system)")
	fl.StringVar(&f.options.CA, "ca-address", kube.DefaultCA, "host:port of the certificate authority")
	fl.StringVar(&f.options.RootMap, "root-config-map", kube.DefaultRootMap, "ConfigMap in the namespace of the pods that holds the authority's root as root.pem")
	fl.StringVar(&f.options.KeyMap, "key-config-map", kube.DefaultKeyMap, "ConfigMap in the namespace of the pods that holds files of keys (jwks) that the mesh names: /etc/keys/a.json as etc.keys.a.json")
	_ = cmd.MarkFlagRequired("filename")
	f.format = addOutputFlag(cmd)
	return cmd
}

// injectReport is what -o json prints in place of the manifests.
type injectReport struct {
	Objects   []kube.Object `json:"objects"`
	Manifests string        `json:"manifests"`
}

func (f *injectFlags) run(cmd *cobra.Command, args []string) error {
	in, err := f.read(cmd.InOrStdin())
	if err != nil {
		return err
	}
	mesh, err := soundOf(cmd, dirArgument(args), time.Now(), nil)
	if err != nil {
		return err
	}
	report := injectReport{Objects: []kube.Object{}}
	for i, data := range in {
		res, err := kube.Inject(mesh.Model, data, f.options)
		if err != nil {
			return &exitError{code: statusNo, err: fmt.Errorf("%s: %w", f.files[i], err)}
		}
		report.Objects = append(report.Objects, res.Objects...)
		if i > 0 && len(res.Out) > 0 {
			report.Manifests += "---\n"
		}
		report.Manifests += string(res.Out)
	}
	if f.format.value == "json" {
		return writeJSON(cmd.OutOrStdout(), "InjectReport", report)
	}
	for _, o := range report.Objects {
		to := ""
		if o.Outcome == kube.Injected {
			to = fmt.Sprintf(": service %s, version %s", o.Service, o.Version)
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "%s %s/%s: %s%s\n", o.Kind, o.Namespace, cmp.Or(o.Name, "-"), o.Outcome, to)
	}
	_, err = io.WriteString(cmd.OutOrStdout(), report.Manifests)
	return err
}

func (f *injectFlags) read(stdin io.Reader) ([][]byte, error) {
	var out [][]byte
	for _, name := range f.files {
		var data []byte
		var err error
		if name == "-" {
			data, err = io.ReadAll(stdin)
		} else {
			data, err = os.ReadFile(name)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, data)
	}
	return out, nil
}
