package interop

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/test/stock"
)

// Addresses that the platform has for services, and for nothing.
const (
	nowhere  = "10.96.9.9"
	nowhere6 = "fd00:96::99"
)

// cluster is a node with pods of testdata/captured, each in a network namespace
// of its own.
type cluster struct {
	t     *testing.T
	plane *plane
	mesh  *model.Mesh
	node  *netns
	pods  map[string]*pod
}

// services are the addresses of those that are called, as a platform gives them.
func services(mesh *model.Mesh) map[string][]string {
	out := map[string][]string{}
	for i, s := range mesh.Services {
		for _, p := range s.Ports {
			out[model.OutboundKey(s.Ref, p.Number)] = []string{fmt.Sprintf("10.96.0.%d:%d", i+1, p.Number), fmt.Sprintf("[fd00:96::%x]:%d", i+1, p.Number)}
		}
	}
	return out
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	needsNamespaces(t)
	stock.Envoy(t)
	c := &cluster{t: t, mesh: compileFS(t, os.DirFS("testdata/captured")), node: newNetns(t), pods: map[string]*pod{}}
	var list []*pod
	var spaces []*netns
	for _, s := range c.mesh.Services {
		for _, v := range s.Versions {
			x := &pod{netns: newNetns(t), number: len(list) + 2}
			x.workload = c.workload(s, v.Name, x.number)
			list, spaces = append(list, x), append(spaces, x.netns)
			c.pods[s.Name+"/"+v.Name] = x
		}
	}
	joined(c.node, spaces...)
	at := 15010 // ports that pods know
	c.plane = startPlaneOn(t, func() (l net.Listener, err error) {
		err = c.node.do(func() (err error) { l, err = net.Listen("tcp", fmt.Sprintf("%s:%d", podAddress(1), at)); return err })
		at++
		return l, err
	})
	var workloads []*model.Workload
	for _, x := range list {
		c.applications(x)
		workloads = append(workloads, x.workload)
	}
	commit := c.plane.set(c.mesh, workloads)
	var proxies []*proxy
	for _, x := range list {
		x.start(c.plane, c.mesh)
		proxies = append(proxies, x.proxy)
	}
	t.Logf("%d proxies programmed after %s", len(proxies), c.plane.programmed(commit, proxies...))
	for _, x := range list {
		c.ready(x)
	}
	return c
}

// workload is what a platform says of a pod.
func (c *cluster) workload(s *model.Service, version string, number int) *model.Workload {
	w := &model.Workload{
		ID: s.Name + "-" + version, Role: model.RoleSidecar, Service: s.Ref, Version: version, Ready: true,
		Inbound: map[uint16]string{}, App: map[uint16]string{},
		Capture: &model.Capture{Addresses: []string{podAddress(number), podAddress6(number)}, Outbound: map[string][]string{}},
	}
	for _, p := range s.Ports {
		w.Inbound[p.Number] = fmt.Sprintf("%s:%d", podAddress(number), p.Number)
		w.App[p.Number] = fmt.Sprintf("127.0.0.1:%d", p.Number)
	}
	for key, at := range services(c.mesh) {
		for _, used := range s.Uses {
			if strings.HasPrefix(key, used.String()+":") {
				w.Capture.Outbound[key] = at
			}
		}
	}
	return w
}

// applications run in a pod as if there were no mesh: on the ports of the
// service, one that is excluded from capture and one that nobody declared.
func (c *cluster) applications(x *pod) {
	s := c.mesh.Service(x.workload.Service)
	for _, p := range s.Ports {
		if p.Protocol == model.TCP {
			greet(x.netns, x.workload.App[p.Number])
			continue
		}
		x.serve(fmt.Sprintf(":%d", p.Number), x.workload.ID)
	}
	x.serve(":9999", x.workload.ID+" excluded")
	x.serve(":7777", x.workload.ID+" undeclared")
}

// greet speaks first.
func greet(x *netns, at string) {
	l := x.listen(at)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("hello"))
			c.Close()
		}
	}()
	x.t.Cleanup(func() { l.Close(); <-done })
}

// ready waits until the kubelet would take the pod for ready.
func (c *cluster) ready(x *pod) {
	c.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		got, err := kubelet(c.node, podAddress(x.number), "/ready")
		if err == nil && got == http.StatusOK {
			return
		}
		if time.Now().After(end) {
			c.t.Fatalf("%s is not ready: %d, %v", x.workload.ID, got, err)
		}
	}
}

