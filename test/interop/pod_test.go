package interop

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"sigs.k8s.io/yaml"

	"github.com/meshc/meshc/compiler/emit/kube"
	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/test/stock"
)

// pod is what a kubelet makes of an injected manifest, without images: a network
// namespace in which the containers that were added run with the arguments and
// the user that they were given.
type pod struct {
	*netns
	number   int
	workload *model.Workload
	proxy    *proxy
}

// container is what a kubelet reads of one.
type container struct {
	Name            string
	Args            []string
	SecurityContext struct {
		RunAsUser    int64
		Capabilities struct{ Add []string }
	}
	ReadinessProbe, StartupProbe *struct {
		HTTPGet struct {
			Path string
			Port int
		}
	}
}

type manifest struct {
	Spec struct {
		InitContainers, Containers []container
	}
}

// inject gives the manifest of a pod its proxy.
func (p *plane) inject(mesh *model.Mesh, w *model.Workload) manifest {
	t := p.t
	t.Helper()
	in := fmt.Sprintf(`{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": %q, "labels": {"version": %q}}, "spec": {"serviceAccountName": %q,
 "containers": [{"name": "app", "image": "app", "readinessProbe": {"httpGet": {"path": "/healthz", "port": 9080}}}]}}`, w.ID, w.Version, w.Service.Name)
	out, err := kube.Inject(mesh, []byte(in), kube.Options{
		Controller: p.adsAddr, CA: p.caAddr, ControllerID: model.SPIFFEID(domain, "meshc-system", "meshc-controller"),
	})
	if err != nil {
		t.Fatal(err)
	}
	var m manifest
	if err := yaml.Unmarshal(out.Out, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// start runs the init container, and then the others, of an injected pod.
func (x *pod) start(p *plane, mesh *model.Mesh) {
	t := p.t
	t.Helper()
	m, w := p.inject(mesh, x.workload), x.workload
	dir := p.volumes(x, mesh.Service(w.Service))
	kind := meshc
	if mesh.Service(w.Service).Envoy {
		kind = envoy
	}
	x.proxy = &proxy{t: t, kind: kind, name: w.ID, node: w.NodeID(), admin: unixClient(t, filepath.Join(dir, "admin.sock")), log: newAccessLog()}
	for _, c := range m.Spec.InitContainers {
		cmd := x.command(c, dir)
		switch c.Name {
		case "meshc-capture":
			if err := x.do(func() error {
				if out, err := cmd.CombinedOutput(); err != nil {
					return fmt.Errorf("%s: %w: %s", cmd, err, out)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		case "meshc-agent":
			x.proxy.launch(cmd, nil, x.do)
		default:
			x.proxy.launch(cmd, x.output(cmd, x.proxy.log), x.do)
		}
	}
}

// output gives cmd a pipe to log that its user may open by its name, as container
// runtimes do (runc, fixStdioPermissions).
func (x *pod) output(cmd *exec.Cmd, log io.Writer) *os.File {
	r, w, err := os.Pipe()
	if err == nil {
		err = w.Chown(int(cmd.SysProcAttr.Credential.Uid), -1)
	}
	if err != nil {
		x.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _, _ = io.Copy(log, r) }()
	x.t.Cleanup(func() { w.Close(); <-done; r.Close() })
	return w
}

// volumes makes a directory with what the volumes of the pod hold.
func (p *plane) volumes(x *pod, s *model.Service) string {
	p.t.Helper()
	dir := filepath.Join(p.dir, x.workload.ID)
	token, err := p.authority.CreateJoinToken(s.SPIFFEID, time.Hour)
	if err != nil {
		p.t.Fatal(err)
	}
	for name, content := range map[string][]byte{"token": []byte(token), "root.pem": p.authority.BundlePEM()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			p.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			p.t.Fatal(err)
		}
	}
	if err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, int(s.Injection.UID), int(s.Injection.UID))
	}); err != nil {
		p.t.Fatal(err)
	}
	return dir
}

// capabilities that a container of the test may have. The first is for the test:
// its volumes lie in directories that are root's own.
var capabilities = map[string]uintptr{"": unix.CAP_DAC_READ_SEARCH, "NET_ADMIN": unix.CAP_NET_ADMIN}

// command is that of a container, as the kubelet starts it.
func (x *pod) command(c container, dir string) *exec.Cmd {
	t := x.t
	t.Helper()
	places := strings.NewReplacer("$(POD_NAME)", x.workload.ID, "/var/run/secrets/meshc.dev/token", dir, "/etc/meshc/root", dir, "/run/meshc", dir)
	var args []string
	for _, a := range c.Args {
		args = append(args, places.Replace(a))
	}
	binary := proxyBinary(t)
	if len(args) > 0 && args[0] == "--config-yaml" {
		// Envoys of one machine would take each other for the one before a restart.
		binary, args = stock.Envoy(t), append(args, "--use-dynamic-base-id", "--concurrency", "1", "--file-flush-interval-msec", "10")
	}
	// The program lies where only root may look.
	program, err := os.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	cmd := exec.Command("/proc/self/fd/3", args...)
	cmd.Args[0], cmd.ExtraFiles = binary, []*os.File{program}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential:  &syscall.Credential{Uid: uint32(c.SecurityContext.RunAsUser), Gid: uint32(c.SecurityContext.RunAsUser)},
		AmbientCaps: []uintptr{capabilities[""]},
	}
	for _, name := range c.SecurityContext.Capabilities.Add {
		cmd.SysProcAttr.AmbientCaps = append(cmd.SysProcAttr.AmbientCaps, capabilities[name])
	}
	return cmd
}

// serve runs the application: it answers with its name and what it was told of
// the caller.
func (x *netns) serve(at, name string) {
	l := x.listen(at)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s xfcc=%s", name, r.Header.Get("x-forwarded-client-cert"))
	})}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	x.t.Cleanup(func() { s.Close(); <-done })
}

// get asks at for "/" and gives the status and the body, or an error.
func (x *netns) get(at, host string, headers ...string) (string, error) {
	c, err := x.dial(at)
	if err != nil {
		return "", err
	}
	return getOver(c, host, headers...)
}

// over is for one exchange on c.
func over(c net.Conn) *http.Transport {
	return &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return c, nil }, DisableKeepAlives: true}
}

// getOver sends a request on c and gives the status and the body.
func getOver(c net.Conn, host string, headers ...string) (string, error) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	r, err := http.NewRequest("GET", "http://"+host+"/", nil)
	if err != nil {
		return "", err
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	resp, err := over(c).RoundTrip(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return fmt.Sprint(resp.StatusCode, " ", string(bytes.TrimSpace(body))), err
}
