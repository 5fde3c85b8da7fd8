package resource

import (
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	// The bootstrap is not decoded here, only listed.
	_ "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
)

const docsHead = `# What of xDS meshc-proxy supports

Every message and field that meshc-proxy takes, from a control plane or in a bootstrap. Whatever is set and not
listed here is refused by its name: over ADS with a NACK that leaves the last good version serving, in a bootstrap
with its line. Nothing is accepted and then ignored.

This page is written from the decoders' own tables: ` + "`MESHC_UPDATE=1 go test ./dataplane/resource`" + ` rewrites it.
`

func TestDocumentationIsCurrent(t *testing.T) {
	file := filepath.Join("..", "..", "docs", "xds-support.md")
	want := docsHead + Supported.Markdown()
	if os.Getenv("MESHC_UPDATE") != "" {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is stale: run MESHC_UPDATE=1 go test ./dataplane/resource", file)
	}
}

// A misspelt name in a table would refuse what it means to take.
func TestTableNamesExist(t *testing.T) {
	for _, m := range Supported.Messages() {
		found, err := protoregistry.GlobalTypes.FindMessageByName(m.Name)
		if err != nil {
			t.Errorf("%s: %v", m.Name, err)
			continue
		}
		for _, f := range m.Fields {
			fd := found.Descriptor().Fields().ByName(f.Name)
			if fd == nil {
				t.Errorf("%s has no field %s", m.Name, f.Name)
				continue
			}
			checkValues(t, m.Name, f.Values, fd)
		}
	}
}

func checkValues(t *testing.T, message protoreflect.FullName, values []string, fd protoreflect.FieldDescriptor) {
	if fd.Enum() == nil {
		return
	}
	for _, v := range values {
		if fd.Enum().Values().ByName(protoreflect.Name(v)) == nil {
			t.Errorf("%s.%s has no value %s", message, fd.Name(), v)
		}
	}
}
