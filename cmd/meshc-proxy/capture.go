package main

import (
	"fmt"
	"net/netip"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/meshc/meshc/dataplane/capture"
)

// captureFlags are the flags of `meshc-proxy capture`.
type captureFlags struct {
	plan                           capture.Plan
	excludeInbound, excludePorts   []string
	includeOutbound, excludeRanges []string
	dryRun                         bool
}

// newCaptureCmd is `meshc-proxy capture`: what the init container of a pod runs.
func newCaptureCmd() *cobra.Command {
	var f captureFlags
	cmd := &cobra.Command{
		Use:   "capture",
		Short: "lead the TCP connections of this pod to the proxy in it, with nftables",
		Long: `capture installs the rules that lead every TCP connection to and from this
network namespace to the proxy, in one transaction and in place of those of an
earlier call. What is not excluded is captured. It needs CAP_NET_ADMIN, and no
program beside itself.

--dry-run prints the rules, as nft would show them, and changes nothing.`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.read(); err != nil {
				return err
			}
			if f.dryRun {
				_, err := fmt.Fprint(cmd.OutOrStdout(), f.plan.String())
				return err
			}
			return capture.Install(&f.plan)
		},
	}
	fl := cmd.Flags()
	fl.Uint16Var(&f.plan.Inbound, "inbound-port", 15006, "where the proxy takes connections to this pod")
	fl.Uint16Var(&f.plan.Outbound, "outbound-port", 15001, "where the proxy takes connections of the application")
	fl.Uint32Var(&f.plan.UID, "uid", 1337, "user of the proxy, whose connections go as they are")
	fl.StringSliceVar(&f.excludeInbound, "exclude-inbound-ports", nil, "ports that clients reach directly")
	fl.StringSliceVar(&f.includeOutbound, "include-outbound-cidrs", nil, "destinations that are captured (default: all)")
	fl.StringSliceVar(&f.excludeRanges, "exclude-outbound-cidrs", nil, "destinations that the application reaches directly")
	fl.StringSliceVar(&f.excludePorts, "exclude-outbound-ports", nil, "ports of destinations that the application reaches directly")
	fl.BoolVar(&f.dryRun, "dry-run", false, "print the rules and change nothing")
	return cmd
}

// read turns the lists of the command line into those of the plan.
func (f *captureFlags) read() (err error) {
	if f.plan.ExcludeInbound, err = ports("--exclude-inbound-ports", f.excludeInbound); err != nil {
		return err
	}
	if f.plan.ExcludeOutboundPorts, err = ports("--exclude-outbound-ports", f.excludePorts); err != nil {
		return err
	}
	if f.plan.IncludeOutbound, err = prefixes("--include-outbound-cidrs", f.includeOutbound); err != nil {
		return err
	}
	if f.plan.ExcludeOutbound, err = prefixes("--exclude-outbound-cidrs", f.excludeRanges); err != nil {
		return err
	}
	return f.plan.Check()
}

func ports(flag string, list []string) ([]uint16, error) {
	var out []uint16
	for _, s := range list {
		n, err := strconv.ParseUint(s, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("%s: %q is not a port", flag, s)
		}
		out = append(out, uint16(n))
	}
	return out, nil
}

func prefixes(flag string, list []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range list {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("%s: %q is not a range of addresses: %w", flag, s, err)
		}
		out = append(out, p)
	}
	return out, nil
}
