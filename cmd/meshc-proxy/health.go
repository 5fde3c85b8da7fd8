package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/meshc/meshc/dataplane/health"
)

// healthFlags say how the kubelet is answered.
type healthFlags struct {
	address string
	probes  []string
	share   bool // the address, with the process that takes over; both ask the one that serves
}

func (f *healthFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.address, "health-address", "", "ip:port that answers the kubelet: /ready, and what --probe says (default: none)")
	cmd.Flags().StringArrayVar(&f.probes, "probe", nil, "app/CONTAINER/KIND=SCHEME://:PORT/PATH: a probe of the application, by http, https, tcp or grpc; may be repeated")
}

// listen gives a server of what the flags say, and where it serves; neither
// without an address.
func (f *healthFlags) listen(adminSocket string, log *slog.Logger) (*health.Server, net.Listener, error) {
	if f.address == "" {
		if len(f.probes) > 0 {
			return nil, nil, fmt.Errorf("--probe goes with --health-address")
		}
		return nil, nil, nil
	}
	if adminSocket == "" {
		return nil, nil, fmt.Errorf("--health-address needs the unix socket of the proxy's admin endpoint")
	}
	s := &health.Server{AdminSocket: adminSocket, Log: log}
	for _, text := range f.probes {
		p, err := health.ParseProbe(text)
		if err != nil {
			return nil, nil, fmt.Errorf("--probe: %w", err)
		}
		s.Probes = append(s.Probes, p)
	}
	l, err := f.open()
	if err != nil {
		return nil, nil, fmt.Errorf("--health-address: %w", err)
	}
	return s, l, nil
}

// open listens, with SO_REUSEPORT where the address is shared.
func (f *healthFlags) open() (net.Listener, error) {
	var config net.ListenConfig
	if f.share {
		config.Control = func(_, _ string, c syscall.RawConn) error {
			var failed error
			err := c.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
			return errors.Join(err, failed)
		}
	}
	return config.Listen(context.Background(), "tcp", f.address)
}

// beside runs serve and, if there is one, a health server, until either ends.
func beside(ctx context.Context, s *health.Server, l net.Listener, serve func(context.Context) error) error {
	if s == nil {
		return serve(ctx)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	// The kubelet asks until the proxy is gone, also while it drains.
	asked, stop := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		ended <- s.Run(asked, l)
		cancel()
	}()
	err := serve(ctx)
	stop()
	return errors.Join(err, <-ended)
}

// newWaitCmd is `meshc-proxy wait`: a container's postStart that holds those
// behind it back.
func newWaitCmd() *cobra.Command {
	var address string
	var limit time.Duration
	cmd := &cobra.Command{
		Use:           "wait",
		Short:         "wait until the proxy of this pod is ready",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), limit)
			defer cancel()
			if err := health.Wait(ctx, address, 200*time.Millisecond); err != nil {
				return &statusError{status: 1, err: err}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&address, "address", "127.0.0.1:15021", "its --health-address")
	cmd.Flags().DurationVar(&limit, "timeout", 10*time.Minute, "how long at most")
	return cmd
}
