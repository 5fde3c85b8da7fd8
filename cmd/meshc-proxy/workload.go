package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/spf13/cobra"
)

// workloadFlags say where applications find the SPIFFE Workload API.
type workloadFlags struct {
	socket string
	mode   string
}

func (f *workloadFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.socket, "workload-api-socket", "", "unix socket of the SPIFFE Workload API, for the application: whoever can open it has the identity of the workload, key included (default: none)")
	cmd.Flags().StringVar(&f.mode, "workload-api-mode", "0600", "with --workload-api-socket: who can open it, 0600, 0660 or 0666")
}

// check gives the mode of the socket.
func (f *workloadFlags) check(identity bool) (os.FileMode, error) {
	n, err := strconv.ParseUint(f.mode, 8, 32)
	if err != nil || n != 0o600 && n != 0o660 && n != 0o666 {
		return 0, fmt.Errorf("--workload-api-mode=%s is not 0600, 0660 or 0666", f.mode)
	}
	if f.socket == "" && n != 0o600 {
		return 0, errors.New("--workload-api-mode goes with --workload-api-socket")
	}
	if f.socket != "" && !identity {
		return 0, errors.New("--workload-api-socket needs an identity to give: --ca-address is missing")
	}
	return os.FileMode(n), nil
}
