package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/cache"
	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/emit/xds/artifact"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/reconciler/discover"
)

// compileFlags are the flags of compile.
type compileFlags struct {
	out       string
	proxy     string
	bootstrap bool
	at        string
	workloads string
	agent     string
	admin     string
	format    *outputFormat
	cache     *cacheFlag
}

func newCompileCmd() *cobra.Command {
	f := &compileFlags{}
	cmd := &cobra.Command{
		Use:   "compile [DIR] (--out OUT | --proxy NAME --bootstrap)",
		Short: "compile a mesh to xDS, one file per proxy, or to a static Envoy bootstrap",
		Long: `compile writes the xDS resources of every proxy of the mesh in DIR (default ".")
to OUT/xds/<service>/<version>.json and OUT/xds/<gateway>.json, and removes from
there what an earlier compile wrote and this one does not. With --proxy NAME
--bootstrap it prints one complete static Envoy bootstrap instead; NAME is
service/version, namespace/service/version, or a gateway.

Where the proxies run comes from --workloads, a JSON file
{"workloads": [...]}. Without it, each version and each gateway has one
workload, on loopback addresses that depend on its names alone.`,
		Example: `  meshc compile --out build
  meshc compile mesh --proxy reviews/v1 --bootstrap | envoy --mode validate -c /dev/stdin`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	cmd.Flags().StringVar(&f.out, "out", "", "write the resources of every proxy below this directory")
	cmd.Flags().StringVar(&f.proxy, "proxy", "", "the proxy to print")
	cmd.Flags().BoolVar(&f.bootstrap, "bootstrap", false, "print a static Envoy bootstrap of --proxy")
	cmd.Flags().StringVar(&f.at, "at", "", "the time, RFC 3339, that decides which faults have ended (default now)")
	cmd.Flags().StringVar(&f.workloads, "workloads", "", "JSON file that says where the workloads run")
	cmd.Flags().StringVar(&f.agent, "agent-socket", "/run/meshc/agent.sock", "with --bootstrap: socket of the identity agent")
	cmd.Flags().StringVar(&f.admin, "admin", "127.0.0.1:15000", "with --bootstrap: address of the admin endpoint, or \"\" for none")
	f.format = addOutputFlag(cmd)
	f.cache = addCacheFlag(cmd)
	return cmd
}

func (f *compileFlags) run(cmd *cobra.Command, args []string) error {
	now, err := f.check()
	if err != nil {
		return err
	}
	compiler.SaveMemory()
	kept, err := f.cache.open()
	if err != nil {
		return err
	}
	res, err := soundOf(cmd, dirArgument(args), now, kept)
	if err != nil {
		return err
	}
	if f.bootstrap {
		return f.printBootstrap(cmd, res.Model, now)
	}
	files, err := f.files(res, xds.Options{Now: now})
	if err != nil {
		return err
	}
	if kept != nil {
		files.Keyed(kept.Key)
	}
	return f.writeFiles(cmd, files)
}

// files gives what makes the files of a mesh.
func (f *compileFlags) files(res *compiler.Result, o xds.Options) (*artifact.Renderer, error) {
	if f.workloads != "" {
		workloads, err := f.given()
		if err != nil {
			return nil, err
		}
		return artifact.New(res.Model, workloads, o)
	}
	files := artifact.Placed(res.Model, o)
	if res.Step != nil {
		files.Named(res.Step.Name, res.Step.Since)
	}
	return files, nil
}

// check refuses flags that do not go together.
func (f *compileFlags) check() (now time.Time, err error) {
	switch {
	case f.out == "" && f.proxy == "":
		return now, errors.New("compile: say --out OUT, or --proxy NAME --bootstrap")
	case f.out != "" && (f.proxy != "" || f.bootstrap):
		return now, errors.New("compile: --out goes with neither --proxy nor --bootstrap")
	case f.proxy != "" && !f.bootstrap:
		return now, errors.New("compile: --proxy goes with --bootstrap")
	case f.bootstrap && f.format.value != "text":
		return now, errors.New("compile: a bootstrap is JSON by itself: leave -o out")
	}
	if f.at == "" {
		return time.Now(), nil
	}
	if now, err = time.Parse(time.RFC3339, f.at); err != nil {
		return now, fmt.Errorf("compile: --at: %w", err)
	}
	return now, nil
}

// soundOf compiles the mesh in dir as of now. What is wrong with it goes to
// stderr, warnings too; errors are the answer "no".
func soundOf(cmd *cobra.Command, dir string, now time.Time, kept *cache.Dir) (*compiler.Result, error) {
	root, sub, err := findModule(dir)
	if err != nil {
		return nil, err
	}
	res, err := compiler.Compile(cmd.Context(), os.DirFS(root), compiler.Options{Now: now, Load: loadOptions(sub, kept)})
	if err != nil {
		return nil, fmt.Errorf("compile %s: %w", dir, err)
	}
	if err := diagPrinter(root).Text(cmd.ErrOrStderr(), res.Diags); err != nil {
		return nil, fmt.Errorf("print diagnostics: %w", err)
	}
	switch {
	case hasCode(res.Diags, diag.Internal):
		return nil, &exitError{code: statusUnknown}
	case res.Model == nil:
		return nil, answerNo()
	}
	return res, nil
}

// given are the workloads of a file.
func (f *compileFlags) given() ([]*model.Workload, error) {
	data, err := os.ReadFile(f.workloads)
	if err != nil {
		return nil, err
	}
	list, err := discover.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.workloads, err)
	}
	return list, nil
}

func (f *compileFlags) printBootstrap(cmd *cobra.Command, m *model.Mesh, now time.Time) (err error) {
	workloads := []*model.Workload(nil)
	if f.workloads == "" {
		workloads = xds.DefaultWorkloads(m)
	} else if workloads, err = f.given(); err != nil {
		return err
	}
	w, err := artifact.Find(workloads, f.proxy)
	if err != nil {
		return err
	}
	boot, err := xds.StaticBootstrap(m, w, workloads, xds.BootstrapOptions{AgentSocket: f.agent, Admin: f.admin, Now: now})
	if err != nil {
		return err
	}
	out, err := xds.JSON(boot)
	if err != nil {
		return err
	}
	_, err = cmd.OutOrStdout().Write(out)
	return err
}

func (f *compileFlags) writeFiles(cmd *cobra.Command, files *artifact.Renderer) error {
	dir := filepath.Join(f.out, "xds")
	report, err := artifact.Write(dir, files)
	if err != nil {
		return fmt.Errorf("write %s: %w", dir, err)
	}
	for _, name := range report.Kept {
		fmt.Fprintf(cmd.ErrOrStderr(), "meshc: %s is not made any more; it was changed since and stays\n", filepath.Join(dir, name))
	}
	if f.format.value == "json" {
		return writeJSON(cmd.OutOrStdout(), "CompileReport", report)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %d written, %d unchanged, %d removed\n",
		dir, len(report.Written), len(report.Unchanged), len(report.Removed))
	return err
}
