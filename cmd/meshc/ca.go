package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/ca"
	"github.com/meshc/meshc/reconciler/local"
)

// newCACmd is `meshc ca`, which asks a running controller for its authority.
func newCACmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ca",
		Short: "the keys of the certificate authority: how long they last, and their rotation",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(newCAStatusCmd(), newCARotateCmd(), newCATaintCmd())
	return cmd
}

// caClient reaches a controller's admin endpoint.
type caClient struct {
	admin, state string
	out          *outputFormat
}

func (c *caClient) flags(cmd *cobra.Command) {
	c.out = addOutputFlag(cmd)
	cmd.Flags().StringVar(&c.admin, "admin", "", "the controller's --admin: path of a Unix socket, or address (default: that of meshc up, in the state directory)")
	cmd.Flags().StringVar(&c.state, "state", "", "state directory (default: .meshc at the top of the repository)")
}

func newCAStatusCmd() *cobra.Command {
	var c caClient
	cmd := &cobra.Command{
		Use:   "status",
		Short: "which keys the authority has, which of them sign, and until when",
		Long: `status tells of each key of the authority: what it is, whether it signs, when
it ends, and whether the private key is there (that of a root need not be).

Exit status: 0 all is well; 1 what signs has less than a quarter of its life
left, or is tainted; 2 could not tell.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := c.call(cmd.Context(), http.MethodGet, "/ca", nil)
			if err != nil {
				return err
			}
			if err := c.print(cmd.OutOrStdout(), s); err != nil {
				return err
			}
			if troubled(s, time.Now()) {
				return answerNo()
			}
			return nil
		},
	}
	c.flags(cmd)
	return cmd
}

func newCARotateCmd() *cobra.Command {
	var c caClient
	cmd := &cobra.Command{
		Use:   "rotate root|issuer",
		Short: "replace the root, and what is below it, or the issuer",
		Long: `rotate makes the next keys and has them trusted. When all proxies that are
connected have confirmed that, and a lifetime of certificates has passed, they
sign; when another one has passed, the ones before are trusted no more.
status tells how far it is.

Exit status: 0 it has begun; 1 it is refused: one is under way, or the issuer is
made elsewhere; 2 could not tell.`,
		Args:      cobra.ExactArgs(1),
		ValidArgs: []string{"root", "issuer"},
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.change(cmd, "/ca/rotate", url.Values{"kind": {args[0]}})
		},
	}
	c.flags(cmd)
	return cmd
}

func newCATaintCmd() *cobra.Command {
	var c caClient
	var reason string
	cmd := &cobra.Command{
		Use:   "taint KEY",
		Short: "say that others may know a key: all certificates are replaced, at once",
		Long: `taint takes the name of a key that status shows. The root above what it has
signed is replaced as by rotate, but nothing waits for certificates to run out:
proxies renew as soon as they know of the next root, and then the one before is
trusted no more.

Exit status: 0 it has begun; 1 it is refused; 2 could not tell.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if reason == "" {
				return errors.New("--reason is missing: it is written down")
			}
			return c.change(cmd, "/ca/taint", url.Values{"key": {args[0]}, "reason": {reason}})
		},
	}
	c.flags(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for those who read it later")
	return cmd
}

// change asks for a change and prints what it has led to.
func (c *caClient) change(cmd *cobra.Command, path string, form url.Values) error {
	s, err := c.call(cmd.Context(), http.MethodPost, path, form)
	if err != nil {
		return err
	}
	return c.print(cmd.OutOrStdout(), s)
}

// maxCAReply bounds an answer, in bytes.
const maxCAReply = 1 << 20

func (c *caClient) call(ctx context.Context, method, path string, form url.Values) (*ca.Status, error) {
	network, address, err := c.target()
	if err != nil {
		return nil, err
	}
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}}
	req, err := http.NewRequestWithContext(ctx, method, "http://controller"+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("controller at %s: %w", address, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxCAReply))
	if err != nil {
		return nil, fmt.Errorf("controller at %s: %w", address, err)
	}
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusConflict:
		return nil, &exitError{code: statusNo, err: errors.New(strings.TrimSpace(string(body)))}
	default:
		return nil, fmt.Errorf("controller at %s: %s", address, strings.TrimSpace(string(body)))
	}
	s := &ca.Status{}
	if err := json.Unmarshal(body, s); err != nil {
		return nil, fmt.Errorf("controller at %s: %w", address, err)
	}
	return s, nil
}

// target is where the controller listens.
func (c *caClient) target() (network, address string, err error) {
	if c.admin == "" {
		dir, err := stateDir(".", c.state)
		if err != nil {
			return "", "", err
		}
		path, err := local.ControllerSocket(dir)
		return "unix", path, err
	}
	if strings.Contains(c.admin, "/") {
		return "unix", c.admin, nil
	}
	return "tcp", c.admin, nil
}

func (c *caClient) print(w io.Writer, s *ca.Status) error {
	if c.out.value == "json" {
		return writeJSON(w, "AuthorityStatus", s)
	}
	fmt.Fprintf(w, "spiffe://%s", printable(s.TrustDomain))
	if s.Sequence != 0 {
		fmt.Fprintf(w, "   trust bundle %d", s.Sequence)
	}
	fmt.Fprintln(w)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, k := range s.Keys {
		ends, notes := "", ""
		if !k.NotAfter.IsZero() {
			ends = "until " + k.NotAfter.UTC().Format(time.RFC3339)
		}
		if !k.Held {
			notes = "key not here"
		}
		if k.Tainted {
			notes = strings.TrimPrefix(notes+", tainted", ", ")
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", printable(k.Kind), printable(k.Name), printable(k.State), ends, notes)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if r := s.Rotation; r != nil {
		fmt.Fprintf(w, "rotation of the %s: %s since %s, %d/%d proxies have the bundle (%s)\n", printable(r.Kind), printable(r.Phase), r.Since.UTC().Format(time.RFC3339), r.Acknowledged, r.Live, printable(r.Reason))
	}
	return nil
}

// printable quotes what could move a terminal's cursor, or is more than a line.
func printable(text string) string {
	if quoted := strconv.Quote(text); quoted != `"`+text+`"` {
		return quoted
	}
	return text
}

// troubled says whether somebody has to see to the keys.
func troubled(s *ca.Status, now time.Time) bool {
	for _, k := range s.Keys {
		late := !k.NotAfter.IsZero() && k.NotAfter.Sub(now) < k.NotAfter.Sub(k.NotBefore)/4
		if k.State == "active" && late || k.Tainted {
			return true
		}
	}
	return false
}
