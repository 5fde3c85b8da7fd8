// Package bootstrap reads an Envoy v3 bootstrap (YAML or JSON): either static
// listeners and clusters, or the ADS server that they come from. What the
// proxy does not support is refused by name, with its place in the file.
package bootstrap

import (
	"errors"
	"fmt"
	"os"
	"strings"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/proto"

	"github.com/meshc/meshc/dataplane/resource"
	"github.com/meshc/meshc/dataplane/resource/support"
)

// maxSize bounds a bootstrap file, in bytes.
const maxSize = 64 << 20

// Bootstrap is a decoded bootstrap file.
type Bootstrap struct {
	File  string
	Proto *bootstrapv3.Bootstrap
	Node  *corev3.Node // never nil
	Admin *Admin       // nil: nothing said
	// Static holds listeners, clusters and secrets. It is empty beside ADS.
	Static []resource.Resource
	ADS    *resource.ControlCluster // nil: static
	// Counts says of the name of a statistic, as Envoy has it, whether it is counted;
	// nil: all are.
	Counts func(name string) bool
}

// Admin is where the admin endpoint listens.
type Admin struct{ Network, Address string } // "tcp" or "unix"

// Load reads a file. A file that cannot be read gives an *os.PathError, one
// that is wrong an *Error.
func Load(path string) (*Bootstrap, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxSize {
		return nil, &Error{File: path, Reason: fmt.Sprintf("%d bytes, more than %d", info.Size(), maxSize)}
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, raw)
}

// Parse reads a bootstrap; file is its name in errors, which are *Error.
func Parse(file string, raw []byte) (*Bootstrap, error) {
	doc, err := parse(file, raw)
	if err != nil {
		return nil, err
	}
	b := &Bootstrap{File: file, Proto: new(bootstrapv3.Bootstrap)}
	if err := doc.unmarshal(b.Proto); err != nil {
		return nil, err
	}
	if err := resource.Supported.Check(b.Proto); err != nil {
		return nil, doc.place(err, "")
	}
	if b.Node = b.Proto.GetNode(); b.Node == nil {
		b.Node = new(corev3.Node)
	}
	if err := b.admin(); err != nil {
		return nil, doc.place(err, "admin.address")
	}
	if err := b.runtime(doc); err != nil {
		return nil, err
	}
	if b.Counts, err = resource.DecodeStatsConfig(b.Proto.GetStatsConfig()); err != nil {
		return nil, doc.place(err, "stats_config.stats_matcher")
	}
	if err := b.dynamic(doc); err != nil {
		return nil, err
	}
	return b, b.static(doc)
}

// place gives err its position: where a support.Error says, or at path.
func (d *document) place(err error, path string) error {
	refused := new(support.Error)
	if errors.As(err, &refused) {
		path = strings.TrimPrefix(join(path, refused.Path), ".")
		return d.fail(d.at(path), path, "%s", refused.Reason)
	}
	return d.fail(d.at(path), path, "%v", err)
}

func (b *Bootstrap) admin() error {
	a := b.Proto.GetAdmin().GetAddress()
	switch {
	case a == nil:
	case a.GetPipe() != nil:
		b.Admin = &Admin{Network: "unix", Address: a.GetPipe().GetPath()}
	case a.GetSocketAddress() != nil:
		s := a.GetSocketAddress()
		b.Admin = &Admin{Network: "tcp", Address: fmt.Sprintf("%s:%d", bracket(s.GetAddress()), s.GetPortValue())}
	default:
		return errors.New("needs a socket_address or a pipe")
	}
	return nil
}

