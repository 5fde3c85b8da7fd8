package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// backends are what the proxies forward to: nginx answers 43 bytes to everything,
// and 64 KiB to /64k; gRPC calls end in this process.
type backends struct {
	h1, h2, grpc string // addresses
	stop         []func()
}

func (s *backends) of(t traffic) string {
	switch {
	case t.grpc:
		return s.grpc
	case t.h2:
		return s.h2
	}
	return s.h1
}

func (s *backends) end() {
	for _, f := range s.stop {
		f()
	}
}

func (b *bench) startBackends(ctx context.Context) error {
	h1, err := freeAddr()
	if err != nil {
		return err
	}
	h2, err := freeAddr()
	if err != nil {
		return err
	}
	b.backends.h1, b.backends.h2 = h1, h2
	big, err := b.write("64k", string(bytes.Repeat([]byte("sixteen bytes..\n"), 4096)))
	if err != nil {
		return err
	}
	// nginx's workers are another user where it is started by root.
	if err := errors.Join(os.Chmod(b.dir, 0o711), os.Chmod(big, 0o644)); err != nil {
		return err
	}
	file, err := b.write("backend.conf", nginxHead(b.dir, "backend")+fmt.Sprintf(`
  server { listen %s backlog=1024; listen %s http2 backlog=1024; keepalive_requests 1000000000; http2_max_concurrent_streams 1024;
    location = /64k { alias %s; }
    location / { default_type text/plain; return 200 "{\"message\":\"forty-three bytes of body.....\"}\n"; } }
}
`, h1, h2, big))
	if err != nil {
		return err
	}
	_, stop, err := b.spawn(ctx, b.paths.nginx, "-c", file)
	if err != nil {
		return err
	}
	b.backends.stop = append(b.backends.stop, stop)
	if err := waitTCP(ctx, h1); err != nil {
		return fmt.Errorf("backend: %w", err)
	}
	return b.startEcho()
}

// echoPath is the unary method that gRPC calls ask for.
const echoPath = "/bench.Echo/Unary"

// startEcho serves the method: it answers what it is asked.
func (b *bench) startEcho() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := grpc.NewServer()
	srv.RegisterService(&grpc.ServiceDesc{ServiceName: "bench.Echo", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{{
		MethodName: "Unary",
		Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			var m wrapperspb.BytesValue
			return &m, decode(&m)
		},
	}}}, nil)
	go func() { _ = srv.Serve(l) }()
	b.backends.grpc = l.Addr().String()
	b.backends.stop = append(b.backends.stop, srv.Stop)
	return nil
}

// callBody writes one message of gRPC, for h2load, and gives its file.
func (b *bench) callBody() (string, error) {
	raw, err := proto.Marshal(wrapperspb.Bytes([]byte("forty-three bytes of body, or about so....")))
	if err != nil {
		return "", err
	}
	return b.write("call", string(append([]byte{0, 0, 0, 0, byte(len(raw))}, raw...)))
}
