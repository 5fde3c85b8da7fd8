package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/meshc/meshc/reconciler/api"
)

// steerManager is the manager of the fields that operators set by meshc.
const steerManager = "meshc-cli"

// steering is a command that changes the specification of a Mesh in a cluster.
type steering struct {
	in      clusterFlags
	reason  string
	expires time.Duration
	to      string
}

func (s *steering) flags(cmd *cobra.Command) *cobra.Command {
	cmd.Args = cobra.ExactArgs(1)
	s.in.registerKubeconfig(cmd.Flags())
	return cmd
}

func newSuspendCmd() *cobra.Command {
	var s steering
	cmd := s.flags(&cobra.Command{
		Use:   "suspend NAMESPACE/NAME --reason TEXT",
		Short: "keep what serves in a cluster, whatever is committed",
		Long: `suspend has the controller of the Mesh keep what serves. Commits are compiled and judged
all the same: the status of the Mesh says what the newest would change, and why it does not.

Exit status: 0 it is written to the Mesh; 2 it is not.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if s.reason == "" {
				return errors.New("--reason is missing: who finds the mesh suspended wants to know why")
			}
			suspend := &api.Suspend{Reason: s.reason}
			if s.expires < 0 {
				return fmt.Errorf("--expires %s lies in the past", s.expires)
			}
			if s.expires > 0 {
				suspend.Until = until(s.expires)
			}
			return s.write(cmd, args[0], map[string]any{"suspend": suspend}, "suspended")
		},
	})
	cmd.Flags().StringVar(&s.reason, "reason", "", "why, for people")
	cmd.Flags().DurationVar(&s.expires, "expires", 0, "when it ends by itself, from now, such as 2h (default: never)")
	return cmd
}

func newResumeCmd() *cobra.Command {
	var s steering
	return s.flags(&cobra.Command{
		Use:   "resume NAMESPACE/NAME",
		Short: "let commits serve again after suspend or rollback",
		Long: `resume ends what suspend and rollback have set: the newest commit serves.

Exit status: 0 it is written to the Mesh; 2 it is not.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.write(cmd, args[0], map[string]any{"suspend": nil, "rollback": nil}, "resumed")
		},
	})
}

// digests are what a rollback can go to: beginnings of hashes in hex.
var digests = regexp.MustCompile(`^[0-9a-f]{7,64}$`)

func newRollbackCmd() *cobra.Command {
	var s steering
	cmd := s.flags(&cobra.Command{
		Use:   "rollback NAMESPACE/NAME --to DIGEST --expires DURATION",
		Short: "have what served before serve again in a cluster, for a time",
		Long: `rollback has the controller of the Mesh serve another commit than the repository says, until
a time: what served before what serves, by the beginning of its commit or of the digest of its
manifest, which takes neither the repository nor a compile; or any commit by its full hash. The
status of the Mesh says so (condition Suspended, reason RolledBack), and afterwards the newest
commit serves.

Exit status: 0 it is written to the Mesh; 2 it is not.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case !digests.MatchString(s.to):
				return fmt.Errorf("--to %q is not 7 to 64 lower-case hexadecimal digits", s.to)
			case s.expires <= 0:
				return errors.New("--expires is missing: a rollback ends, and the repository counts again")
			}
			back := &api.Rollback{To: s.to, Until: until(s.expires), Reason: s.reason}
			s.in.mesh = args[0]
			in, err := s.in.open()
			if err != nil {
				return err
			}
			u, err := in.client.Resource(api.Meshes).Namespace(in.namespace).Get(cmd.Context(), in.name, metav1.GetOptions{})
			if err != nil {
				return fmt.Errorf("read mesh %s: %w", args[0], err)
			}
			mesh, err := api.FromUnstructured[api.Mesh](u)
			if err != nil {
				return fmt.Errorf("read mesh %s: %w", args[0], err)
			}
			done, err := goesTo(&mesh.Status.Inventory, s.to)
			if err != nil {
				return fmt.Errorf("mesh %s: %w", args[0], err)
			}
			return s.write(cmd, args[0], map[string]any{"rollback": back}, fmt.Sprintf("%s until %s", done, back.Until.Format(time.RFC3339)))
		},
	})
	cmd.Flags().StringVar(&s.to, "to", "", "beginning of the commit, or of the digest of the manifest, that served before; or the full hash of a commit")
	cmd.Flags().DurationVar(&s.expires, "expires", 0, "when the repository counts again, from now, such as 2h")
	cmd.Flags().StringVar(&s.reason, "reason", "", "why, for people")
	return cmd
}

// goesTo says what a rollback will do, by what is kept in the cluster; the error is
// for one that goes nowhere.
func goesTo(i *api.Inventory, to string) (string, error) {
	const fullHash = 40
	switch {
	case i.Serving.Named(to), i.Previous.Named(to):
		return "rolled back to " + to, nil
	case len(to) == fullHash:
		return "rolls back to " + to + ", which is neither what serves nor what served before and is taken from the repository,", nil
	}
	return "", fmt.Errorf("--to %s is neither what serves (%s) nor what served before (%s); another commit is named by its full hash", to, commitOf(i.Serving), commitOf(i.Previous))
}

func commitOf(g *api.Generation) string {
	if g == nil {
		return "nothing"
	}
	return g.Commit
}

// until is a time from now on, in whole seconds.
func until(d time.Duration) time.Time { return time.Now().Add(d).UTC().Truncate(time.Second) }

// write changes the specification of a Mesh and says what was done.
func (s *steering) write(cmd *cobra.Command, mesh string, spec map[string]any, done string) error {
	patch, err := json.Marshal(map[string]any{"spec": spec})
	if err != nil {
		return err
	}
	s.in.mesh = mesh
	in, err := s.in.open()
	if err != nil {
		return err
	}
	_, err = in.client.Resource(api.Meshes).Namespace(in.namespace).Patch(cmd.Context(), in.name, types.MergePatchType, patch,
		metav1.PatchOptions{FieldManager: steerManager, FieldValidation: metav1.FieldValidationStrict})
	if err != nil {
		return fmt.Errorf("change mesh %s: %w", mesh, err)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", mesh, done)
	return err
}