func bracket(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

// regexBound is the runtime key that bounds Envoy's expressions: the one that
// means nothing to a proxy whose expressions are Go's.
const regexBound = "re2.max_program_size.error_level"

func (b *Bootstrap) runtime(doc *document) error {
	for i, layer := range b.Proto.GetLayeredRuntime().GetLayers() {
		for key := range layer.GetStaticLayer().GetFields() {
			if key != regexBound {
				at := fmt.Sprintf("layered_runtime.layers[%d].static_layer", i)
				return doc.fail(doc.at(at), at, "runtime key %q is not supported", key)
			}
		}
	}
	return nil
}

func (b *Bootstrap) dynamic(doc *document) error {
	d := b.Proto.GetDynamicResources()
	if d == nil {
		return nil
	}
	const at = "dynamic_resources"
	switch {
	case d.GetAdsConfig() == nil:
		return doc.fail(doc.at(at), at, "ads_config is missing")
	case d.GetLdsConfig().GetAds() == nil:
		return doc.fail(doc.at(at+".lds_config"), at+".lds_config", "must be ads: listeners come over ADS")
	case d.GetCdsConfig().GetAds() == nil:
		return doc.fail(doc.at(at+".cds_config"), at+".cds_config", "must be ads: clusters come over ADS")
	case b.Node.GetId() == "":
		return doc.fail(doc.at("node"), "node.id", "is needed with ADS")
	}
	name, err := adsCluster(d.GetAdsConfig())
	if err != nil {
		return doc.place(err, at+".ads_config")
	}
	for i, c := range b.Proto.GetStaticResources().GetClusters() {
		if c.GetName() != name {
			continue
		}
		if b.ADS, err = resource.DecodeControlCluster(c); err != nil {
			return doc.place(err, fmt.Sprintf("static_resources.clusters[%d]", i))
		}
		return nil
	}
	return doc.fail(doc.at(at+".ads_config"), at+".ads_config", "cluster %q is not in static_resources", name)
}

func adsCluster(c *corev3.ApiConfigSource) (string, error) {
	if c.GetApiType() != corev3.ApiConfigSource_DELTA_GRPC {
		return "", fmt.Errorf("api_type %v is not supported here (only DELTA_GRPC)", c.GetApiType())
	}
	if len(c.GetGrpcServices()) != 1 {
		return "", fmt.Errorf("%d grpc_services, only one is supported", len(c.GetGrpcServices()))
	}
	return c.GetGrpcServices()[0].GetEnvoyGrpc().GetClusterName(), resource.OnlyCluster(c.GetGrpcServices()[0])
}

// static decodes the static resources. The agent's cluster is only judged: its
// secrets come from the proxy's own identity.
func (b *Bootstrap) static(doc *document) error {
	s := b.Proto.GetStaticResources()
	add := func(list string, i int, m proto.Message) error {
		at := fmt.Sprintf("static_resources.%s[%d]", list, i)
		if b.ADS != nil {
			return doc.fail(doc.at(at), at, "static resources beside dynamic_resources are not supported")
		}
		r, err := resource.FromProto(m)
		if err != nil {
			return doc.place(err, at)
		}
		b.Static = append(b.Static, r)
		return nil
	}
	for i, c := range s.GetClusters() {
		switch {
		case b.ADS != nil && c.GetName() == b.ADS.Name:
		case c.GetName() == resource.AgentCluster:
			if _, err := resource.DecodeControlCluster(c); err != nil {
				return doc.place(err, fmt.Sprintf("static_resources.clusters[%d]", i))
			}
		default:
			if err := add("clusters", i, c); err != nil {
				return err
			}
		}
	}
	for i, l := range s.GetListeners() {
		if err := add("listeners", i, l); err != nil {
			return err
		}
	}
	for i, secret := range s.GetSecrets() {
		if err := add("secrets", i, secret); err != nil {
			return err
		}
	}
	return b.unique(doc)
}

func (b *Bootstrap) unique(doc *document) error {
	seen := make(map[string]bool)
	for _, r := range b.Static {
		key := fmt.Sprintf("%T %s", r, r.ResourceName())
		if seen[key] {
			return doc.fail(doc.at("static_resources"), "static_resources", "%q is there twice", r.ResourceName())
		}
		seen[key] = true
	}
	return nil
}
