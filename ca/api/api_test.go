package api

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// TestWireNames pins what other implementations of the protocol expect.
func TestWireNames(t *testing.T) {
	if got := IstioCertificateService_CreateCertificate_FullMethodName; got != "/istio.v1.auth.IstioCertificateService/CreateCertificate" {
		t.Errorf("method %s", got)
	}
	req := (&IstioCertificateRequest{}).ProtoReflect().Descriptor().Fields()
	for name, number := range map[string]int{"csr": 1, "validity_duration": 3, "metadata": 4} {
		if f := req.ByName(protoreflect.Name(name)); f == nil || int(f.Number()) != number {
			t.Errorf("field %s is not number %d", name, number)
		}
	}
	if f := (&IstioCertificateResponse{}).ProtoReflect().Descriptor().Fields().ByName("cert_chain"); f == nil || f.Number() != 1 || !f.IsList() {
		t.Error("cert_chain is not repeated field 1")
	}
}

// TestGeneratedCodeIsOfThisProto generates again and compares.
func TestGeneratedCodeIsOfThisProto(t *testing.T) {
	path := os.Getenv("PATH")
	if home, err := os.UserHomeDir(); err == nil {
		path = filepath.Join(home, "go", "bin") + string(os.PathListSeparator) + path
	}
	t.Setenv("PATH", path)
	for _, tool := range []string{"buf", "protoc-gen-go", "protoc-gen-go-grpc"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal(tool + " is missing: run make tools")
			}
			t.Skip("SKIPPED: " + tool + " is missing, so the generated code was not compared")
		}
	}
	out := t.TempDir()
	if b, err := exec.Command("buf", "generate", "-o", out).CombinedOutput(); err != nil {
		t.Fatalf("buf generate: %v\n%s", err, b)
	}
	for _, name := range []string{"istioca.pb.go", "istioca_grpc.pb.go"} {
		want, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is stale: run go generate ./ca/api", name)
		}
	}
}
