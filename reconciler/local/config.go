// Package local runs a mesh on this machine: it places every workload on
// loopback addresses of its own, and keeps the controller, one sidecar per
// workload, the gateways and the applications running as processes.
package local

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// FileName is the file in a mesh directory that says how to run it locally.
const FileName = "local.yaml"

// Config is local.yaml.
type Config struct {
	// Network is the loopback network that addresses are taken from
	// (default 127.77.0.0/16).
	Network  string         `yaml:"network"`
	Apps     []AppConfig    `yaml:"apps"`
	Gateways []GatewayEntry `yaml:"gateways"`
}

// AppConfig is one application: a version of a service, run Replicas times
// (default 1). Command and Env may use ${LISTEN_<PORT>} and
// ${ADDR_<SERVICE>_<PORT>}.
type AppConfig struct {
	Service  string            `yaml:"service"`
	Version  string            `yaml:"version"`
	Replicas *int              `yaml:"replicas"`
	Command  []string          `yaml:"command"`
	Env      map[string]string `yaml:"env"`
}

// GatewayEntry binds each port of a gateway to an address of this machine.
type GatewayEntry struct {
	Name   string            `yaml:"name"`
	Listen map[string]string `yaml:"listen"`
}

// DefaultNetwork is used when local.yaml names none.
const DefaultNetwork = "127.77.0.0/16"

// ParseConfig decodes one YAML document; unknown fields are refused.
func ParseConfig(raw []byte) (*Config, error) {
	dec := yaml.NewDecoder(bytes.NewReader(raw))
	dec.KnownFields(true)
	var c Config
	if err := dec.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if err := dec.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one YAML document")
	}
	if c.Network == "" {
		c.Network = DefaultNetwork
	}
	at, err := readPlaces(raw)
	if err != nil {
		return nil, err
	}
	return &c, c.validate(at)
}

// places gives the line of each entry of the top-level lists.
type places map[string][]int

func readPlaces(raw []byte) (places, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return nil, err
	}
	at := places{}
	for _, root := range doc.Content {
		for i := 0; i+1 < len(root.Content); i += 2 {
			key, value := root.Content[i], root.Content[i+1]
			at[key.Value] = append(at[key.Value], key.Line)
			for _, entry := range value.Content {
				at[key.Value] = append(at[key.Value], entry.Line)
			}
		}
	}
	return at, nil
}

// key says where a field stands, entry where the entry i of a list does.
func (p places) key(name string) string { return p.line(name, 0) }

func (p places) entry(list string, i int) string {
	return fmt.Sprintf("%s%s[%d]: ", p.line(list, i+1), list, i)
}

// line is empty where an alias hides it.
func (p places) line(name string, i int) string {
	if i >= len(p[name]) {
		return ""
	}
	return fmt.Sprintf("line %d: ", p[name][i])
}

func (c *Config) validate(at places) error {
	p, err := netip.ParsePrefix(c.Network)
	if err != nil || !p.Addr().Is4() || !p.Addr().IsLoopback() || p.Bits() < 8 || p.Bits() > 24 {
		return fmt.Errorf("%snetwork %q is not an IPv4 loopback network between /8 and /24", at.key("network"), c.Network)
	}
	seen := map[string]bool{}
	for i := range c.Apps {
		a := &c.Apps[i]
		err := a.validate()
		if key := a.Service + " " + a.Version; err == nil && seen[key] {
			err = fmt.Errorf("service %q version %q is listed twice; use replicas", a.Service, a.Version)
		} else {
			seen[key] = true
		}
		if err != nil {
			return fmt.Errorf("%s%w", at.entry("apps", i), err)
		}
	}
	clear(seen)
	for i, g := range c.Gateways {
		err := g.validate()
		if err == nil && seen[g.Name] {
			err = fmt.Errorf("gateway %q is listed twice", g.Name)
		}
		seen[g.Name] = true
		if err != nil {
			return fmt.Errorf("%s%w", at.entry("gateways", i), err)
		}
	}
	return nil
}

// replicas is how often it is run.
func (a *AppConfig) replicas() int {
	if a.Replicas == nil {
		return 1
	}
	return *a.Replicas
}

func (a *AppConfig) validate() error {
	switch {
	case a.Service == "":
		return errors.New("service is missing")
	case a.Version == "":
		return fmt.Errorf("version of service %q is missing", a.Service)
	case len(a.Command) == 0 || a.Command[0] == "":
		return fmt.Errorf("command of service %q version %q is missing", a.Service, a.Version)
	case a.replicas() < 0 || a.replicas() > 100:
		return fmt.Errorf("replicas of service %q version %q is %d, not between 0 and 100", a.Service, a.Version, a.replicas())
	}
	return nil
}

func (g GatewayEntry) validate() error {
	if g.Name == "" {
		return errors.New("name is missing")
	}
	for port, addr := range g.Listen {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return fmt.Errorf("gateway %q: %q is not a port number", g.Name, port)
		}
		if _, err := netip.ParseAddrPort(addr); err != nil {
			return fmt.Errorf("gateway %q: listen address of port %s: %w", g.Name, port, err)
		}
	}
	return nil
}
