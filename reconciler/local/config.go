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
	"os"
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
	Replicas int               `yaml:"replicas"`
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

// ReadConfig reads and judges the local.yaml at path. Errors name the file and,
// where YAML gives one, the line.
func ReadConfig(path string) (*Config, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read local configuration: %w", err)
	}
	c, err := ParseConfig(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// ParseConfig decodes one YAML document; unknown fields are refused.
func ParseConfig(raw []byte) (*Config, error) {
	dec := yaml.NewDecoder(bytes.NewReader(raw))
	dec.KnownFields(true)
	var c Config
	if err := dec.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if c.Network == "" {
		c.Network = DefaultNetwork
	}
	for i := range c.Apps {
		if c.Apps[i].Replicas == 0 {
			c.Apps[i].Replicas = 1
		}
	}
	return &c, c.validate()
}

func (c *Config) validate() error {
	p, err := netip.ParsePrefix(c.Network)
	if err != nil || !p.Addr().Is4() || !p.Addr().IsLoopback() || p.Bits() < 8 || p.Bits() > 24 {
		return fmt.Errorf("network %q is not an IPv4 loopback network between /8 and /24", c.Network)
	}
	seen := map[string]bool{}
	for i, a := range c.Apps {
		if err := a.validate(); err != nil {
			return fmt.Errorf("apps[%d]: %w", i, err)
		}
		key := a.Service + " " + a.Version
		if seen[key] {
			return fmt.Errorf("apps[%d]: service %q version %q is listed twice; use replicas", i, a.Service, a.Version)
		}
		seen[key] = true
	}
	for i, g := range c.Gateways {
		if err := g.validate(); err != nil {
			return fmt.Errorf("gateways[%d]: %w", i, err)
		}
	}
	return nil
}

func (a AppConfig) validate() error {
	switch {
	case a.Service == "":
		return errors.New("service is missing")
	case a.Version == "":
		return fmt.Errorf("version of service %q is missing", a.Service)
	case len(a.Command) == 0 || a.Command[0] == "":
		return fmt.Errorf("command of service %q version %q is missing", a.Service, a.Version)
	case a.Replicas < 0 || a.Replicas > 100:
		return fmt.Errorf("replicas of service %q version %q is %d, not between 1 and 100", a.Service, a.Version, a.Replicas)
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
