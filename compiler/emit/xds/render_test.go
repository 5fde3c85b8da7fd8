package xds_test

import (
	"bytes"
	"encoding/json"
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
