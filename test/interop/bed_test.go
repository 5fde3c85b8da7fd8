package interop

import (
	"net"
	"os"
	"testing"
	"time"

	"github.com/meshc/meshc/compiler/model"
	"github.com/meshc/meshc/test/stock"
)

const meshPort = 9080

func ref(name string) model.Ref { return model.Ref{Namespace: "default", Name: name} }

// bed is a mesh whose proxies are running data planes, two for every place
// that is compared, and whose applications record what they get.
type bed struct {
	t         *testing.T
	plane     *plane
	mesh      *model.Mesh
	backends  *backends
	workloads []*model.Workload
	manned    map[string]kind // workloads that have a proxy, by id
	proxies   map[string]*proxy
	placed    map[string]*model.Workload
	asks      int // so far
}

func newBed(t *testing.T, mesh *model.Mesh) *bed {
	t.Helper()
	stock.Envoy(t)
	return &bed{
		t: t, plane: startPlane(t), mesh: mesh, backends: newBackends(),
		manned: map[string]kind{}, proxies: map[string]*proxy{}, placed: map[string]*model.Workload{},
	}
}

// place adds a workload; k "" means that it has no proxy.
func (b *bed) place(w *model.Workload, k kind) *model.Workload {
	w.Ready = true
	b.workloads = append(b.workloads, w)
	b.placed[w.ID] = w
	if k != "" {
		b.manned[w.ID] = k
	}
	return w
}

// application adds an instance without a proxy: peers reach it at addr itself.
func (b *bed) application(service model.Ref, version, id, addr string) {
	b.place(&model.Workload{
		ID: id, Role: model.RoleSidecar, Service: service, Version: version,
		Inbound: map[uint16]string{meshPort: addr}, App: map[uint16]string{meshPort: addr},
	}, "")
}

// sidecar adds an instance with a proxy of k before an application at app ("":
// it serves nothing).
func (b *bed) sidecar(service model.Ref, version string, k kind, app string) *model.Workload {
	w := &model.Workload{
		ID: service.Name + "-" + string(k), Role: model.RoleSidecar, Service: service, Version: version, Outbound: b.outbound(service),
	}
	if app != "" {
		w.Inbound, w.App = map[uint16]string{meshPort: newPlace(b.t)}, map[uint16]string{meshPort: app}
	}
	return b.place(w, k)
}

func (b *bed) outbound(service model.Ref) map[string]string {
	out := map[string]string{}
	for _, u := range b.mesh.Service(service).Uses {
		var ports []model.Port
		if s := b.mesh.Service(u); s != nil {
			ports = s.Ports
		} else {
			ports = b.mesh.External(u).Ports
		}
		for _, p := range ports {
			out[model.OutboundKey(u, p.Number)] = newPlace(b.t)
		}
	}
	return out
}

func (b *bed) gateway(name model.Ref, k kind) *model.Workload {
	w := &model.Workload{ID: name.Name + "-" + string(k), Role: model.RoleGateway, Service: name, Inbound: map[uint16]string{}}
	if b.mesh.Gateway(name).Egress {
		w.Inbound[model.EgressPort] = newPlace(b.t)
	}
	for _, l := range b.mesh.Gateway(name).Listeners {
		w.Inbound[l.Port] = newPlace(b.t)
	}
	return b.place(w, k)
}

// run starts every proxy and waits until all are programmed.
func (b *bed) run() {
	b.t.Helper()
	commit := b.plane.set(b.mesh, b.workloads)
	var all []*proxy
	for id, k := range b.manned {
		w := b.placed[id]
		identity := ""
		if w.Role == model.RoleGateway {
			identity = b.mesh.Gateway(w.Service).SPIFFEID
		} else {
			identity = b.mesh.Service(w.Service).SPIFFEID
		}
		b.proxies[id] = b.plane.startProxy(k, w, identity)
		all = append(all, b.proxies[id])
	}
	took := b.plane.programmed(commit, all...)
	b.t.Logf("%d proxies programmed after %s", len(all), took)
	for id := range b.manned {
		w := b.placed[id]
		for _, at := range w.Inbound {
			b.listening(at)
		}
		for _, at := range w.Outbound {
			b.listening(at)
		}
	}
}

// listening waits until at accepts: a proxy acknowledges a listener a moment
// before it has opened it.
func (b *bed) listening(at string) {
	b.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		c, err := net.Dial("tcp", at)
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(end) {
			b.t.Fatal(err)
		}
	}
}

// all running proxies.
func (b *bed) all() []*proxy {
	var out []*proxy
	for _, x := range b.proxies {
		out = append(out, x)
	}
	return out
}

// startLab brings testdata/lab up.
func startLab(t *testing.T) *bed {
	t.Helper()
	b := newBed(t, compileFS(t, os.DirFS("testdata/lab")))
	b.mesh.External(ref("outside")).Endpoints = []string{b.backends.start(t, "outside", nil)}
	for _, v := range []string{"v1", "v2", "v3"} {
		b.application(ref("lab"), v, "lab-"+v, b.backends.start(t, "lab/"+v, nil))
	}
	b.application(ref("lab"), "v4", "lab-v4", newPlace(t))
	b.application(ref("lab"), "v5", "lab-v5-0", newPlace(t))
	b.application(ref("lab"), "v5", "lab-v5-1", b.backends.start(t, "lab/v5", nil))
	id := func(name string) string { return b.mesh.Service(ref(name)).SPIFFEID }
	b.application(ref("tls"), "v1", "tls-v1", b.backends.start(t, "tls", b.plane.mutual(id("tls"))))
	b.application(ref("impostor"), "v1", "impostor-v1", b.backends.start(t, "impostor", b.plane.mutual(id("other"))))
	for _, k := range kinds {
		for _, s := range []string{"vault", "perm", "open"} {
			b.sidecar(ref(s), string(k), k, b.backends.start(t, s+"/"+string(k), nil))
		}
		b.sidecar(ref("web"), "v1", k, "")
		b.gateway(ref("edge"), k)
	}
	b.run()
	return b
}

// client is where the instance of web on k reaches a service.
func (b *bed) client(k kind, service string) string {
	return b.placed["web-"+string(k)].Outbound[model.OutboundKey(ref(service), portOf(service))]
}

func portOf(service string) uint16 {
	if service == "outside" {
		return 8080
	}
	return meshPort
}
