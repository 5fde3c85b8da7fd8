// Command serve runs one event loop in front of one backend, without a control
// plane: what the engine alone costs per request. It prints the CPU time of the
// process when it is told to stop.
package main

import (
	"flag"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"
	"time"

	"github.com/meshc/meshc/dataplane/engine"
	"github.com/meshc/meshc/dataplane/message"
	"github.com/meshc/meshc/dataplane/route"
	"github.com/meshc/meshc/dataplane/snapshot"
)

func main() {
	addr := flag.String("listen", "127.0.0.1:8081", "address to serve")
	backend := flag.String("backend", "127.0.0.1:9000", "address to forward to")
	profile := flag.String("cpuprofile", "", "file for a CPU profile")
	logPath := flag.String("log", "", "access log file")
	h2 := flag.Bool("h2", false, "speak HTTP/2 to the backend")
	flag.Parse()
	if err := run(*addr, *backend, *profile, *logPath, *h2); err != nil {
		fmt.Fprintln(os.Stderr, "serve:", err)
		os.Exit(2)
	}
}

func run(addr, backend, profile, logPath string, h2 bool) error {
	c, err := config(addr, backend, logPath)
	if err != nil {
		return err
	}
	if h2 {
		c.Clusters["app"].Protocol = snapshot.UpstreamHTTP2
	}
	e, err := engine.New(engine.Options{Workers: 1, Log: slog.Default()})
	if err != nil {
		return err
	}
	defer e.Close()
	if err := e.Apply(c); err != nil {
		return err
	}
	if profile != "" {
		f, err := os.Create(profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	<-stop
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return err
	}
	fmt.Println("user", time.Duration(u.Utime.Nano()), "system", time.Duration(u.Stime.Nano()))
	return nil
}

func config(addr, backend, logPath string) (*snapshot.Config, error) {
	listen, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	to, err := netip.ParseAddrPort(backend)
	if err != nil {
		return nil, err
	}
	entry := &route.Entry{Name: "all", Total: 1, Timeout: 15 * time.Second, Clusters: []route.WeightedCluster{{Name: "app", Weight: 1}}}
	table, err := route.NewTable("all", []*route.VirtualHost{{
		Name: "all", Domains: []string{"*"},
		Routes: []*route.Route{{Entry: entry, Matches: func(*message.Request, uint64) bool { return true }}},
	}})
	if err != nil {
		return nil, err
	}
	h := &snapshot.HTTP{StatPrefix: "bench", Routes: table, GenerateRequestID: true}
	if logPath != "" {
		h.AccessLogs = []snapshot.AccessLog{{Path: logPath}}
	}
	return &snapshot.Config{
		Listeners: map[string]*snapshot.Listener{"in": {Name: "in", Addr: listen, Chains: []*snapshot.Chain{{Name: "plain", HTTP: h}}}},
		Clusters: map[string]*snapshot.Cluster{"app": {
			Name: "app", Digest: "1", Endpoints: []snapshot.Endpoint{{Addr: to, Weight: 1, Healthy: true}},
		}},
	}, nil
}
