package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// single starts one process that listens on a fresh address.
func (b *bench) single(ctx context.Context, h hop, command func(addr string) (string, []string, error)) (*running, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	name, args, err := command(addr)
	if err != nil {
		return nil, err
	}
	cmd, stop, err := b.spawn(ctx, name, args...)
	if err != nil {
		return nil, err
	}
	return &running{addr: addr, hops: []process{{h.name, []int{cmd.Process.Pid}}}, stop: []func(){stop}}, nil
}

func (b *bench) write(name, content string) (string, error) {
	path := filepath.Join(b.dir, name)
	return path, os.WriteFile(path, []byte(content), 0o600)
}

// cpuOf gives user plus system time of each hop's processes.
func cpuOf(hops []process) ([]time.Duration, error) {
	out := make([]time.Duration, len(hops))
	for i, h := range hops {
		for _, pid := range h.pids {
			d, err := cpuTime(pid)
			if err != nil {
				return nil, err
			}
			out[i] += d
		}
	}
	return out, nil
}

// cpuTime reads /proc/<pid>/schedstat of every thread: nanoseconds on a CPU,
// finer than the ticks of /proc/<pid>/stat.
func cpuTime(pid int) (time.Duration, error) {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, t := range tasks {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/schedstat", pid, t.Name()))
		if err != nil {
			return 0, err
		}
		ns, err := strconv.ParseInt(strings.Fields(string(raw))[0], 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(ns)
	}
	return sum, nil
}

// rssOf gives the resident memory of all processes, in bytes.
func rssOf(hops []process) (int64, error) {
	var sum int64
	for _, h := range hops {
		for _, pid := range h.pids {
			raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
			if err != nil {
				return 0, err
			}
			pages, err := strconv.ParseInt(strings.Fields(string(raw))[1], 10, 64)
			if err != nil {
				return 0, err
			}
			sum += pages * int64(os.Getpagesize())
		}
	}
	return sum, nil
}

// children of a master process (nginx): the workers do the work.
func children(pid int) []int {
	raw, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	var out []int
	for _, f := range strings.Fields(string(raw)) {
		if n, err := strconv.Atoi(f); err == nil {
			out = append(out, n)
		}
	}
	return out
}

// answers waits until addr answers one request of the traffic as it should.
func (b *bench) answers(ctx context.Context, t traffic, addr string) error {
	ask := func() error { _, err := b.h2load(ctx, t, addr, "-n", "1", "-c", "1"); return err }
	if t.grpc { // h2load does not look at trailers
		ask = func() error { return call(ctx, addr) }
	}
	deadline := time.Now().Add(15 * time.Second)
	for {
		last := ask()
		if last == nil {
			return nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return fmt.Errorf("%s does not answer: %w", addr, last)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func call(ctx context.Context, addr string) error {
	cc, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer cc.Close()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var got wrapperspb.BytesValue
	if err := cc.Invoke(ctx, echoPath, wrapperspb.Bytes([]byte("hello")), &got); err != nil {
		return err
	}
	if string(got.Value) != "hello" {
		return fmt.Errorf("answered %q", got.Value)
	}
	return nil
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// spawn starts a program that ends with this one; stop ends it.
func (b *bench) spawn(ctx context.Context, name string, args ...string) (*exec.Cmd, func(), error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = b.dir
	log, err := os.CreateTemp(b.dir, "log-*")
	if err != nil {
		return nil, nil, err
	}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, nil, errors.Join(err, log.Close())
	}
	stop := func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		_ = log.Close()
	}
	return cmd, stop, nil
}

// waitTCP waits until something listens on addr.
func waitTCP(ctx context.Context, addr string) error {
	deadline := time.Now().Add(15 * time.Second)
	for {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			return c.Close()
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}
