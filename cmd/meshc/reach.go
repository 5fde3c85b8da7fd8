package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/compiler/behave"
	"github.com/meshc/meshc/compiler/behave/show"
	"github.com/meshc/meshc/compiler/literal"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/compiler/scope"
)

// reachFlags of `meshc reach`.
type reachFlags struct {
	to, from, base, dir string
	request             oneRequest
	out                 *outputFormat
}

func newReachCmd() *cobra.Command {
	var f reachFlags
	cmd := &cobra.Command{
		Use:   "reach --to SVC [--from SVC [--request 'GET /path']] [--base TREE]",
		Short: "say who can reach a service, exactly",
		Long: `reach says who may send which requests to a service or an external of the mesh:
services through their proxies, clients of gateways, whoever connects without
mutual TLS where that is accepted, and whoever else has an identity that rules
let in. It goes by routes, mutual TLS, tokens and rules together; what it does
not list is proved not to get there, and where it could not tell, it says so: of
a service without a proxy, whose rules nobody keeps, it never can.
Where an authorizer is asked, what it says is not known here and is named as a
condition. Faults and rate limits are no matter of who, and are left out.

With --request it answers for one request of --from. If that does not get
there, it looks for changes of the mesh's files that would let it in (a use, a
rule, an exception of a deny rule), makes each of them in memory, asks again, and
says all that the change would let in. First comes the one that lets in least:
this caller, method and path, where the rules can say so.

With --base it says what changes about that from another tree, named as for
meshc diff: a directory, git:REV or live.

Exit status: 0 somebody can (with --base: nothing changes), 1 nobody can (with
--base: something changes), 2 could not tell.`,
		Example: `  meshc reach --to ratings
  meshc reach --to shop/payments --from shop/checkout
  meshc reach --to payments --from cart --request 'POST /refunds'
  meshc reach --to payments --base git:main`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	cmd.Flags().StringVar(&f.to, "to", "", "the service or external that is reached: \"name\" or \"namespace/name\"")
	cmd.Flags().StringVar(&f.from, "from", "", "only what this service, or the clients of this gateway, can send")
	cmd.Flags().StringVar(&f.base, "base", "", "say what changes from this tree: a directory, git:REV or live")
	cmd.Flags().StringVar(&f.dir, "dir", ".", "the mesh directory")
	f.request.addFlags(cmd, "answer for this request of --from: \"GET /path\", or with a URL")
	f.out = addOutputFlag(cmd)
	_ = cmd.MarkFlagRequired("to")
	cmd.MarkFlagsMutuallyExclusive("request", "base")
	return cmd
}

func (f *reachFlags) run(cmd *cobra.Command) error {
	m, err := compileDir(cmd.Context(), cmd.ErrOrStderr(), f.dir)
	if err != nil {
		return err
	}
	to, from := literal.Ref(f.to, scope.DefaultNamespace), literal.Ref(f.from, scope.DefaultNamespace)
	if f.base != "" {
		return f.compare(cmd, m, to, from)
	}
	if err := f.known(to, from, m); err != nil {
		return err
	}
	if f.request.text != "" {
		return f.askOne(cmd, m, to, from)
	}
	a := f.filter(behave.WhoReaches(m, to), from)
	if f.out.value == "json" {
		err = writeJSON(cmd.OutOrStdout(), "ReachResult", show.AccessJSON(a, false))
	} else {
		err = show.Access(cmd.OutOrStdout(), a, f.who(from))
	}
	return f.status(err, a, len(a.Entries) > 0)
}

// compare says what changes from another tree.
func (f *reachFlags) compare(cmd *cobra.Command, m *model.Mesh, to, from model.Ref) error {
	trees := diffFlags{dir: f.dir}
	base, err := trees.tree(cmd.Context(), cmd.ErrOrStderr(), f.base)
	if err != nil {
		return err
	}
	if err := f.known(to, from, m, base); err != nil {
		return err
	}
	a := f.filter(behave.CompareAccess(base, m, to), from)
	if f.out.value == "json" {
		err = writeJSON(cmd.OutOrStdout(), "ReachDiffResult", show.AccessJSON(a, true))
	} else {
		err = show.AccessDiff(cmd.OutOrStdout(), a, f.who(from))
	}
	return f.status(err, a, len(a.Entries) == 0)
}

func (f *reachFlags) filter(a *behave.Access, from model.Ref) *behave.Access {
	if f.from == "" {
		return a
	}
	return show.From(a, from)
}

// who is the caller that is asked about, "" for everybody.
func (f *reachFlags) who(from model.Ref) string {
	if f.from == "" {
		return ""
	}
	return from.String()
}

// status of the process, once the answer is printed.
func (f *reachFlags) status(err error, a *behave.Access, yes bool) error {
	switch {
	case err != nil:
		return fmt.Errorf("print the answer: %w", err)
	case len(a.Unknown) > 0:
		return &exitError{code: statusUnknown}
	case !yes:
		return answerNo()
	}
	return nil
}

// known refuses names that none of the meshes has.
func (f *reachFlags) known(to, from model.Ref, meshes ...*model.Mesh) error {
	target, caller := false, f.from == ""
	for _, m := range meshes {
		target = target || m.Service(to) != nil || m.External(to) != nil
		caller = caller || m.Service(from) != nil || m.Gateway(from) != nil
	}
	switch {
	case !target && meshes[0].Gateway(to) != nil:
		return fmt.Errorf("%s is a gateway: say --to a service that it leads to, and --from %s", to, to)
	case !target:
		return unknownTarget(meshes[0], to)
	case !caller:
		return unknownCaller(meshes[0], from)
	}
	return nil
}

func unknownTarget(m *model.Mesh, to model.Ref) error {
	text := fmt.Sprintf("the mesh has no service or external %s", to)
	for _, s := range m.Services {
		if s.Name == to.Name {
			text += fmt.Sprintf("; did you mean --to %s?", s.Ref)
		}
	}
	return errors.New(text)
}