// kubelet asks as the kubelet does.
func kubelet(node *netns, address, path string) (int, error) {
	conn, err := node.dial(net.JoinHostPort(address, "15021"))
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	resp, err := (&http.Client{Transport: over(conn), Timeout: patience}).Get("http://kubelet" + path)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

// serviceAt is where applications call a service.
func (c *cluster) serviceAt(name string, port uint16) (v4, v6 string) {
	list := services(c.mesh)[model.OutboundKey(ref(name), port)]
	return list[0], list[1]
}

// TestCapturedPods drives pods as `meshc inject` writes them: applications that
// know nothing of the mesh, on each data plane and between them.
func TestCapturedPods(t *testing.T) {
	c := startCluster(t)
	c.node.serve(podAddress(1)+":8080", "outside")
	c.node.serve(podAddress(1)+":7000", "by range")
	c.node.ip("addr", "add", "10.244.1.1/32", "dev", "br0")
	c.node.serve("10.244.1.1:7001", "by port")
	c.node.serve("10.244.1.1:7002", "taken")
	c.node.serve(podAddress(1)+":8444", "kiosk")
	greet(c.node, "10.244.1.1:5673")
	c.bank()
	for _, client := range kinds {
		web := c.pods["web-"+string(client)+"/v1"]
		for _, server := range kinds {
			t.Run(string(client)+" to "+string(server), func(t *testing.T) { c.calls(t, web, "reviews-"+string(server)) })
		}
		t.Run(string(client)+" out", func(t *testing.T) { c.goesOut(t, web) })
		t.Run(string(client)+" in", func(t *testing.T) { c.comesIn(t, "reviews-"+string(client), web) })
		t.Run(string(client)+" bytes", func(t *testing.T) { c.serverFirst(t, web) })
		t.Run(string(client)+" by name", func(t *testing.T) { c.byName(t, web) })
	}
	for _, x := range c.pods {
		x.proxy.refusedNothing()
	}
}

// calls: by version, with the caller's identity, by either family.
func (c *cluster) calls(t *testing.T, web *pod, to string) {
	v4, v6 := c.serviceAt(to, 9080)
	identity := "URI=" + c.mesh.Service(web.workload.Service).SPIFFEID
	for _, at := range []string{v4, v6} {
		for version, headers := range map[string][]string{"v1": nil, "v2": {"x-beta: yes"}} {
			got, err := web.get(at, to, headers...)
			if err != nil || !strings.HasPrefix(got, "200 "+to+"-"+version+" ") || !strings.Contains(got, identity) {
				t.Errorf("%s, %s: %s, %v; want %s and %s", at, version, got, err, to+"-"+version, identity)
			}
		}
	}
}

// goesOut: what is excluded goes by itself, what is declared by the proxy, and
// nothing else goes anywhere.
func (c *cluster) goesOut(t *testing.T, web *pod) {
	undeclared := "502 meshc: nothing that service default/" + web.workload.Service.Name + " uses"
	for at, want := range map[string]string{
		podAddress(1) + ":7000":                    "200 by range xfcc=",
		"10.244.1.1:7001":                          "200 by port xfcc=",
		"10.244.1.1:7002":                          undeclared,
		nowhere + ":9080":                          undeclared,
		"[" + nowhere6 + "]:9080":                  undeclared,
		nowhere + ":15006":                         "closed", // that of the proxy itself
		nowhere + ":15001":                         undeclared,
		"127.0.0.1:15001":                          undeclared,
		"127.0.0.1:15006":                          "closed",
		web.own() + ":7777":                        "200 " + web.workload.ID + " undeclared xfcc=", // the application to itself
		nowhere + ":8080 outside.example.com":      "200 outside xfcc=",
		nowhere + ":8080 outside.example.com:8080": "200 outside xfcc=",
		nowhere + ":8080 other.example.com":        undeclared,
	} {
		at, host, _ := strings.Cut(at, " ")
		if host == "" {
			host = at
		}
		id := "out " + at + " " + host
		got, err := web.get(at, host, caseHeader+": "+id)
		if err != nil {
			got = "closed"
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, %v; want %s", at, got, err, want)
		}
		if strings.HasPrefix(want, "502") || strings.HasPrefix(want, "200 outside") {
			once(t, web.proxy.log, id)
		}
	}
}

// once: a request that goes by the proxy does so one time.
func once(t *testing.T, log *accessLog, id string) {
	t.Helper()
	log.find(0, "", id)
	log.mu.Lock()
	defer log.mu.Unlock()
	lines := 0
	for _, e := range log.entries {
		if e.text(caseField) == id {
			lines++
		}
	}
	if lines != 1 {
		t.Errorf("%s: %d lines of log for one request", id, lines)
	}
}

func (x *pod) own() string { return podAddress(x.number) }

// comesIn: mutual TLS on what is declared, nothing on what is not, and no way
// through a pod to what it may call.
func (c *cluster) comesIn(t *testing.T, service string, web *pod) {
	x := c.pods[service+"/v1"]
	for _, address := range []string{podAddress(x.number), podAddress6(x.number)} {
		at := func(port string) string { return net.JoinHostPort(address, port) }
		for port, want := range map[string]string{
			"9080": "closed", "9081": "200 " + x.workload.ID + " xfcc=", "9999": "200 " + x.workload.ID + " excluded xfcc=",
			"7777": "closed", "15001": "closed", "15006": "closed",
		} {
			got, err := c.node.get(at(port), service)
			if err != nil || strings.HasPrefix(got, "400 ") {
				got = "closed"
			}
			if !strings.HasPrefix(got, want) {
				t.Errorf("plaintext to %s: %s, %v; want %s", at(port), got, err, want)
			}
		}
		for id, want := range map[string]string{"web-envoy": "200 " + x.workload.ID + " xfcc=", "db-envoy": "403 ", "": "closed"} {
			for _, port := range []string{"9080", "9081"} {
				if got := c.asPeer(at(port), id, service); !strings.HasPrefix(got, want) && (id != "db-envoy" || port != "9081") {
					t.Errorf("%q to %s: %s, want %s", id, at(port), got, want)
				}
			}
		}
		if status, err := kubelet(c.node, address, "/app/app/readiness"); err != nil || status != http.StatusOK {
			t.Errorf("the kubelet asks %s: %d, %v", address, status, err)
		}
	}
	c.throughPods(t, web)
}

// asPeer calls with the certificate of a service; "" has none.
func (c *cluster) asPeer(at, id, host string) string {
	conn, err := c.node.dial(at)
	if err != nil {
		return err.Error()
	}
	if id != "" {
		id = c.mesh.Service(ref(id)).SPIFFEID
	}
	got, err := getOver(tls.Client(conn, c.plane.as(id)), host)
	if err != nil {
		return "closed"
	}
	return got
}

// throughPods sends what the application of web may call to its pod, as who can
// put packets on its link may.
func (c *cluster) throughPods(t *testing.T, web *pod) {
	c.node.ip("route", "replace", "10.96.0.0/16", "via", web.own())
	for _, name := range []string{"reviews-envoy", "reviews-meshc"} {
		v4, _ := c.serviceAt(name, 9080)
		if got, err := c.node.get(v4, name); err == nil {
			t.Errorf("%s through the pod of %s: %s", v4, web.workload.ID, got)
		}
	}
	if got, err := c.node.get(nowhere+":8080", "outside.example.com"); err == nil {
		t.Errorf("outside through the pod of %s: %s", web.workload.ID, got)
	}
}

// serverFirst: bytes of a server that speaks first arrive.
func (c *cluster) serverFirst(t *testing.T, web *pod) {
	places := []string{"10.244.1.1:5672"}
	for _, k := range kinds {
		v4, v6 := c.serviceAt("db-"+string(k), 5432)
		places = append(places, v4, v6)
	}
	for _, at := range places {
		if got := hears(t, web, at); got != "hello" {
			t.Errorf("%s says %q", at, got)
		}
	}
	begin := time.Now()
	if got := hears(t, web, nowhere+":5432"); got != "" || time.Since(begin) > patience/2 {
		t.Errorf("nobody says %q after %s", got, time.Since(begin))
	}
}

// hears connects, says nothing and gives what is said until the end.
func hears(t *testing.T, web *pod, at string) string {
	t.Helper()
	conn, err := web.dial(at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	said, err := io.ReadAll(conn)
	if err != nil && len(said) == 0 {
		return ""
	}
	return string(said)
}

// bank is outside of the mesh, and speaks TLS.
func (c *cluster) bank() {
	l := tls.NewListener(c.node.listen(podAddress(1)+":8443"), &tls.Config{Certificates: []tls.Certificate{c.plane.certificate(c.mesh.Services[0].SPIFFEID)}})
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "bank") }), ErrorLog: log.New(io.Discard, "", 0)}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	c.t.Cleanup(func() { s.Close(); <-done })
}

// byName: one port for an external by its server name and one by its Host.
func (c *cluster) byName(t *testing.T, web *pod) {
	for name, want := range map[string]string{"bank.example.com": "200 bank", "other.example.com": "closed"} {
		conn, err := web.dial(nowhere + ":8443")
		if err != nil {
			t.Fatal(err)
		}
		got, err := getOver(tls.Client(conn, &tls.Config{ServerName: name, InsecureSkipVerify: true}), name)
		if err != nil {
			got = "closed"
		}
		if got != want {
			t.Errorf("TLS to %s: %s, %v; want %s", name, got, err, want)
		}
	}
	for name, want := range map[string]string{"kiosk.example.com:8443": "200 kiosk ", "bank.example.com:8443": "502 "} {
		if got, err := web.get(nowhere+":8443", name); !strings.HasPrefix(got, want) {
			t.Errorf("HTTP to %s: %s, %v; want %s", name, got, err, want)
		}
	}
}
