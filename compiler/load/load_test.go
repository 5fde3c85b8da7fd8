package load

import (
	"context"
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	MaybeRunChild()
	os.Exit(m.Run())
}

func TestBookinfo(t *testing.T) {
	for _, in := range []bool{true, false} {
	m, d, err := Mesh(context.Background(), os.DirFS("../../examples/bookinfo/mesh"), Options{InProcess: in})
	if err != nil { t.Fatal(err) }
	t.Log(len(m.Services), d)
	}
}
