package interop

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/meshc/meshc/ca"
	"github.com/meshc/meshc/compiler"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/reconciler/push/xds"
)

// patience bounds every wait of a test for something that should happen soon.
const patience = 30 * time.Second

// plane is a control plane: a real authority and a real ADS server, wired as
// the controller wires them, in this process.
type plane struct {
	t          *testing.T
	dir        string
	authority  *ca.Authority
	mesh       *model.Mesh // as set last
	ads        *xds.Server
	caAddr     string
	adsAddr    string
	rootFile   string
	secretsDir string // of all proxies
	commit     atomic.Int64
}

func startPlane(t *testing.T) *plane {
	t.Helper()
	return startPlaneOn(t, func() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") })
}

func startPlaneOn(t *testing.T, listen func() (net.Listener, error)) *plane {
	t.Helper()
	dir, err := os.MkdirTemp(built.dir, "p") // short: the paths of unix sockets are
	if err != nil {
		t.Fatal(err)
	}
	authority, err := ca.Open(ca.Config{Dir: filepath.Join(dir, "ca"), TrustDomain: domain, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	p := &plane{t: t, dir: dir, authority: authority, ads: xds.New(xds.Options{}), rootFile: filepath.Join(dir, "root.pem"), secretsDir: filepath.Join(dir, "secrets")}
	if err := os.Mkdir(p.secretsDir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.rootFile, authority.BundlePEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.ads.SetBundle(domain, authority.BundlePEM()); err != nil {
		t.Fatal(err)
	}
	signing := grpc.NewServer(authority.ServerOptions()...)
	authority.Register(signing)
	pushing, err := p.ads.NewGRPC(p.serverTLS())
	if err != nil {
		t.Fatal(err)
	}
	p.caAddr, p.adsAddr = p.serve(signing, listen), p.serve(pushing, listen)
	return p
}

// secret writes a file of the secrets of all proxies, at once.
func (p *plane) secret(name string, content []byte) {
	p.t.Helper()
	at := filepath.Join(p.secretsDir, name)
	err := os.MkdirAll(filepath.Dir(at), 0o700)
	if err == nil {
		err = os.WriteFile(at+".new", content, 0o600)
	}
	if err == nil {
		err = os.Rename(at+".new", at)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// serverTLS asks every client for a certificate of the trust domain.
func (p *plane) serverTLS() *tls.Config {
	c := p.authority.ServerTLS()
	c.ClientAuth = tls.RequireAndVerifyClientCert
	c.ClientCAs = x509.NewCertPool()
	c.ClientCAs.AppendCertsFromPEM(p.authority.BundlePEM())
	return c
}

func (p *plane) serve(g *grpc.Server, listen func() (net.Listener, error)) string {
	l, err := listen()
	if err != nil {
		p.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- g.Serve(l) }()
	p.t.Cleanup(func() { g.Stop(); <-done })
	return l.Addr().String()
}

// set makes mesh and workloads the desired state, and gives its commit.
func (p *plane) set(mesh *model.Mesh, workloads []*model.Workload) string {
	p.t.Helper()
	logCases(mesh)
	p.mesh = mesh
	commit := fmt.Sprintf("c%d", p.commit.Add(1))
	if err := p.ads.SetDesired(commit, &xds.Desired{Mesh: mesh, Workloads: workloads}); err != nil {
		p.t.Fatal(err)
	}
	return commit
}

// caseField of an access log says which exchange a line is of.
const caseField = "case"

// logCases gives every proxy the built-in access log with caseField, unless its
// mesh sends records elsewhere.
func logCases(mesh *model.Mesh) {
	fields := append([]model.Header{{Name: caseField, Value: "%REQ(" + caseHeader + ")%"}}, model.DefaultLogFields...)
	slices.SortFunc(fields, func(a, b model.Header) int { return strings.Compare(a.Name, b.Name) })
	log := model.AccessLog{To: model.DefaultLogPlace, Fields: fields}
	for _, s := range mesh.Services {
		if s.AccessLog.OTLP == nil {
			s.AccessLog = log
		}
	}
	for _, g := range mesh.Gateways {
		if g.AccessLog.OTLP == nil {
			g.AccessLog = log
		}
	}
}

// programmed waits until commit is live on every proxy, and says how long it
// took.
func (p *plane) programmed(commit string, proxies ...*proxy) time.Duration {
	p.t.Helper()
	begin, timeout := time.Now(), time.After(patience)
	for {
		changed := p.ads.Changed()
		missing := p.missing(commit, proxies)
		if missing == "" {
			return time.Since(begin)
		}
		select {
		case <-changed:
		case <-timeout:
			p.t.Fatalf("commit %s is not live after %s:%s", commit, patience, missing)
		}
	}
}

func (p *plane) missing(commit string, proxies []*proxy) string {
	status := map[string]xds.NodeStatus{}
	for _, s := range p.ads.Status() {
		status[s.Node] = s
	}
	var out strings.Builder
	for _, x := range proxies {
		s, known := status[x.node]
		if known && s.ProgrammedOn(commit) {
			continue
		}
		fmt.Fprintf(&out, "\n%s: %d streams", x.name, len(s.Streams))
		for _, st := range s.Streams {
			fmt.Fprintf(&out, ", on %q", st.ProgrammedCommit)
			for _, w := range st.Waits {
				fmt.Fprintf(&out, ", waits for %s", w)
			}
			for _, ty := range st.Types {
				if ty.Rejected() {
					fmt.Fprintf(&out, ", refused %s: %s", ty.Type, ty.Nacked.Message)
				}
			}
		}
	}
	return out.String()
}

// compileFS compiles a mesh that has to be right.
func compileFS(t *testing.T, files fs.FS) *model.Mesh {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	res, err := compiler.Compile(ctx, files, compiler.Options{Now: now})
	if err == nil && res.Model == nil {
		err = errors.New("no model")
		for _, d := range res.Diags {
			t.Logf("%+v", d)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return res.Model
}
