package xds_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"

	"github.com/meshc/meshc/compiler/emit/xds"
	"github.com/meshc/meshc/compiler/model"
)

// checkRendered compares what the Renderer shares between proxies with what
// Emit makes for each of them alone.
func checkRendered(t *testing.T, m *model.Mesh, all []*model.Workload) {
	t.Helper()
	o := xds.Options{Now: now, Commit: "c0ffee"}
	r, err := xds.NewRenderer(m, all, o)
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range all {
		switch i { // what is in memory, what is in the spill, and what should be and cannot
		case len(all) / 3:
			r.KeepInMemory(0)
		case 2 * len(all) / 3:
			r.NoSpill()
		}
		got, gotErr := render(r, w)
		res, err := xds.Emit(m, w, all, o)
		if err == nil {
			err = res.Complete()
		}
		if (err == nil) != (gotErr == nil) {
			t.Fatalf("%s: %v and %v", w.NodeID(), err, gotErr)
		}
		if err != nil {
			continue
		}
		raw, err := json.Marshal(struct {
			Resources *xds.Resources `json:"resources"`
		}{res})
		if err != nil {
			t.Fatal(err)
		}
		var want bytes.Buffer
		if err := json.Indent(&want, raw, "", "  "); err != nil {
			t.Fatal(err)
		}
		if have := "{\n  \"resources\": " + string(got) + "\n}"; have != want.String() {
			t.Fatalf("%s: rendered\n%s\nwant\n%s", w.NodeID(), have, want.String())
		}
	}
}

func render(r *xds.Renderer, w *model.Workload) ([]byte, error) {
	var out bytes.Buffer
	err := r.Render(&out, w)
	return out.Bytes(), err
}

// Clients of one service that are placed in different ways share what they can
// and nothing else.
func TestRenderedIsEmitted(t *testing.T) {
	checkRendered(t, bookinfo(), xds.DefaultWorkloads(bookinfo()))
	for seed := range uint64(300) {
		m := newDice(seed, false).mesh()
		all := xds.DefaultWorkloads(m)
		for i, w := range all {
			second := *w
			second.ID += "-second"
			second.Outbound = map[string]string{}
			for key, at := range w.Outbound {
				switch (seed + uint64(i)) % 4 {
				case 0:
					second.Outbound[key] = at
				case 1:
					second.Outbound[key] = "[::1]:15001"
				case 2:
					second.Outbound[key] = "10.0.0.1:15001"
				}
			}
			second.Ready = i%2 == 0
			all = append(all, &second)
		}
		checkRendered(t, m, all)
	}
}

// Copies go to clusters that no unit has: a proxy adds them beside.
func TestRenderedIsEmittedWithCopies(t *testing.T) {
	copied := 0
	for seed := range uint64(120) {
		m := newDice(seed, false).mesh()
		for i, s := range m.Services {
			to := m.Services[(i+1+int(seed)%len(m.Services))%len(m.Services)]
			port := slices.IndexFunc(to.Ports, func(p model.Port) bool { return p.Protocol == model.HTTP })
			if port < 0 || to == s || len(to.Versions) == 0 {
				continue
			}
			for _, r := range s.Routes {
				if len(r.Split) > 0 {
					r.Mirror = append(r.Mirror, model.Mirror{Service: to.Ref, Host: to.Host, Port: to.Ports[port].Number, Version: to.Versions[0].Name, BasisPoints: 100})
					copied++
				}
			}
		}
		checkRendered(t, m, xds.DefaultWorkloads(m))
	}
	if copied == 0 {
		t.Error("nothing is copied")
	}
}

// Proxies with a raw patch are given it, also of what they share with others, and
// the others are not.
func TestRenderedIsEmittedWithRawPatches(t *testing.T) {
	patched := 0
	for seed := range uint64(120) {
		m := newDice(seed, false).mesh()
		m.Raw = nil
		all := xds.DefaultWorkloads(m)
		w := all[int(seed)%len(all)]
		res, err := xds.Emit(m, w, all, xds.Options{Now: now})
		if err != nil {
			t.Fatal(err)
		}
		var proxies []model.Ref
		if seed%2 == 0 {
			proxies = []model.Ref{w.Service}
		}
		add := func(kind model.RawKind, name, patch string) {
			m.Raw = append(m.Raw, model.Raw{Name: name, Kind: kind, Target: name, Patch: patch, Proxies: proxies})
		}
		if n := len(res.Clusters); n > 0 {
			add(model.RawCluster, res.Clusters[seed%uint64(n)].Name, `{"alt_stat_name": "patched"}`)
		}
		if n := len(res.Listeners); n > 0 && w.Role != model.RoleGRPC {
			add(model.RawListener, res.Listeners[seed%uint64(n)].Name, `{"tcp_backlog_size": 7}`)
		}
		if n := len(res.Routes); n > 0 {
			add(model.RawRoutes, res.Routes[seed%uint64(n)].Name, `{"response_headers_to_remove": ["patched"]}`)
		}
		patched += len(m.Raw)
		checkRendered(t, m, all)
	}
	if patched < 200 {
		t.Errorf("only %d patches", patched)
	}
}

// What a service does to what comes to it makes its outbound no other: callers
// share that, wherever the settings are written.
func TestCallersShareWhateverTheyTakeIn(t *testing.T) {
	units := func(change func(*model.Service)) int {
		m := &model.Mesh{TrustDomain: "td"}
		port := []model.Port{{Name: "http", Number: 80, Protocol: model.HTTP}}
		route := &model.Route{Name: "all", Ports: []uint16{80}, Split: []model.Split{{Version: "v1", BasisPoints: 10000}}}
		for _, name := range []string{"a", "b", "to"} {
			s := &model.Service{Ref: shop(name), Host: name, SPIFFEID: "spiffe://td/" + name, MTLS: model.MTLSStrict, Ports: port, Versions: []model.Version{{Name: "v1"}}, Routes: []*model.Route{route}}
			if name != "to" {
				s.Uses = []model.Ref{shop("to")}
			}
			m.Services = append(m.Services, s)
		}
		change(m.Services[0])
		all := xds.DefaultWorkloads(m)
		r, err := xds.NewRenderer(m, all, xds.Options{Now: now})
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range all {
			if _, err := render(r, w); err != nil {
				t.Fatal(err)
			}
		}
		return r.Units()
	}
	want := units(func(*model.Service) {})
	for name, change := range map[string]func(*model.Service){
		"compression": func(s *model.Service) {
			s.Compression = &model.Compression{Encodings: []string{"gzip"}, NotPaths: []string{"/a"}}
		},
		"buffer":       func(s *model.Service) { s.Buffer = &model.Buffer{MaxBytes: 1} },
		"another rule": func(s *model.Service) { s.Allow = []model.Rule{{Any: true}} },
	} {
		if got := units(change); got != want {
			t.Errorf("%s: %d units, want %d", name, got, want)
		}
	}
}
